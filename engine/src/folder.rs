//! The data folder, and the lock that shows which server uses it.

use crate::StartError;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The lock file. It contains the id of the process that holds the lock alone, and nothing if servers share it.
const LOCK: &str = "lock";

/// Who may serve the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serving {
    /// This process does not; it may run next to a server.
    No,
    /// This server, and no other.
    Alone,
    /// This server, and others that share the folder, too.
    Shared,
}

pub(crate) struct Folder {
    path: PathBuf,
    /// Held until the process ends; the operating system releases it even after a kill.
    _lock: Option<File>,
}

impl Folder {
    /// Creates the folder if it is missing, with access for its owner only.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|source| failed(path, source))?;
        Ok(Self { path: path.to_owned(), _lock: None })
    }

    /// Locks the folder for as long as it is open: a server that serves it alone keeps all others out, and servers that
    /// share it keep such a server out.
    ///
    /// # Errors
    /// `Locked` if a running server does not admit this one.
    pub fn lock(&mut self, serving: Serving) -> Result<(), StartError> {
        let path = &self.path;
        let lock = match serving {
            Serving::No => return Ok(()),
            Serving::Alone => lock_alone(path)?,
            Serving::Shared => lock_shared(path)?,
        };
        let locked = || StartError::Locked { path: path.display().to_string(), process: process(path) };
        self._lock = Some(lock.ok_or_else(locked)?);
        Ok(())
    }

    /// Keeps servers out of the folder for as long as the file is held, to migrate tables that a running server of
    /// another version would not know.
    ///
    /// # Errors
    /// `OlderServer` if a server is running.
    pub fn keep_servers_out(&self) -> Result<File, StartError> {
        let path = &self.path;
        let served = || StartError::OlderServer { path: path.display().to_string(), process: process(path) };
        lock_alone(path)?.ok_or_else(served)
    }
}

/// `None`: another process holds the lock, alone or with others.
fn lock_alone(folder: &Path) -> Result<Option<File>, StartError> {
    lock(folder, File::try_lock, |mut lock| writeln!(lock, "{}", std::process::id()))
}

/// `None`: another process holds the lock alone.
fn lock_shared(folder: &Path) -> Result<Option<File>, StartError> {
    // One of several processes would be named, which may have ended before the others.
    lock(folder, File::try_lock_shared, |_| Ok(()))
}

fn lock(
    folder: &Path,
    take: impl Fn(&File) -> Result<(), fs::TryLockError>,
    name: impl Fn(&File) -> io::Result<()>,
) -> Result<Option<File>, StartError> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK));
    let lock = open.map_err(|source| failed(folder, source))?;
    match take(&lock) {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(source)) => return Err(failed(folder, source)),
    }
    // The process id is only for people: the lock also works without it.
    if let Err(error) = lock.set_len(0).and_then(|()| name(&lock)) {
        tracing::warn!(%error, "the lock of the data folder does not say whose it is");
    }
    Ok(Some(lock))
}

/// The process that holds the lock, if the file names it.
fn process(folder: &Path) -> Option<u32> {
    fs::read_to_string(folder.join(LOCK)).ok()?.trim().parse().ok()
}

fn failed(folder: &Path, source: io::Error) -> StartError {
    StartError::Folder { path: folder.display().to_string(), source }
}
