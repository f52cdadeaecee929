//! The data folder and the lock that keeps a second server out of it.

use crate::StartError;
use std::{
    fs::{self, File, OpenOptions},
    path::Path,
};

pub(crate) struct Folder {
    /// Held until the process ends; the system frees it even after a kill.
    _lock: Option<File>,
}

impl Folder {
    /// Makes the folder when it is missing, for its owner alone. With `exclusive`, nobody else may serve from it.
    pub fn open(path: &Path, exclusive: bool) -> Result<Self, StartError> {
        let shown = path.display().to_string();
        let failed = |source| StartError::Folder { path: shown.clone(), source };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(failed)?;
        if !exclusive {
            return Ok(Self { _lock: None });
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: Some(lock) }),
            Err(fs::TryLockError::WouldBlock) => Err(StartError::Locked { path: shown }),
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
