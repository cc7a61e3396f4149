//! Correlations: what all types share, and the types that have keys of their own.

use serde_json::{Map, Value as Json, json};

use super::{closed, named, object};
use crate::atom::Relation;
use crate::baseline::metric::Metric;
use crate::kinds::{KINDS, Kind, LooksAt};
use crate::read::{CORRELATION_KEYS, GEO_KEYS, KEYS_OF_DEVIATION, KEYS_OF_FIRST_SEEN, TRACE_KEYS};
use crate::trace::pattern::MARKS_PER_STEP;
use crate::trace::relation::How;

/// `correlation`: one of the types.
pub fn correlation() -> Json {
    json!({
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": KINDS.map(|kind| kind.name)}},
        "allOf": KINDS.map(|kind| json!({
            "if": {"properties": {"type": {"const": kind.name}}, "required": ["type"]},
            "then": of(kind),
        })),
    })
}

/// The keys of one type. A type with keys of its own has its arm here.
pub fn keys_of(kind: &Kind) -> &'static [&'static str] {
    match kind.name {
        "trace_pattern" => &TRACE_KEYS,
        "first_seen" => &KEYS_OF_FIRST_SEEN,
        "deviation" => &KEYS_OF_DEVIATION,
        "geo" => &GEO_KEYS,
        _ => &CORRELATION_KEYS,
    }
}

fn of(kind: &Kind) -> Json {
    let required: &[&str] = match kind.name {
        "trace_pattern" => &["type", "rules"],
        "first_seen" => &["type", "rules", "fields", "forget"],
        "deviation" => &["type", "rules", "metric", "bucket", "baseline", "condition"],
        "geo" => &["type", "rules", "group-by", "timespan", "condition"],
        _ if kind.needs_bounds || kind.needs_field => &["type", "rules", "timespan", "condition"],
        // a condition over rules says which rules it is about
        _ => &["type", "timespan"],
    };
    let mut schema = of_keys(keys_of(kind), kind, required);
    if kind.name == "first_seen" {
        let returned = json!({"properties": {"returned": {"const": true}}, "required": ["returned"]});
        schema["anyOf"] = json!([{"required": ["learn"]}, returned]);
    }
    schema
}

fn of_keys(keys: &[&str], kind: &Kind, required: &[&str]) -> Json {
    let properties: Map<String, Json> =
        keys.iter().map(|key| ((*key).to_owned(), of_key(key, kind).unwrap_or(Json::Bool(true)))).collect();
    object(properties, required)
}

/// The schema of a key of a correlation; `None` when nobody has written one.
pub fn of_key(key: &str, kind: &Kind) -> Option<Json> {
    Some(match key {
        "type" => json!({"const": kind.name}),
        "rules" => json!({"$ref": "#/$defs/texts", "description": "Ids or names of the rules whose events it joins."}),
        "group-by" => {
            json!({"$ref": "#/$defs/texts", "description": "Fields or aliases whose values must be the same."})
        }
        "timespan" => json!({"$ref": "#/$defs/length"}),
        "generate" => json!({"type": "boolean"}),
        "condition" => condition(kind),
        "aliases" => json!({"type": "object", "additionalProperties": {"type": "object",
            "additionalProperties": {"$ref": "#/$defs/text"}}}),
        "alias" => json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/text"}}),
        "where" => {
            json!({"$ref": "#/$defs/condition", "description": "Which steps were taken, as in payment and not authorization."})
        }
        "relate" => {
            let how = How::ALL.map(How::as_str).join("|");
            sentences(&format!("({how})"), "As in metadata_call descendant_of public_entry.")
        }
        "compare" => sentences("(==|!=)", "As in payment.user.id != gateway.user.id."),
        "count" => {
            let least = json!({"gte": {"type": "integer", "minimum": 1, "maximum": MARKS_PER_STEP}});
            named(&closed(&least, &["gte"]))
        }
        "links" | "returned" => json!({"type": "boolean"}),
        "path" => json!({"type": ["string", "null"], "examples": ["gateway > ** > *"]}),
        "complete" => closed(&json!({"root": {"type": "boolean"}, "quiet": {"$ref": "#/$defs/length"}}), &[]),
        "fields" => json!({"$ref": "#/$defs/texts", "description": "The fields whose values are learned."}),
        "absent" => json!({"$ref": "#/$defs/texts", "description": "Those of them whose absence is a value."}),
        "learn" | "forget" | "remember" | "bucket" => json!({"$ref": "#/$defs/length"}),
        "min_events" => json!({"type": "integer", "minimum": 0}),
        "warm_start" => json!({"enum": ["history", "none"], "description": "Learn from stored events first."}),
        "metric" => metric(),
        "baseline" => {
            let season = json!({"enum": ["none", "hour_of_day", "hour_of_week"]});
            let window = json!({"$ref": "#/$defs/length"});
            let least = json!({"type": "integer", "minimum": 3});
            closed(&json!({"window": window, "season": season, "min_buckets": least}), &["window"])
        }
        _ => return None,
    })
}

/// Sentences of three words, the second of which is one of these.
fn sentences(words: &str, what: &str) -> Json {
    let one = json!({"type": "string", "pattern": format!("^\\s*\\S+\\s+{words}\\s+\\S+\\s*$")});
    json!({"anyOf": [one, {"type": "array", "items": one}], "description": what})
}

fn metric() -> Json {
    let of = |(name, metric): (&str, Metric)| {
        let text = json!({"$ref": "#/$defs/text"});
        let value = match metric {
            Metric::Count => json!({"const": true}),
            Metric::Distinct => json!({"$ref": "#/$defs/texts"}),
            _ => json!({"anyOf": [text, {"type": "array", "items": text, "minItems": 1, "maxItems": 1}]}),
        };
        (name.to_owned(), value)
    };
    let mut schema = object(Metric::ALL.into_iter().map(of).collect(), &[]);
    schema["minProperties"] = 1.into();
    schema["maxProperties"] = 1.into();
    schema
}

fn condition(kind: &Kind) -> Json {
    let above = |least: f64| json!({"type": "number", "exclusiveMinimum": least});
    if kind.looks_at == LooksAt::Baselines {
        let keys = json!({"ratio_gte": above(1.0), "mad_gte": above(0.0), "floor": above(0.0)});
        let mut schema = closed(&keys, &["floor"]);
        schema["anyOf"] = json!([{"required": ["ratio_gte"]}, {"required": ["mad_gte"]}]);
        return schema;
    }
    if kind.name == "geo" {
        let keys = json!({"field": {"$ref": "#/$defs/text"}, "speed_gte": above(0.0), "distance_gte": above(0.0)});
        return closed(&keys, &["field", "speed_gte", "distance_gte"]);
    }
    let mut keys: Map<String, Json> =
        Relation::ALL.iter().map(|relation| (relation.as_str().to_owned(), json!({"type": "number"}))).collect();
    keys.insert(
        "range".to_owned(),
        json!({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
    );
    keys.insert("percentile".to_owned(), json!({"type": "number", "minimum": 0, "maximum": 100}));
    keys.insert(
        "field".to_owned(),
        match kind.takes_many_fields {
            true => json!({"$ref": "#/$defs/texts"}),
            false => json!({"anyOf": [{"$ref": "#/$defs/text"}, {"type": "array", "items": {"$ref": "#/$defs/text"},
            "maxItems": 1}]}),
        },
    );
    let required: &[&str] = if kind.needs_field { &["field"] } else { &[] };
    let mut map = object(keys, required);
    if kind.needs_bounds {
        let numbers = Relation::ALL.iter().map(|relation| relation.as_str()).chain(["range"]);
        map["anyOf"] = numbers.map(|key| json!({"required": [key]})).collect();
    }
    // an ordered correlation may say what it means anyway: every rule
    match kind.takes_expression || kind.name == "temporal_ordered" {
        true => json!({"anyOf": [{"$ref": "#/$defs/condition"}, map]}),
        false => map,
    }
}
