//! The `detection` part: selections, and the condition that joins them.

use std::sync::Arc;

use super::condition;
use crate::atom::Atom;
use crate::diagnostic::{Report, code};
use crate::expression::Expression;
use crate::modifier;
use crate::pipeline::Mapping;
use crate::yaml::{Node, Value};

/// A named selection, compiled.
pub type Selection = (String, Expression<Arc<Atom>>);

/// Reads selections and condition; `besides` are keys of the map that are neither.
pub fn expression(
    node: &Node,
    besides: &[&str],
    mapping: &Mapping,
    report: &mut Report,
) -> Option<Expression<Arc<Atom>>> {
    let Some(entries) = node.entries() else {
        let message = format!("detection must be a map, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "name a selection and give a condition");
        return None;
    };
    let mut selections: Vec<Selection> = Vec::new();
    let mut is_whole = true;
    for (key, value) in entries {
        match key.text.as_str() {
            "condition" => {}
            name if besides.contains(&name) => {}
            "timeframe" => {
                let hint = "write a correlation with a timespan";
                report.add(key.at, code::UNKNOWN_KEY, "timeframe left Sigma with version 2", hint);
            }
            name => match selection(value, mapping, report) {
                Some(compiled) => selections.push((name.to_owned(), compiled)),
                None => is_whole = false,
            },
        }
    }
    let Some(condition) = node.get("condition") else {
        report.add(node.at, code::MISSING_KEY, "detection needs a condition", "for one selection: its name");
        return None;
    };
    let single = std::slice::from_ref(condition);
    let listed = if let Value::List(items) = &condition.value { items.as_slice() } else { single };
    if !is_whole {
        return None;
    }
    // a list of conditions is read as sigma-cli does: any of them
    let parsed: Option<Vec<_>> = listed.iter().map(|text| condition::parse(text, &selections, report)).collect();
    parsed.filter(|parts| !parts.is_empty()).map(Expression::any)
}

/// Whether a selection of a pipeline compiles; `None` after reporting.
pub fn selection_is_sound(node: &Node, report: &mut Report) -> Option<()> {
    selection(node, &Mapping::default(), report).map(drop)
}

/// Compiles one selection; `None` after reporting.
pub fn selection(node: &Node, mapping: &Mapping, report: &mut Report) -> Option<Expression<Arc<Atom>>> {
    // every entry is compiled even after a fault, so that all faults are reported at once
    let (parts, join): (Vec<_>, fn(Vec<_>) -> _) = match &node.value {
        Value::Map(entries) => {
            let parts = entries.iter().map(|(key, value)| modifier::item(key, value, mapping, report)).collect();
            (parts, Expression::all)
        }
        Value::List(items) => (items.iter().map(|item| listed(item, mapping, report)).collect(), Expression::any),
        _ => (vec![modifier::keyword(node, mapping, report)], Expression::all),
    };
    if parts.is_empty() {
        report.add(node.at, code::BAD_VALUE, "an empty selection", "name a field and its values");
        return None;
    }
    let kept: Vec<_> = parts.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
    if kept.is_empty() {
        let hint = "a selection without items would match everything";
        report.add(node.at, code::REFUSED, "pipelines drop every item of this selection", hint);
        return None;
    }
    Some(join(kept))
}

fn listed(item: &Node, mapping: &Mapping, report: &mut Report) -> Option<Option<Expression<Arc<Atom>>>> {
    match &item.value {
        Value::Map(_) => selection(item, mapping, report).map(Some),
        Value::List(_) => {
            report.add(item.at, code::WRONG_TYPE, "a list inside a list of selections", "write one flat list");
            None
        }
        _ => modifier::keyword(item, mapping, report),
    }
}
