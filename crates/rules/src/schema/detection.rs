//! Selections and their condition.

use serde_json::{Value as Json, json};

use crate::modifier;

/// `detection`: selections by name, and what joins them.
pub fn detection() -> Json {
    json!({
        "type": "object",
        "properties": {"condition": condition(), "timeframe": false},
        "required": ["condition"],
        "minProperties": 2,
        "additionalProperties": {"$ref": "#/$defs/selection"},
    })
}

/// `filter`: a condition that is added to other rules.
pub fn filter() -> Json {
    json!({
        "type": "object",
        "properties": {
            "rules": {"anyOf": [{"const": "any"}, {"$ref": "#/$defs/texts"}]},
            "condition": condition(),
            "timeframe": false,
        },
        "required": ["condition"],
        "additionalProperties": {"$ref": "#/$defs/selection"},
    })
}

/// A text, or several of which one must hold.
fn condition() -> Json {
    let one = json!({"$ref": "#/$defs/condition"});
    json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
}

/// Fields with modifiers, a list of such maps, or keywords.
pub fn selection() -> Json {
    json!({"anyOf": [
        fields(),
        {"type": "array", "minItems": 1, "items": {"anyOf": [fields(), {"type": ["string", "number", "boolean", "null"]}]}},
        {"type": ["string", "number", "boolean"]},
    ]})
}

fn fields() -> Json {
    let scalar = json!({"type": ["string", "number", "boolean", "null"]});
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": format!("^[^|]*(\\|\\s*({})\\s*)*$", modifier::NAMES.join("|"))},
        "additionalProperties": {"anyOf": [scalar, {"type": "array", "items": scalar, "minItems": 1}]},
    })
}
