//! Why access was refused or could not be decided.

use runtime::ErrorKind;
use runtime::database::DatabaseError;

use crate::permission::Permission;

/// Why access was refused or could not be decided. Texts name no secret, and do not say which part of one was wrong.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The ingest key has another form than `th_<id>_<secret>`, is unknown, or is revoked.
    #[error("ingest key is not valid")]
    UnknownKey,
    /// The login token is unknown, used or expired.
    #[error("login link is not valid any more: restart the server to get a new one")]
    UnknownToken,
    /// The session cookie is unknown, or the session has ended.
    #[error("session has ended: log in again")]
    UnknownSession,
    /// The principal's roles do not allow it.
    #[error("permission {} is missing", .0.as_str())]
    Denied(Permission),
    /// There is no such key in the tenant, or it is revoked already.
    #[error("there is no active ingest key with the id {0:?}")]
    NoSuchKey(String),
    /// The name of a key is empty or too long.
    #[error("key name must be 1 to {limit_chars} characters")]
    KeyName {
        /// The limit.
        limit_chars: usize,
    },
    /// A limit of a key is outside what is allowed.
    #[error("{field} {problem}")]
    Limit {
        /// Which one, as in the API.
        field: &'static str,
        /// What is allowed, and what was given.
        problem: String,
        /// The bound that was passed, when it is a number.
        limit: Option<u64>,
    },
    /// The tenant has as many active keys as it may have.
    #[error("a tenant may have {limit} active ingest keys: revoke one first")]
    TooManyKeys {
        /// The limit.
        limit: usize,
    },
    /// A row holds what this version never wrote.
    #[error("stored {what} {value:?} is not known to this version")]
    Stored {
        /// Which column.
        what: &'static str,
        /// What it holds.
        value: String,
    },
    /// The audit trail was changed by other hands.
    #[error("audit trail does not hold together at row {seq}")]
    AuditBroken {
        /// The first row that does not follow from the one before.
        seq: i64,
    },
    /// The tables could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] DatabaseError),
    /// The database failed.
    #[error("access database: {0}")]
    Database(#[from] sqlx::Error),
}

impl AccessError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownKey | Self::UnknownToken | Self::UnknownSession => ErrorKind::Unauthenticated,
            Self::Denied(_) => ErrorKind::Forbidden,
            Self::NoSuchKey(_) => ErrorKind::NotFound,
            Self::KeyName { .. } | Self::Limit { .. } => ErrorKind::Invalid,
            Self::TooManyKeys { .. } => ErrorKind::Conflict,
            Self::Stored { .. } | Self::AuditBroken { .. } | Self::Migrate(_) | Self::Database(_) => {
                ErrorKind::Internal
            }
        }
    }
}
