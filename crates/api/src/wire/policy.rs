//! Learning a service-call policy.

use serde::Deserialize;
use utoipa::ToSchema;

/// What to learn from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyLearnRequest {
    /// First moment, RFC 3339 or integer nanoseconds since 1970; an hour ago by default.
    pub start: Option<String>,
    /// First moment outside; now by default.
    pub end: Option<String>,
}
