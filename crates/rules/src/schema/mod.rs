//! The JSON Schema of rule files, for editors and for checks that have no reader of ours.
//!
//! It is built from the tables the reader itself uses: keys of documents and correlations, correlation types, relations,
//! modifiers, levels. A key without a schema here fails a test, and so does a schema for a key that the reader refuses.
//!
//! It describes rules. Files of the folder `pipelines` have no schema: `tracehound rules check` reads them. It sees one
//! document at a time: what a document of a collection (`action`) takes from another is not known to it. A key that nobody
//! knows is marked as deprecated, where the reader warns; only the reader notices that it is a known one misspelt.
//!
//! | to add | write |
//! |---|---|
//! | a correlation type | nothing when it has the keys of a window; else its arm in `correlation.rs` |
//! | a key of a document | its arm in `document.rs` |
//! | a key of a policy | its arm in `policy.rs` |
//! | a modifier | nothing: its line in `modifier::NAMES` |

mod correlation;
mod detection;
mod document;
mod policy;

use serde_json::{Map, Value as Json, json};

use crate::read::{BODIES, example};

/// Where the schema of a running server is found, as rule files name it in their first line.
pub const PATH: &str = "/schemas/rule.json";

/// A schema that describes one document of a rule file.
pub fn rule() -> Json {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:tracehound:schema:rule",
        "title": "Tracehound rule",
        "description": "One document of a rule file: a Sigma rule on single events, a correlation, a filter, or a service-call policy. Files of the folder pipelines are not rules and have no schema.",
        "type": "object",
        "properties": document::properties(),
        "additionalProperties": custom(),
        // a part of a collection need not be whole
        "if": {"required": ["action"]},
        "else": {
            "required": ["title"],
            "oneOf": BODIES.map(|body| json!({"required": [body]})),
        },
        "$defs": {
            "text": text(),
            "texts": {"anyOf": [text(), {"type": "null"}, {"type": "array", "items": text()}]},
            "length": length(),
            "selection": detection::selection(),
            "condition": {"type": "string", "minLength": 1},
            "event": event(),
            "operations": policy::operations(),
            "workload": policy::workload(),
        },
    })
}

/// Text, or what reads as text.
fn text() -> Json {
    json!({"type": ["string", "number", "boolean"]})
}

/// A length of time.
fn length() -> Json {
    json!({"type": "string", "pattern": "^\\s*[0-9]+[smhdwMy]\\s*$", "examples": ["90s", "10m", "7d"]})
}

/// What is kept and means nothing.
fn custom() -> Json {
    json!({"description": "Not a key of rules: it is kept and means nothing.", "deprecated": true})
}

fn event() -> Json {
    json!({
        "type": "object",
        "properties": {
            "offset": {"$ref": "#/$defs/length"},
            "every": {"$ref": "#/$defs/length"},
            "times": {"type": "integer", "minimum": 1, "maximum": example::EVENTS},
            "event": {"type": "object"},
        },
        "required": ["event"],
        "dependentRequired": {"every": ["times"], "times": ["every"]},
        "additionalProperties": false,
    })
}

/// A map of names to something.
fn named(of: &Json) -> Json {
    json!({"type": "object", "additionalProperties": of})
}

/// A map with exactly these keys.
fn object(properties: Map<String, Json>, required: &[&str]) -> Json {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// As [`object`], from a literal.
fn closed(properties: &Json, required: &[&str]) -> Json {
    object(properties.as_object().cloned().unwrap_or_default(), required)
}

#[cfg(test)]
mod tests;
