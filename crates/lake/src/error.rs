//! What can go wrong in the lake.

use std::path::PathBuf;

use runtime::ErrorKind;

/// Why the lake could not do what it was asked. Events stay where they were: in memory and in the log.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A setting is outside its limits.
    #[error("setting {name} must be {rule}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// The disk refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A Parquet file could not be written.
    #[error("cannot write {path} as parquet: {source}", path = path.display())]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// What the encoder said.
        source: parquet::errors::ParquetError,
    },
    /// A Parquet file could not be read: its bytes are not what was written.
    #[error("cannot read {path} as parquet: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the decoder said.
        source: parquet::errors::ParquetError,
    },
    /// The index beside a file is damaged, or of another file. It can be built again.
    #[error("index {path} is damaged or of another file", path = path.display())]
    Index {
        /// The index.
        path: PathBuf,
    },
    /// A merge did not bring as many rows as its inputs have; nothing was replaced.
    #[error("{file} would have {found} rows instead of {expected}")]
    Rows {
        /// The file that was not put in place.
        file: String,
        /// Rows of the inputs, by the catalog.
        expected: u64,
        /// Rows written.
        found: u64,
    },
    /// A file that was to be replaced is not live any more: retention or another process was quicker.
    #[error("{file} was replaced or retired meanwhile")]
    Superseded {
        /// The file.
        file: String,
    },
    /// Another process has opened the lake since; this one must not write any more.
    #[error("another process has taken over this data directory; nothing more is written")]
    Fenced,
    /// The server stops; what was begun is dropped and nothing is lost.
    #[error("stopping")]
    Stopping,
    /// Batches could not be put together.
    #[error("cannot arrange rows: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The catalog refused.
    #[error("cannot {action} the catalog: {source}")]
    Catalog {
        /// What was tried.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The catalog's tables could not be made.
    #[error(transparent)]
    Migrate(#[from] runtime::database::DatabaseError),
    /// The catalog's tables are not as they were written: which files there are is not known.
    #[error("the catalog is damaged ({found}); put the database back from a copy")]
    CatalogDamaged {
        /// The first thing that is wrong.
        found: String,
    },
    /// A catalog row that this version did not write and cannot read.
    #[error("catalog row {file} has an unreadable {column}")]
    CatalogRow {
        /// The file the row is about.
        file: String,
        /// The column.
        column: &'static str,
    },
    /// A file has a layout that a newer program wrote. It is left alone.
    #[error("{file} has layout {version}, written by a newer program; this one reads up to {newest}")]
    NewerLayout {
        /// The file.
        file: String,
        /// Its layout.
        version: u32,
        /// The newest known.
        newest: u32,
    },
    /// The bytes of a file are not those that were written.
    #[error("file {path} is damaged: checksum {found:08x}, expected {expected:08x}", path = path.display())]
    Checksum {
        /// Which file.
        path: PathBuf,
        /// CRC-32C recorded when it was written.
        expected: u32,
        /// CRC-32C of what is there.
        found: u32,
    },
    /// A file was quarantined and is whole now; the next start of the server puts it back.
    #[error("{file} was quarantined and is whole now; the next start puts it back")]
    Quarantined {
        /// The file.
        file: String,
    },
    /// A file lies in the object store, and the store could not be asked for it, or did not take it. Tried again later, it
    /// may well.
    #[error("cannot {action} {file} in the object store: {reason}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// What the store or the way there said.
        reason: String,
    },
    /// A file lies in the object store by the catalog, and the store, which is the right one, does not have it.
    #[error("{file} is gone from the object store")]
    Lost {
        /// The file.
        file: String,
    },
    /// The place in the object store belongs to another lake.
    #[error("{url} holds the files of another lake; nothing is put there or read from there")]
    Foreign {
        /// The place.
        url: String,
    },
    /// A file cannot be encrypted or read for want of its key.
    #[error("{file}: {source}")]
    Key {
        /// The file.
        file: String,
        /// Why there is none.
        source: runtime::keyring::KeyError,
    },
    /// The worker that did the blocking part panicked.
    #[error("the {0} worker panicked")]
    Worker(&'static str),
}

impl LakeError {
    /// What a caller should do: wrong settings want mending, the disk and the catalog may recover, the rest is ours.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Setting { .. } | Self::Foreign { .. } => ErrorKind::Invalid,
            Self::Disk { .. }
            | Self::Catalog { .. }
            | Self::Superseded { .. }
            | Self::Stopping
            | Self::Store { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        }
    }

    /// Whether it says that the bytes of a file are gone or not what was written. Anything else may pass.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Checksum { .. } | Self::Lost { .. } => true,
            Self::Disk { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }

    pub(crate) fn disk(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { action, path, source }
    }

    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn catalog(action: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Catalog { action, source }
    }
}
