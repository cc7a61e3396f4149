//! Service-call policies: who may call whom, and for what.

use serde_json::{Map, Value as Json, json};

use super::{closed, named, object};
use crate::policy::Violation;
use crate::read::POLICY_KEYS;

/// `service_policy`.
pub fn policy() -> Json {
    let properties: Map<String, Json> =
        POLICY_KEYS.iter().map(|key| ((*key).to_owned(), of_key(key).unwrap_or(Json::Bool(true)))).collect();
    object(properties, &["version", "services"])
}

/// The schema of a key of a policy; `None` when nobody has written one.
pub fn of_key(key: &str) -> Option<Json> {
    Some(match key {
        "version" => json!({"const": 1}),
        "tenant" => json!({"$ref": "#/$defs/text", "description": "Whose calls are judged; everybody's by default."}),
        "alert" => {
            let kinds = Violation::ALL.map(|kind| (kind.as_str().to_owned(), json!({"type": "boolean"})));
            object(kinds.into_iter().collect(), &[])
        }
        "services" => named(&service()),
        "exceptions" => json!({"type": "array", "items": exception()}),
        "workloads" => named(&json!({"$ref": "#/$defs/workload"})),
        "ingress" => json!({"$ref": "#/$defs/workload"}),
        _ => return None,
    })
}

/// Patterns of operations.
pub fn operations() -> Json {
    let text = json!({"$ref": "#/$defs/text"});
    json!({"anyOf": [text, {"type": "array", "items": text, "minItems": 1}],
        "examples": [["GET /orders/{id}"], ["**"]]})
}

/// Where a service runs.
pub fn workload() -> Json {
    let port = json!({"type": "integer", "minimum": 1, "maximum": 65_535});
    let text = json!({"$ref": "#/$defs/text"});
    let keys = json!({"namespace": text, "labels": named(&text), "service_account": text,
        "ports": {"anyOf": [port, {"type": "array", "items": port}]}});
    closed(&keys, &["namespace"])
}

/// Who may call a service; nobody when it is empty.
fn service() -> Json {
    let operations = json!({"$ref": "#/$defs/operations"});
    let keys = json!({"external": {"anyOf": [{"type": "boolean"}, operations]}, "callers": named(&operations)});
    json!({"anyOf": [closed(&keys, &[]), {"type": "null"}]})
}

fn exception() -> Json {
    let text = json!({"$ref": "#/$defs/text"});
    let keys = json!({"caller": text, "callee": text, "operations": {"$ref": "#/$defs/operations"}, "reason": text,
        "until": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "description": "The last day on which it is allowed, UTC."}});
    closed(&keys, &["caller", "callee", "until", "reason"])
}
