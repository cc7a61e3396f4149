//! Ingest keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An ingest key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Key {
    /// Id, the middle part of the key.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Who made it.
    pub created_by: String,
    /// When it was made, RFC 3339.
    pub created_time: String,
    /// When it was revoked, RFC 3339; null while it is active.
    pub revoked_time: Option<String>,
    /// When it was last used, RFC 3339; null when never.
    pub last_used_time: Option<String>,
}

impl From<access::Key> for Key {
    fn from(key: access::Key) -> Self {
        Self {
            id: key.id,
            name: key.name,
            created_by: key.created_by,
            created_time: key.created.to_string(),
            revoked_time: key.revoked.map(|time| time.to_string()),
            last_used_time: key.last_used.map(|time| time.to_string()),
        }
    }
}

/// A key that has just been made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    /// What may be shown again.
    #[serde(flatten)]
    pub key: Key,
    /// The whole key: seen here and never again.
    pub secret: String,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRequest {
    /// What people will call it, 1 to 100 characters.
    pub name: String,
}
