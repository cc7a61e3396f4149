//! Why a read could not be answered.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use lake::{FileEntry, LakeError, Snapshot};
use runtime::ErrorKind;

/// What went wrong with a query.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The search asks for something that cannot be: names the field.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field of the search.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The cursor was not given out by this kind of search.
    #[error("cursor is damaged or belongs to another search")]
    Cursor,
    /// The SQL text is longer than allowed.
    #[error("sql text has {got_bytes} bytes, at most {limit_bytes} are allowed")]
    SqlTooLong {
        /// Its length.
        got_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The SQL text is wrong, or does what is not allowed here.
    #[error("sql: {0}")]
    Sql(String),
    /// Too many queries run and wait already.
    #[error("{running} queries run and {waiting} wait already; try again later")]
    Overloaded {
        /// Queries running.
        running: usize,
        /// Queries waiting for their turn.
        waiting: usize,
    },
    /// The time limit was reached, waiting included.
    #[error("query took longer than {} s; narrow the time range or add filters", limit.as_secs_f64())]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The memory limit was reached.
    #[error("query needs more than {limit_bytes} bytes of memory; narrow the time range or add filters")]
    Memory {
        /// The limit.
        limit_bytes: usize,
    },
    /// The result is larger than allowed.
    #[error("result is larger than {limit_bytes} bytes; ask for fewer rows or columns")]
    ResultTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// A data file could not be read.
    #[error("cannot read {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the reader said.
        reason: String,
    },
    /// A data file is not what was written. It is taken out of sight; what is asked from now on is answered without it.
    #[error("file {} is damaged ({reason}); asked again, the answer comes without its {} events and says so", file.name, file.zone.rows)]
    Damaged {
        /// The file.
        file: Arc<FileEntry>,
        /// What is wrong with it.
        reason: String,
    },
    /// A data file lies in the object store, which cannot be asked for it now. It stays in sight: asked again when the
    /// store answers, the query is answered in full.
    #[error("file {} with {} events lies in the object store and cannot be read for now: {reason}", file.name, file.zone.rows)]
    Unreachable {
        /// The file.
        file: Arc<FileEntry>,
        /// What the store or the way there said.
        reason: String,
    },
    /// A stored batch does not have the columns it should have.
    #[error("stored data is not as expected: {0}")]
    Stored(#[from] model::view::ViewError),
    /// Columns could not be computed with.
    #[error("columns: {0}")]
    Columns(#[from] arrow::error::ArrowError),
    /// The plan could not be made or run.
    #[error("plan: {0}")]
    Plan(DataFusionError),
    /// The threads for queries could not be started, or one of them ended early.
    #[error("query threads: {0}")]
    Threads(String),
}

impl QueryError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::Cursor | Self::Sql(_) => ErrorKind::Invalid,
            Self::SqlTooLong { .. } | Self::Memory { .. } | Self::ResultTooLarge { .. } => ErrorKind::TooLarge,
            Self::Overloaded { .. } => ErrorKind::Overloaded,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Damaged { .. } | Self::Unreachable { .. } => ErrorKind::Unavailable,
            Self::File { .. } | Self::Stored(_) | Self::Columns(_) | Self::Plan(_) | Self::Threads(_) => {
                ErrorKind::Internal
            }
        }
    }

    /// The name of the outcome in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.kind() {
            ErrorKind::TooLarge | ErrorKind::Overloaded => "limited",
            ErrorKind::Timeout => "timeout",
            _ => "error",
        }
    }

    /// Nothing, when the file is what was written. Blocking.
    pub(crate) fn of_damage(snapshot: &Snapshot, file: &Arc<FileEntry>) -> Result<(), Self> {
        snapshot.check(file).map_err(|error| Self::of_lake(file, error))
    }

    /// What it means that the lake could not give a file.
    pub(crate) fn of_lake(file: &Arc<FileEntry>, error: LakeError) -> Self {
        match error {
            LakeError::Store { reason, .. } => Self::Unreachable { file: Arc::clone(file), reason },
            error if error.is_damage() => Self::Damaged { file: Arc::clone(file), reason: error.to_string() },
            error => Self::File { path: file.path.display().to_string(), reason: error.to_string() },
        }
    }

    /// Whether the bytes of a file may be at fault.
    pub(crate) fn doubts_storage(&self) -> bool {
        match self {
            Self::File { .. } => true,
            Self::Plan(error) => matches!(
                error.find_root(),
                DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_)
            ),
            _ => false,
        }
    }

    /// What we said of a file ourselves, however deep the engine and its readers have wrapped it.
    fn about_file(error: &DataFusionError) -> Option<Self> {
        let mut inner: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = inner {
            match error.downcast_ref() {
                Some(Self::Damaged { file, reason }) => {
                    return Some(Self::Damaged { file: Arc::clone(file), reason: reason.clone() });
                }
                Some(Self::Unreachable { file, reason }) => {
                    return Some(Self::Unreachable { file: Arc::clone(file), reason: reason.clone() });
                }
                _ => inner = error.source(),
            }
        }
        None
    }

    /// Sorts an engine error: out of memory has its own face, everything else is a fault of the plan.
    pub(crate) fn from_engine(error: DataFusionError, memory_limit_bytes: usize) -> Self {
        // the limit of temporary files has no kind of its own in the engine, only this text
        let out_of_spill = || error.to_string().contains("during the spilling process");
        if let Some(about_file) = Self::about_file(&error) {
            return about_file;
        }
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory { limit_bytes: memory_limit_bytes },
            _ if out_of_spill() => Self::Memory { limit_bytes: memory_limit_bytes },
            _ => Self::Plan(error),
        }
    }
}
