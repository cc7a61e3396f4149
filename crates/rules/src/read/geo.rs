//! A correlation of type `geo`.

use super::{flag, keys, references, required, texts};
use crate::atom::Relation;
use crate::diagnostic::{Report, code};
use crate::geo;
use crate::kinds::Kind;
use crate::read::correlation::{KEYS_OF_GROUP, span};
use crate::rule::{Condition, Correlation};
use crate::yaml::{Node, Value};

/// The keys of a rule on places.
pub const KEYS: [&str; 6] = ["type", "rules", "group-by", "timespan", "condition", "generate"];
const SHAPE: &str = "write it like {field: client.address, speed_gte: 900, distance_gte: 500}";

/// Reads the correlation; `None` after reporting.
pub fn read(node: &Node, kind: &'static Kind, report: &mut Report) -> Option<Correlation> {
    keys(node, &KEYS, "a geo correlation", report);
    let rules = node.get("rules").map(|rules| references(rules, report)).unwrap_or_default();
    if rules.is_empty() {
        report.add(node.at, code::MISSING_KEY, "a geo correlation refers to rules on single events", "");
        return None;
    }
    let grouped = node.get("group-by").map(|group| texts(group, "group-by", report)).unwrap_or_default();
    if grouped.is_empty() || grouped.len() > KEYS_OF_GROUP {
        let message = format!("a geo correlation takes 1 to {KEYS_OF_GROUP} group-by fields, got {}", grouped.len());
        report.add(node.at, code::MISSING_KEY, message, "name whose places are compared, as in [user.id]");
        return None;
    }
    let Some(found) = node.get("condition") else {
        report.add(node.at, code::MISSING_KEY, "a geo correlation needs condition", SHAPE);
        return None;
    };
    if found.entries().is_none() {
        let message = format!("the condition of geo must be a map, got {}", found.value.type_name());
        report.add(found.at, code::WRONG_TYPE, message, SHAPE);
        return None;
    }
    keys(found, &["field", "speed_gte", "distance_gte"], "the condition of geo", report);
    let (address, _) = required(found, "field", "the condition of geo", report)?;
    let speed = positive(found, "speed_gte", report)?;
    let condition = Condition {
        bounds: vec![(Relation::Gte, speed)],
        fields: geo::fields_of(&address),
        distance_km: Some(positive(found, "distance_gte", report)?),
        ..Condition::default()
    };
    Some(Correlation {
        kind,
        rules,
        group_by: grouped.into_iter().map(|(field, _)| field).collect(),
        aliases: Vec::new(),
        span_nanos: span(node, report)?,
        condition,
        generate_inputs: flag(node, "generate", report),
        trace: None,
        baseline: None,
    })
}

fn positive(node: &Node, key: &str, report: &mut Report) -> Option<f64> {
    match node.get(key) {
        Some(Node { value: Value::Number(number, _), .. }) if *number > 0.0 => Some(*number),
        found => {
            let at = found.map_or(node.at, |found| found.at);
            report.add(at, code::MISSING_KEY, format!("{key} must be a number above 0"), SHAPE);
            None
        }
    }
}
