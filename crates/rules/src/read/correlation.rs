//! The `correlation` part.

use std::sync::Arc;

use super::{baseline, condition, flag, geo, inherited, keys, nearest, references, required, texts, trace};
use crate::atom::Relation;
use crate::diagnostic::{Place, Report, code};
use crate::expression::Expression;
use crate::kinds::{self, KINDS, Kind, LooksAt};
use crate::rule::{Alias, Condition, Correlation, Reference};
use crate::timespan;
use crate::yaml::{Node, Value};

/// The keys of a correlation over windows.
pub const KEYS: [&str; 7] = ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];
const RULES: usize = 64;
pub const KEYS_OF_GROUP: usize = 16;
const SPAN_NANOS: i64 = 365 * 86_400 * 1_000_000_000;

/// Reads a correlation; `None` after reporting.
pub fn read(node: &Node, report: &mut Report) -> Option<Correlation> {
    if node.entries().is_none() {
        let message = format!("correlation must be a map, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "");
        return None;
    }
    let kind = kind(node, report);
    match kind.map(|kind| (kind, kind.looks_at)) {
        Some((kind, LooksAt::Traces)) => return over_traces(node, kind, report),
        Some((kind, LooksAt::Baselines)) => return baseline::read(node, kind, report),
        _ => {}
    }
    if let Some(kind) = kind.filter(|kind| kind.name == "geo") {
        return geo::read(node, kind, report);
    }
    keys(node, &KEYS, "a correlation", report);
    let kind = kind?;
    let span_nanos = span(node, report)?;
    let mut rules = node.get("rules").map(|rules| references(rules, report)).unwrap_or_default();
    for (number, reference) in rules.iter().enumerate() {
        if rules[..number].iter().any(|earlier| earlier.rule == reference.rule) {
            let message = format!("{:?} is named twice", reference.rule);
            report.add(reference.at, code::BAD_VALUE, message, "name each rule once");
            return None;
        }
    }
    let condition = condition(node, kind, &mut rules, report)?;
    if rules.is_empty() || rules.len() > RULES {
        let message = format!("a correlation refers to 1 to {RULES} rules, got {}", rules.len());
        report.add(node.at, code::MISSING_KEY, message, "list ids or names under rules");
        return None;
    }
    let grouped = node.get("group-by").map(|group| texts(group, "group-by", report)).unwrap_or_default();
    if let Some((_, at)) = grouped.get(KEYS_OF_GROUP) {
        report.add(*at, code::TOO_LARGE, format!("more than {KEYS_OF_GROUP} group-by fields"), "");
    }
    let aliases = aliases(node, &rules, report);
    for (field, at) in grouped.iter().filter(|(field, _)| !aliases.iter().any(|alias| alias.name == *field)) {
        inherited::name(field, *at, report);
    }
    let generate_inputs = flag(node, "generate", report);
    let group_by = grouped.into_iter().map(|(field, _)| field).collect();
    Some(Correlation {
        kind,
        rules,
        group_by,
        aliases,
        span_nanos,
        condition,
        generate_inputs,
        trace: None,
        baseline: None,
    })
}

/// The rules that a correlation refers to; `None` after reporting.
pub fn inputs(node: &Node, report: &mut Report) -> Option<Vec<Reference>> {
    let rules = node.get("rules").map(|rules| references(rules, report)).unwrap_or_default();
    if rules.is_empty() || rules.len() > RULES {
        let message = format!("a correlation refers to 1 to {RULES} rules, got {}", rules.len());
        report.add(node.at, code::MISSING_KEY, message, "list ids or names under rules");
        return None;
    }
    Some(rules)
}

fn over_traces(node: &Node, kind: &'static Kind, report: &mut Report) -> Option<Correlation> {
    keys(node, &trace::KEYS, "a trace_pattern", report);
    let rules = node.get("rules").map(|rules| references(rules, report)).unwrap_or_default();
    if rules.is_empty() {
        let hint = "list ids or names of rules for single spans under rules";
        report.add(node.at, code::MISSING_KEY, "a trace_pattern needs steps", hint);
        return None;
    }
    let (pattern, group_by) = trace::read(node, &rules, report)?;
    Some(Correlation {
        kind,
        rules,
        group_by,
        aliases: Vec::new(),
        span_nanos: pattern.span_nanos,
        condition: Condition::default(),
        generate_inputs: flag(node, "generate", report),
        trace: Some(Arc::new(pattern)),
        baseline: None,
    })
}

fn kind(node: &Node, report: &mut Report) -> Option<&'static Kind> {
    let (name, at) = required(node, "type", "a correlation", report)?;
    let found = kinds::find(&name);
    if found.is_none() {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        report.add(at, code::UNKNOWN_TYPE, format!("there is no correlation type {name:?}"), nearest(&name, &known));
    }
    found
}

pub(super) fn span(node: &Node, report: &mut Report) -> Option<i64> {
    let (text, at) = required(node, "timespan", "a correlation", report)?;
    let nanos = timespan::parse_nanos(&text).filter(|nanos| (1..=SPAN_NANOS).contains(nanos));
    if nanos.is_none() {
        let hint = "a whole number and s, m, h, d, w, M or y, at most a year, as in 10m";
        report.add(at, code::BAD_VALUE, format!("{text:?} is not a timespan"), hint);
    }
    nanos
}

fn condition(node: &Node, kind: &Kind, rules: &mut Vec<Reference>, report: &mut Report) -> Option<Condition> {
    let mut condition = Condition { percentile: 50.0, ..Condition::default() };
    match node.get("condition") {
        Some(text @ Node { value: Value::Text(..), .. }) if kind.takes_expression => {
            condition.expression = Some(expression(text, rules, report)?);
        }
        // the draft of 2.2 lets an ordered correlation say what it means anyway: every rule, in the order of the list
        Some(text @ Node { value: Value::Text(..), .. }) if kind.name == "temporal_ordered" => {
            every_rule(text, rules, report)?;
        }
        Some(map @ Node { value: Value::Map(_), .. }) => bounds(map, &mut condition, report)?,
        Some(other) => {
            let message = format!("the condition of {} must be a map, got {}", kind.name, other.value.type_name());
            report.add(other.at, code::WRONG_TYPE, message, "write it like {gte: 10}");
            return None;
        }
        None => {}
    }
    let at = node.get("condition").map_or(node.at, |found| found.at);
    if kind.needs_bounds && condition.bounds.is_empty() {
        let hint = "write it like {gte: 10}";
        report.add(at, code::MISSING_KEY, format!("{} needs a condition with a number", kind.name), hint);
        return None;
    }
    if kind.needs_field && condition.fields.is_empty() {
        let hint = "write it like {field: user.id, gte: 10}";
        report.add(at, code::MISSING_KEY, format!("{} needs a field in its condition", kind.name), hint);
        return None;
    }
    if condition.fields.len() > 1 && !kind.takes_many_fields {
        report.add(at, code::BAD_VALUE, format!("{} takes one field", kind.name), "");
        return None;
    }
    Some(condition)
}

fn bounds(map: &Node, condition: &mut Condition, report: &mut Report) -> Option<()> {
    for (key, value) in map.entries().unwrap_or_default() {
        let relation = Relation::ALL.into_iter().find(|relation| relation.as_str() == key.text);
        match (key.text.as_str(), relation) {
            ("field", _) => {
                let fields = texts(value, "field", report);
                condition.fields = fields.into_iter().map(|(field, _)| field).collect();
            }
            ("percentile", _) => condition.percentile = percentile(value, report)?,
            (_, Some(relation)) => condition.bounds.push((relation, number(value, &key.text, report)?)),
            ("range", None) => {
                let Value::List(ends) = &value.value else {
                    report.add(value.at, code::WRONG_TYPE, "range takes a list of two numbers", "as in [5, 10]");
                    return None;
                };
                let ends: Option<Vec<f64>> = ends.iter().map(|end| number(end, "range", report)).collect();
                let [low, high] = ends?[..] else {
                    report.add(value.at, code::BAD_VALUE, "range takes a list of two numbers", "as in [5, 10]");
                    return None;
                };
                condition.bounds.extend([(Relation::Gte, low), (Relation::Lte, high)]);
            }
            (other, None) => {
                let known = ["field", "percentile", "gt", "gte", "lt", "lte", "eq", "neq", "range"];
                let message = format!("the condition of a correlation has no key {other:?}");
                report.add(key.at, code::UNKNOWN_KEY, message, nearest(other, &known));
                return None;
            }
        }
    }
    Some(())
}

fn number(node: &Node, key: &str, report: &mut Report) -> Option<f64> {
    if let Value::Number(number, _) = node.value {
        return Some(number);
    }
    report.add(node.at, code::WRONG_TYPE, format!("{key} takes a number, got {}", node.value.type_name()), "");
    None
}

fn percentile(node: &Node, report: &mut Report) -> Option<f64> {
    let percent = number(node, "percentile", report)?;
    if (0.0..=100.0).contains(&percent) {
        return Some(percent);
    }
    report.add(node.at, code::BAD_VALUE, format!("percentile must lie between 0 and 100, got {percent}"), "");
    None
}

/// A boolean condition over rules. Rules it names need not be listed under `rules`.
fn expression(node: &Node, rules: &mut Vec<Reference>, report: &mut Report) -> Option<Expression<usize>> {
    let text = node.scalar_text().unwrap_or_default();
    if rules.is_empty() {
        let words = text.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
        for word in words.filter(|word| !word.is_empty()) {
            let is_keyword = ["and", "or", "not"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
            if !is_keyword && !rules.iter().any(|known| known.rule == word) {
                rules.push(Reference { rule: word.to_owned(), at: node.at });
            }
        }
    }
    let numbered = rules.iter().enumerate().map(|(number, rule)| (rule.rule.clone(), Expression::Atom(number)));
    condition::parse(node, &numbered.collect::<Vec<_>>(), report)
}

/// A condition that can only be the conjunction of all rules; `None` after reporting.
fn every_rule(text: &Node, rules: &mut Vec<Reference>, report: &mut Report) -> Option<()> {
    let found = expression(text, rules, report)?;
    let single = std::slice::from_ref(&found);
    let parts = if let Expression::All(parts) = &found { parts.as_slice() } else { single };
    let mut named: Vec<usize> =
        parts.iter().filter_map(|part| if let Expression::Atom(rule) = part { Some(*rule) } else { None }).collect();
    named.sort_unstable();
    named.dedup();
    if parts.iter().all(|part| matches!(part, Expression::Atom(_))) && named.len() == rules.len() {
        return Some(());
    }
    let hint = "join all of them with and, or use type temporal";
    let message = "temporal_ordered needs every rule, so its condition can only join them all";
    report.add(text.at, code::BAD_CONDITION, message, hint);
    None
}

/// Names for fields that rules call differently.
pub fn aliases(node: &Node, rules: &[Reference], report: &mut Report) -> Vec<Alias> {
    let Some(found) = node.get("aliases") else { return Vec::new() };
    let Some(entries) = found.entries() else {
        wrong_alias(found.at, report);
        return Vec::new();
    };
    let mut aliases = Vec::new();
    for (name, fields) in entries {
        let Some(entries) = fields.entries() else {
            wrong_alias(fields.at, report);
            continue;
        };
        let mut alias = Alias { name: name.text.clone(), fields: Vec::new() };
        for (rule, field) in entries {
            let is_known = rules.iter().any(|known| known.rule == rule.text);
            match field.scalar_text() {
                Some(_) if !is_known => {
                    let message = format!("the alias names {:?}, which is not among the rules", rule.text);
                    report.add(rule.at, code::UNKNOWN_RULE, message, "write it as it stands under rules");
                }
                Some(field) => alias.fields.push((Reference { rule: rule.text.clone(), at: rule.at }, field)),
                None => wrong_alias(field.at, report),
            }
        }
        aliases.push(alias);
    }
    aliases
}

fn wrong_alias(at: Place, report: &mut Report) {
    let hint = "write it like aliases: {address: {rule_a: client.address, rule_b: network.peer.address}}";
    report.add(at, code::WRONG_TYPE, "an alias is a map from rule to field", hint);
}
