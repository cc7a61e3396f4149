//! The keys of a document.

use model::Severity;
use serde_json::{Map, Value as Json, json};

use super::{closed, correlation, custom, detection, object, policy};
use crate::read::{RELATIONS, STATUSES, TITLE_CHARS, TOP_KEYS};

/// Every key that a document may have, with its schema.
pub fn properties() -> Map<String, Json> {
    TOP_KEYS.iter().map(|key| ((*key).to_owned(), of(key).unwrap_or(Json::Bool(true)))).collect()
}

/// The schema of a key; `None` when nobody has written one.
pub fn of(key: &str) -> Option<Json> {
    let texts = || json!({"$ref": "#/$defs/texts"});
    let optional_text = |what: &str| json!({"type": ["string", "number", "boolean", "null"], "description": what});
    Some(match key {
        "title" => json!({"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": TITLE_CHARS,
            "description": "What an alert of it is called."}),
        "id" => optional_text("Stable across edits; a UUID by custom. Alerts, suppression and history go by it."),
        "name" => optional_text("By which correlations and filters may refer to it."),
        "description" => optional_text("What it finds, and why its numbers are what they are."),
        "author" => optional_text("Shown on every alert."),
        "runbook" => optional_text("What to do about an alert."),
        "date" | "modified" => optional_text("As in 2026-11-27."),
        "license" | "taxonomy" => optional_text("Kept as it is."),
        "status" => json!({"enum": nullable(&STATUSES)}),
        "level" => json!({"enum": nullable(&Severity::ALL.map(Severity::as_str))}),
        "references" | "falsepositives" => texts(),
        "tags" => json!({"$ref": "#/$defs/texts",
            "description": "As in attack.t1110.003 and owasp.api2; those of ATT&CK make up the coverage."}),
        "fields" | "scope" => json!({"description": "Kept as it is."}),
        "custom" | "simulation" | "regression_tests_path" | "regression_tests" => {
            json!({"description": "Kept as it is."})
        }
        "related" => related(),
        "requires" => json!({"enum": nullable(&["unsampled"]),
            "description": "A pattern over traces stays silent where spans were left out on purpose."}),
        "action" => json!({"enum": ["global", "reset", "repeat"],
            "description": "A part of a collection: laid over the rules that follow, or over the one before."}),
        "logsource" => logsource(),
        "detection" => detection::detection(),
        "filter" => detection::filter(),
        "correlation" => correlation::correlation(),
        "service_policy" => policy::policy(),
        "generate" => json!({"type": "boolean",
            "description": "Raise alerts although a correlation refers to it; on a correlation, let what it refers to raise them."}),
        "tests" => tests(),
        "suppress" => suppress(),
        "risk" => risk(),
        _ => return None,
    })
}

fn nullable(words: &[&str]) -> Vec<Json> {
    words.iter().map(|word| Json::from(*word)).chain([Json::Null]).collect()
}

fn logsource() -> Json {
    let text = json!({"$ref": "#/$defs/text"});
    let keys = crate::read::LOGSOURCE_KEYS.iter().map(|key| ((*key).to_owned(), text.clone())).collect();
    let mut schema = object(keys, &[]);
    schema["additionalProperties"] = custom();
    schema["examples"] = json!([{"product": "otel", "category": "span"}, {"product": "otel", "category": "log"}]);
    schema
}

fn related() -> Json {
    let one = closed(&json!({"id": {"$ref": "#/$defs/text"}, "type": {"enum": RELATIONS}}), &["id", "type"]);
    json!({"anyOf": [one, {"type": "array", "items": one}, {"type": "null"}]})
}

fn tests() -> Json {
    let test = json!({
        "type": "object",
        "properties": {
            "name": {"$ref": "#/$defs/text"},
            "expect": {"enum": ["match", "no_match"]},
            "events": {"type": "array", "items": {"$ref": "#/$defs/event"}},
        },
        "required": ["name", "expect", "events"],
        "additionalProperties": false,
    });
    json!({"type": "array", "items": test, "description": "Unit tests, run by tracehound rules test."})
}

fn suppress() -> Json {
    let keys = json!({"by": {"$ref": "#/$defs/texts"}, "for": {"$ref": "#/$defs/length"}});
    closed(&keys, &["for"])
}

fn risk() -> Json {
    let keys = json!({"entity": true, "score": {"type": "number"}});
    closed(&keys, &[])
}
