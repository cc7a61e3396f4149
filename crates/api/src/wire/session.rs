//! Sessions, and what the server says of itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Name of the user.
    pub user: String,
    /// The tenant whose data is shown.
    pub tenant: String,
    /// Roles in that tenant.
    pub roles: Vec<String>,
    /// `session`, or `none` while the server asks nobody to log in.
    pub auth: &'static str,
}

/// A login.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    /// The `t` of the login link.
    pub token: String,
}

/// What the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Info {
    /// Version of the program.
    pub version: String,
    /// Where OTLP over gRPC is taken.
    pub otlp_grpc: String,
    /// Where OTLP over HTTP is taken.
    pub otlp_http: String,
    /// Whether demo traffic runs.
    pub demo: bool,
    /// Whether any span was ever stored.
    pub spans_seen: bool,
}
