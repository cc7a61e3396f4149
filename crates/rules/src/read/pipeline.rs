//! Pipeline files: YAML documents to pipelines, every fault reported with its place.

use std::sync::Arc;

use regex::Regex;

use super::{change, condition, flag, keys, list, nearest, required, text, texts};
use crate::diagnostic::{Place, Report, code};
use crate::expression::Expression;
use crate::pipeline::condition::{FieldCondition, ItemCondition, RuleCondition};
use crate::pipeline::{Pipeline, Step, hash};
use crate::yaml::{self, Node, Value};

/// Transformations of one file, nested ones counted.
const STEPS: usize = 2_000;
/// How deep `nest` may nest.
const NESTED: usize = 4;
/// Compiled size that one regular expression of a condition may have.
const REGEX_BYTES: usize = 64 * 1024;

const TOP_KEYS: [&str; 5] = ["name", "priority", "vars", "transformations", "allowed_backends"];
const SPEAKS_OF_QUERIES: [&str; 2] = ["postprocessing", "finalizers"];

/// Keys that say when a transformation applies.
pub const WHEN: [&str; 13] = [
    "id",
    "type",
    "rule_conditions",
    "rule_cond_op",
    "rule_cond_expr",
    "rule_cond_not",
    "field_name_conditions",
    "field_name_cond_op",
    "field_name_cond_not",
    "detection_item_conditions",
    "detection_item_cond_op",
    "detection_item_cond_not",
    "detection_item_cond_expr",
];

/// Reads a file of pipelines; they are complete only when `report` stays empty.
pub fn pipelines(text: &str, report: &mut Report) -> Vec<Arc<Pipeline>> {
    let Some(documents) = yaml::documents(text, report) else { return Vec::new() };
    if documents.is_empty() {
        report.add(Place { line: 1, column: 1 }, code::MISSING_KEY, "the file holds no pipeline", "");
    }
    documents.iter().filter_map(|document| pipeline(document, report)).map(Arc::new).collect()
}

fn pipeline(document: &Node, report: &mut Report) -> Option<Pipeline> {
    if document.entries().is_none() {
        let message = format!("a pipeline must be a map, got {}", document.value.type_name());
        report.add(document.at, code::WRONG_TYPE, message, "begin with name: and transformations:");
        return None;
    }
    for (key, _) in document.entries().unwrap_or_default() {
        if SPEAKS_OF_QUERIES.contains(&key.text.as_str()) {
            let message = format!("{} changes the text of queries, and there is none here", key.text);
            report.add(key.at, code::UNKNOWN_KEY, message, "remove it");
            return None;
        }
    }
    keys(document, &TOP_KEYS, "a pipeline", report);
    let (name, _) = required(document, "name", "a pipeline", report)?;
    let priority = match document.get("priority") {
        None => 0,
        Some(Node { value: Value::Number(number, _), .. }) if number.fract() == 0.0 => *number as i64,
        Some(other) => {
            report.add(other.at, code::WRONG_TYPE, "priority must be a whole number", "lower ones run first");
            return None;
        }
    };
    let vars = document.get("vars").map(|vars| placeholders(vars, report)).unwrap_or_default();
    let mut steps = Vec::new();
    if let Some(listed) = document.get("transformations") {
        let outer = (Expression::all(Vec::new()), String::new());
        read_steps(listed, &outer, NESTED, &mut steps, report);
    }
    Some(Pipeline { name, priority, vars, steps })
}

fn placeholders(node: &Node, report: &mut Report) -> Vec<(String, Vec<Node>)> {
    let Some(entries) = node.entries() else {
        let message = format!("vars must be a map, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "write it like {servers: [srv1, 'web*']}");
        return Vec::new();
    };
    let mut vars = Vec::new();
    for (key, value) in entries {
        let values = list(value).to_vec();
        if values.is_empty() || values.iter().any(|value| value.scalar_text().is_none()) {
            let message = format!("the values of {:?} must be texts or numbers, at least one", key.text);
            report.add(value.at, code::WRONG_TYPE, message, "");
        }
        vars.push((key.text.clone(), values));
    }
    vars
}

/// Reads transformations; those inside `nest` are conditioned by it as well.
fn read_steps(
    node: &Node,
    outer: &(Expression<RuleCondition>, String),
    depth: usize,
    steps: &mut Vec<Arc<Step>>,
    report: &mut Report,
) {
    let Value::List(items) = &node.value else {
        let message = format!("transformations must be a list, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "");
        return;
    };
    for item in items {
        if steps.len() >= STEPS {
            report.add(item.at, code::TOO_LARGE, format!("more than {STEPS} transformations"), "split the file");
            return;
        }
        if item.entries().is_none() {
            report.add(item.at, code::WRONG_TYPE, "a transformation must be a map", "begin with type:");
            continue;
        }
        let Some((kind, at)) = required(item, "type", "a transformation", report) else { continue };
        let Some(rule) = conditions(item, "rule", rule_condition, report) else { continue };
        let rule = Expression::all(vec![outer.0.clone(), rule]);
        if kind == "nest" {
            let mut known = WHEN.to_vec();
            known.push("items");
            keys(item, &known, "nest", report);
            if depth == 0 {
                report.add(at, code::TOO_LARGE, format!("nest inside nest, deeper than {NESTED} times"), "");
            } else if let Some(inner) = item.get("items") {
                let mut canonical = outer.1.clone();
                item.get("rule_conditions").iter().for_each(|node| node.canonical(&mut canonical));
                read_steps(inner, &(rule, canonical), depth - 1, steps, report);
            }
            continue;
        }
        let field = conditions(item, "field_name", field_condition, report);
        let values = conditions(item, "detection_item", item_condition, report);
        let change = change::read(item, &kind, at, report);
        let id = text(item, "id", report).map(|(id, _)| id).unwrap_or_default();
        if let (Some(field), Some(values), Some(change)) = (field, values, change) {
            let mut canonical = outer.1.clone();
            item.canonical(&mut canonical);
            steps.push(Arc::new(Step { id, hash: hash(&canonical), rule, field, item: values, change }));
        }
    }
}

/// `x_conditions` with `x_cond_op`, `x_cond_not` and, over named ones, `x_cond_expr`; always true when absent.
fn conditions<C: Clone>(
    item: &Node,
    of: &str,
    read: fn(&Node, &str, Place, &mut Report) -> Option<Expression<C>>,
    report: &mut Report,
) -> Option<Expression<C>> {
    let Some(node) = item.get(&format!("{of}_conditions")) else { return Some(Expression::all(Vec::new())) };
    let mut one = |node: &Node| {
        let (kind, at) = required(node, "type", "a condition", report)?;
        read(node, &kind, at, report)
    };
    let whole = match &node.value {
        Value::List(items) => {
            let parts: Option<Vec<_>> = items.iter().map(&mut one).collect();
            let key = format!("{of}_cond_op");
            match text(item, &key, report) {
                None => Expression::all(parts?),
                Some((op, _)) if op == "and" => Expression::all(parts?),
                Some((op, _)) if op == "or" => Expression::any(parts?),
                Some((op, at)) => {
                    report.add(at, code::BAD_VALUE, format!("{key} cannot be {op:?}"), "and or or");
                    return None;
                }
            }
        }
        Value::Map(entries) => {
            let parts: Option<Vec<_>> =
                entries.iter().map(|(key, node)| Some((key.text.clone(), one(node)?))).collect();
            let parts = parts?;
            let Some(expression) = item.get(&format!("{of}_cond_expr")) else {
                let message = format!("named {of}_conditions need {of}_cond_expr");
                report.add(node.at, code::MISSING_KEY, message, "or write them as a list");
                return None;
            };
            condition::parse(expression, &parts, report)?
        }
        other => {
            let message = format!("{of}_conditions must be a list or a map, got {}", other.type_name());
            report.add(node.at, code::WRONG_TYPE, message, "");
            return None;
        }
    };
    Some(if flag(item, &format!("{of}_cond_not"), report) { Expression::not(whole) } else { whole })
}

fn rule_condition(node: &Node, kind: &str, at: Place, report: &mut Report) -> Option<Expression<RuleCondition>> {
    let plain = |key: &str, report: &mut Report| required(node, key, kind, report).map(|(text, _)| text);
    let condition = match kind {
        "logsource" => {
            keys(node, &["type", "category", "product", "service"], "logsource", report);
            RuleCondition::LogSource(super::log_source(node, report))
        }
        "taxonomy" => RuleCondition::Taxonomy(plain("taxonomy", report)?),
        "tag" => RuleCondition::Tag(plain("tag", report)?),
        "rule_attribute" => {
            keys(node, &["type", "attribute", "value"], "rule_attribute", report);
            RuleCondition::Attribute(plain("attribute", report)?, plain("value", report)?)
        }
        "processing_item_applied" => RuleCondition::Applied(plain("processing_item_id", report)?),
        "is_sigma_rule" => RuleCondition::IsRule(true),
        "is_sigma_correlation_rule" => RuleCondition::IsRule(false),
        other => {
            let known = ["logsource", "taxonomy", "tag", "rule_attribute", "processing_item_applied", "is_sigma_rule"];
            return unknown("rule condition", other, at, &known, report);
        }
    };
    Some(Expression::Atom(condition))
}

fn field_condition(node: &Node, kind: &str, at: Place, report: &mut Report) -> Option<Expression<FieldCondition>> {
    if !matches!(kind, "include_fields" | "exclude_fields") {
        return unknown("field name condition", kind, at, &["include_fields", "exclude_fields"], report);
    }
    keys(node, &["type", "fields", "mode"], kind, report);
    let fields = node.get("fields").map(|fields| texts(fields, "fields", report)).unwrap_or_default();
    if fields.is_empty() {
        report.add(node.at, code::MISSING_KEY, format!("{kind} needs fields"), "");
        return None;
    }
    let is_regex = text(node, "mode", report).is_some_and(|(mode, _)| mode == "re");
    let condition = if is_regex {
        let patterns: Option<Vec<Regex>> = fields.iter().map(|(text, at)| anchored(text, *at, report)).collect();
        FieldCondition::Like(patterns?)
    } else {
        FieldCondition::OneOf(fields.into_iter().map(|(field, _)| field).collect())
    };
    let condition = Expression::Atom(condition);
    Some(if kind == "exclude_fields" { Expression::not(condition) } else { condition })
}

fn item_condition(node: &Node, kind: &str, at: Place, report: &mut Report) -> Option<Expression<ItemCondition>> {
    match kind {
        "match_string" => {
            keys(node, &["type", "cond", "pattern", "negate"], kind, report);
            let every = text(node, "cond", report).is_some_and(|(cond, _)| cond == "all");
            let (pattern, at) = required(node, "pattern", kind, report)?;
            let condition = Expression::Atom(ItemCondition::Text { pattern: regex(&pattern, at, report)?, every });
            Some(if flag(node, "negate", report) { Expression::not(condition) } else { condition })
        }
        "is_null" => Some(Expression::Atom(ItemCondition::IsNull)),
        other => unknown("detection item condition", other, at, &["match_string", "is_null"], report),
    }
}

fn unknown<T>(what: &str, found: &str, at: Place, known: &[&str], report: &mut Report) -> Option<T> {
    report.add(at, code::UNKNOWN_TYPE, format!("there is no {what} {found:?} here"), nearest(found, known));
    None
}

/// A pattern for whole names.
fn anchored(text: &str, at: Place, report: &mut Report) -> Option<Regex> {
    regex(&format!("^(?:{text})$"), at, report)
}

/// A regular expression of a pipeline, small because it is asked while rules are read.
pub fn regex(text: &str, at: Place, report: &mut Report) -> Option<Regex> {
    match regex::RegexBuilder::new(text).size_limit(REGEX_BYTES).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            report.add(at, code::BAD_REGEX, last, "syntax of the Rust regex crate: no look-around");
            None
        }
    }
}
