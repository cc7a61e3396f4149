//! Names of attributes that have a column of their own, with their aliases.
//!
//! The names are OpenTelemetry semantic conventions 1.44. An attribute whose value does not have the column's type, and
//! every repetition of a key, stays in the residual list, so that nothing is lost; a reader looks at the column first.

/// How a promoted attribute is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text that repeats: dictionary encoded.
    Label,
    /// Text that rarely repeats.
    Text,
    /// 64-bit integer.
    Int,
}

/// An attribute with a column of its own; the column bears the attribute's name.
#[derive(Debug, Clone, Copy)]
pub struct Promoted {
    /// Attribute and column name.
    pub name: &'static str,
    /// Column type.
    pub kind: FieldKind,
}

const fn label(name: &'static str) -> Promoted {
    Promoted { name, kind: FieldKind::Label }
}
const fn text(name: &'static str) -> Promoted {
    Promoted { name, kind: FieldKind::Text }
}
const fn int(name: &'static str) -> Promoted {
    Promoted { name, kind: FieldKind::Int }
}

/// Every promoted attribute, in column order.
pub const PROMOTED: &[Promoted] = &[
    label("http.request.method"),
    label("http.route"),
    int("http.response.status_code"),
    int("http.request.body.size"),
    int("http.response.body.size"),
    int("http.request.resend_count"),
    label("url.scheme"),
    text("url.path"),
    text("url.query"),
    text("url.full"),
    label("server.address"),
    int("server.port"),
    text("client.address"),
    text("network.peer.address"),
    label("network.protocol.version"),
    label("user_agent.original"),
    text("user.id"),
    label("user.roles"),
    text("session.id"),
    label("service.peer.name"),
    label("rpc.system.name"),
    label("rpc.service"),
    label("rpc.method"),
    int("rpc.grpc.status_code"),
    label("db.system.name"),
    label("db.namespace"),
    label("db.collection.name"),
    label("db.operation.name"),
    text("db.query.text"),
    label("db.response.status_code"),
    int("db.response.returned_rows"),
    label("messaging.system"),
    label("messaging.destination.name"),
    label("messaging.operation.type"),
    label("error.type"),
    label("exception.type"),
    text("exception.message"),
    label("tls.protocol.version"),
    label("auth.outcome"),
    label("auth.method"),
    text("auth.token.hash"),
    label("auth.jwt.alg"),
    label("auth.jwt.kid"),
    label("auth.jwt.iss"),
    label("auth.jwt.aud"),
    text("auth.jwt.sub"),
    int("auth.jwt.exp"),
    int("auth.jwt.iat"),
];

/// Promoted attributes that the server works out where the sender did not say them; bit `n` of the column
/// [`crate::signal::DERIVED`] stands for the `n`th.
pub const DERIVED: [&str; 2] = ["auth.outcome", "client.address"];

/// Names that mean the same attribute, current name first (renames of semantic conventions, and names used by Envoy and Istio).
const SAME: &[&[&str]] = &[
    &["http.request.method", "http.method"],
    &["http.response.status_code", "http.status_code"],
    &["url.full", "http.url"],
    &["url.path", "http.target"],
    &["url.scheme", "http.scheme"],
    &["user_agent.original", "http.user_agent"],
    &["client.address", "http.client_ip"],
    &["network.peer.address", "net.peer.ip", "net.sock.peer.addr", "peer.address"],
    &["server.address", "net.peer.name", "net.host.name"],
    &["server.port", "net.peer.port"],
    &["service.peer.name", "peer.service"],
    &["user.id", "enduser.id"],
    &["user.roles", "enduser.role"],
    &["rpc.system.name", "rpc.system"],
    &["rpc.grpc.status_code", "rpc.response.status_code"],
    &["db.system.name", "db.system"],
    &["db.namespace", "db.name"],
    &["db.collection.name", "db.sql.table"],
    &["db.operation.name", "db.operation"],
    &["db.query.text", "db.statement"],
    &["http.request.body.size", "http.request_content_length"],
    &["http.response.body.size", "http.response_content_length"],
    &["http.request.resend_count", "http.resend_count"],
];

/// The names to try for an attribute, the one asked for first, then its other names.
pub fn names_of(name: &str) -> impl Iterator<Item = &str> {
    let group = SAME.iter().find(|group| group.contains(&name)).copied().unwrap_or_default();
    std::iter::once(name).chain(group.iter().copied().filter(move |other| *other != name))
}

/// The promoted attribute of this very name.
pub fn promoted(name: &str) -> Option<&'static Promoted> {
    PROMOTED.iter().find(|promoted| promoted.name == name)
}
