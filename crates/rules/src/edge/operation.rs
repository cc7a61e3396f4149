//! What a call asks for, in one text.
//!
//! | kind of call | text | from |
//! |---|---|---|
//! | HTTP | `POST /orders/{id}` | `http.request.method` with `http.route` or `url.template`; the server's `url.path` when it has no route and was not answered 404 or 405, with `{id}` for numbers, UUIDs and long hexadecimal parts |
//! | RPC | `shop.Orders/Get` | `rpc.service` and `rpc.method`, or `rpc.method` alone where it has both |
//! | database | `SELECT users` | `db.operation.name` and `db.collection.name` |
//! | messages | `process images` | `messaging.operation.type` and `messaging.destination.name` |
//! | else, when served | the span's name | `name` |

use crate::column::{Columns, Plan};

/// Longer texts are cut.
const CHARS: usize = 256;
/// Hexadecimal parts of a path of this length and more are ids.
const LONG_HEX: usize = 16;

/// Numbers of the fields.
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    method: usize,
    route: usize,
    template: usize,
    path: usize,
    status: usize,
    rpc_service: usize,
    rpc_method: usize,
    db_operation: usize,
    db_collection: usize,
    message_operation: usize,
    message_destination: usize,
    name: usize,
}

impl Fields {
    /// Asks for the fields.
    pub fn new(plan: &mut Plan) -> Self {
        Self {
            method: plan.field("http.request.method"),
            route: plan.field("http.route"),
            template: plan.field("url.template"),
            path: plan.field("url.path"),
            status: plan.field("http.response.status_code"),
            rpc_service: plan.field("rpc.service"),
            rpc_method: plan.field("rpc.method"),
            db_operation: plan.field("db.operation.name"),
            db_collection: plan.field("db.collection.name"),
            message_operation: plan.field("messaging.operation.type"),
            message_destination: plan.field("messaging.destination.name"),
            name: plan.field("name"),
        }
    }

    /// Makes the fields ready.
    pub fn prepare(&self, columns: &mut Columns<'_>) {
        let Self { method, route, template, path, status, rpc_service, rpc_method, .. } = *self;
        let Self { db_operation, db_collection, message_operation, message_destination, name, .. } = *self;
        for field in [method, route, template, path, status, rpc_service, rpc_method] {
            columns.field(field);
        }
        for field in [db_operation, db_collection, message_operation, message_destination, name] {
            columns.field(field);
        }
    }

    /// What the call of a row asks for; `None` when the row does not say.
    pub fn of(&self, columns: &Columns<'_>, row: usize, is_served: bool) -> Option<String> {
        let text = |field: usize| columns.ready(field)?.text(row).filter(|text| !text.is_empty());
        let found = if let Some(method) = text(self.method) {
            let was_found = !matches!(text(self.status), Some("404" | "405"));
            let by_path = || text(self.path).filter(|_| is_served && was_found).map(templated);
            let route = text(self.route).or_else(|| text(self.template)).map(str::to_owned).or_else(by_path)?;
            format!("{method} {route}")
        } else if let Some(method) = text(self.rpc_method) {
            text(self.rpc_service).map_or_else(|| method.to_owned(), |service| format!("{service}/{method}"))
        } else if let Some(operation) = text(self.db_operation) {
            pair(operation, text(self.db_collection))
        } else if let Some(destination) = text(self.message_destination) {
            pair(text(self.message_operation).unwrap_or("use"), Some(destination))
        } else {
            text(self.name).filter(|_| is_served)?.to_owned()
        };
        Some(found.chars().filter(|c| !c.is_control()).take(CHARS).collect())
    }
}

fn pair(what: &str, of: Option<&str>) -> String {
    of.map_or_else(|| what.to_owned(), |of| format!("{what} {of}"))
}

/// A path with `{id}` for the parts that name one thing of many.
fn templated(path: &str) -> String {
    let part = |part: &str| if is_id(part) { "{id}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn is_id(part: &str) -> bool {
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let hex = part.bytes().filter(u8::is_ascii_hexdigit).count();
    let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') && hex >= LONG_HEX;
    is_number || is_hex
}
