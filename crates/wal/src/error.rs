//! What can go wrong with the log.

use std::io;
use std::path::{Path, PathBuf};

use runtime::ErrorKind;
use runtime::keyring::KeyError;

/// An error of the log. See [`WalError::kind`] for what a caller should do.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The log has used its budget, or the disk is below its reserve. Retryable: room returns when readers advance.
    #[error("write-ahead log has no room: {reason}")]
    Full {
        /// Which limit, with its number.
        reason: String,
    },
    /// Too many bytes wait for their fsync. Retryable at once.
    #[error("write-ahead log queue holds its limit of {limit_bytes} bytes")]
    QueueFull {
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// A part of the frame is larger than the log can ever hold.
    #[error("{what} of {bytes} bytes is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// A write or fsync failed earlier. The log has stopped for good; only a restart, which reads what is really on
    /// disk, may write again. Whether the frame is on disk is not known.
    #[error("write-ahead log stopped after an error: {reason}")]
    Failed {
        /// What failed, and what the system said.
        reason: String,
    },
    /// The log was closed.
    #[error("write-ahead log is closed")]
    Closed,
    /// A file was written by a newer version of this program.
    #[error("{path} has log format version {version}, this program reads up to {newest}", path = path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        version: u32,
        /// Newest version this program reads.
        newest: u32,
    },
    /// The file system refused something.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A payload cannot be encrypted or read for want of its key.
    #[error("write-ahead log: {source}")]
    Key {
        /// Why there is none.
        source: KeyError,
    },
}

impl WalError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::QueueFull { .. } => ErrorKind::Overloaded,
            Self::Full { .. } | Self::Failed { .. } | Self::Closed | Self::Key { .. } => ErrorKind::Unavailable,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NewerVersion { .. } | Self::Io { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn key(source: KeyError) -> Self {
        Self::Key { source }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
