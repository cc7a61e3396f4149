//! One process per data directory.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use runtime::directory;

/// Why the data directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("data directory {folder} is in use by process {pid}", folder = folder.display())]
    InUse {
        /// The directory.
        folder: PathBuf,
        /// The process, as it wrote itself down; `unknown` when it could not.
        pid: String,
    },
    /// The lock file cannot be made.
    #[error("data directory {folder} cannot be locked: {source}", folder = folder.display())]
    Io {
        /// The directory.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Holds the directory until dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Makes the directory when absent, takes its lock, and writes our process id into `lock`.
///
/// # Errors
/// [`LockError::InUse`] names the process that holds it.
pub fn lock(folder: &Path) -> Result<DirectoryLock, LockError> {
    let failed = |source| LockError::Io { folder: folder.to_owned(), source };
    directory::make(folder).map_err(failed)?;
    let path = folder.join("lock");
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // the holder may be between taking the lock and writing its id
            let read = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let pid = if read { pid.trim().to_owned() } else { "unknown".to_owned() };
            return Err(LockError::InUse { folder: folder.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", std::process::id())?;
        file.sync_all()
    };
    write(&mut file).map_err(failed)?;
    Ok(DirectoryLock { _file: file })
}

#[cfg(test)]
mod tests;
