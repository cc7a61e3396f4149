//! Why the book of alerts could not answer.

use runtime::ErrorKind;
use runtime::database::DatabaseError;

/// Why the book of alerts could not answer.
#[derive(Debug, thiserror::Error)]
pub enum AlertsError {
    /// The tenant has no such incident.
    #[error("there is no alert with the id {0:?}")]
    NoSuchIncident(String),
    /// There is no such target.
    #[error("there is no target with the name {0:?}")]
    NoSuchTarget(String),
    /// The cursor was not made by a list of alerts.
    #[error("cursor is not one that a list of alerts gave out")]
    Cursor,
    /// The status is none that exists.
    #[error("status must be open, acknowledged or closed, got {0:?}")]
    Status(String),
    /// The comment is too long.
    #[error("comment must be at most {limit_chars} characters")]
    Comment {
        /// The limit.
        limit_chars: usize,
    },
    /// The signing secret is empty, or is `whsec_` with something that is not base64.
    #[error("webhook secret must be whsec_<base64> or plain text that is not empty")]
    Secret,
    /// A row holds what this version never wrote.
    #[error("stored {what} of an alert is damaged: {reason}")]
    Stored {
        /// Which column.
        what: &'static str,
        /// Why it cannot be read.
        reason: String,
    },
    /// The tables could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] DatabaseError),
    /// The database failed; nothing of the call was kept.
    #[error("alerts database: {0}")]
    Database(#[from] sqlx::Error),
}

impl AlertsError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchIncident(_) | Self::NoSuchTarget(_) => ErrorKind::NotFound,
            Self::Cursor | Self::Status(_) | Self::Comment { .. } | Self::Secret => ErrorKind::Invalid,
            Self::Stored { .. } | Self::Migrate(_) => ErrorKind::Internal,
            Self::Database(_) => ErrorKind::Unavailable,
        }
    }
}
