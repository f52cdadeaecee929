//! The data folder, and the lock that shows which server uses it.

use crate::StartError;
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// The lock file; it contains the id of the process that holds the lock.
const LOCK: &str = "lock";

pub(crate) struct Folder {
    path: PathBuf,
    /// Held until the process ends; the operating system releases it even after a kill.
    _lock: Option<File>,
}

impl Folder {
    /// Creates the folder if it is missing, with access for its owner only. With `exclusive`, locks it against other
    /// servers.
    pub fn open(path: &Path, exclusive: bool) -> Result<Self, StartError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|source| failed(path, source))?;
        let locked = || StartError::Locked { path: path.display().to_string(), process: process(path) };
        let lock = if exclusive { Some(lock(path)?.ok_or_else(locked)?) } else { None };
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Keeps servers out of the folder for as long as the file is held, to migrate tables that a running server of
    /// another version would not know.
    ///
    /// # Errors
    /// `OlderServer` if a server is running.
    pub fn keep_servers_out(&self) -> Result<File, StartError> {
        let path = &self.path;
        let served = || StartError::OlderServer { path: path.display().to_string(), process: process(path) };
        lock(path)?.ok_or_else(served)
    }
}

/// `None`: another process holds the lock.
fn lock(folder: &Path) -> Result<Option<File>, StartError> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK));
    let mut lock = open.map_err(|source| failed(folder, source))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(source)) => return Err(failed(folder, source)),
    }
    // The process id is only for people: the lock also works without it.
    if let Err(error) = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())) {
        tracing::warn!(%error, "the lock of the data folder does not say whose it is");
    }
    Ok(Some(lock))
}

/// The process that holds the lock, if the file names it.
fn process(folder: &Path) -> Option<u32> {
    fs::read_to_string(folder.join(LOCK)).ok()?.trim().parse().ok()
}

fn failed(folder: &Path, source: std::io::Error) -> StartError {
    StartError::Folder { path: folder.display().to_string(), source }
}
