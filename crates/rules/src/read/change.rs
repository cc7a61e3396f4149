//! One transformation of a pipeline.

use std::collections::HashMap;

use model::Signal;

use super::pipeline::{WHEN, regex};
use super::{flag, keys, list, log_source, nearest, required, texts};
use crate::diagnostic::{Place, Report, code};
use crate::log_source::Reach;
use crate::pipeline::change::{Change, Choice};
use crate::yaml::{Node, Value};

/// Names in one mapping.
const NAMES: usize = 10_000;

/// Every transformation, with the keys it takes.
const KNOWN: [(&str, &[&str]); 17] = [
    ("set_signal", &["signal"]),
    ("field_name_mapping", &["mapping"]),
    ("field_name_prefix_mapping", &["mapping"]),
    ("field_name_prefix", &["prefix"]),
    ("field_name_suffix", &["suffix"]),
    ("drop_detection_item", &[]),
    ("add_condition", &["conditions", "negated"]),
    ("change_logsource", &["category", "product", "service"]),
    ("replace_string", &["regex", "replacement"]),
    ("map_string", &["mapping"]),
    ("set_value", &["value"]),
    ("value_placeholders", &["include", "exclude"]),
    ("wildcard_placeholders", &["include", "exclude"]),
    ("rule_failure", &["message"]),
    ("detection_item_failure", &["message"]),
    ("nest", &["items"]),
    ("set_custom_attribute", &["attribute", "value"]),
];

/// Reads a transformation of this kind; `None` after reporting, or when it does nothing here.
pub fn read(item: &Node, kind: &str, at: Place, report: &mut Report) -> Option<Change> {
    let Some((_, own)) = KNOWN.iter().find(|(known, _)| *known == kind) else {
        let known: Vec<&str> = KNOWN.iter().map(|(known, _)| *known).collect();
        let message = format!("there is no transformation {kind:?} here");
        report.add(at, code::UNKNOWN_TYPE, message, nearest(kind, &known));
        return None;
    };
    let known: Vec<&str> = WHEN.iter().chain(*own).copied().collect();
    keys(item, &known, kind, report);
    let plain = |key: &str, report: &mut Report| required(item, key, kind, report).map(|(text, _)| text);
    Some(match kind {
        "set_signal" => Change::Signal(reach(item, report)?),
        "field_name_mapping" => Change::FieldNames(names(item, kind, report)?),
        "field_name_prefix_mapping" => {
            let mut prefixes: Vec<(String, String)> = Vec::new();
            for (old, new) in names(item, kind, report)? {
                prefixes.extend(new.into_iter().map(|new| (old.clone(), new)));
            }
            prefixes.sort_by(|left, right| (right.0.len(), &left.0).cmp(&(left.0.len(), &right.0)));
            Change::FieldPrefixes(prefixes)
        }
        "field_name_prefix" => Change::Prefix(plain("prefix", report)?),
        "field_name_suffix" => Change::Suffix(plain("suffix", report)?),
        "drop_detection_item" => Change::DropItem,
        "add_condition" => match item.get("conditions") {
            Some(node @ Node { value: Value::Map(_) | Value::List(_), .. }) => {
                super::detection::selection_is_sound(node, report)?;
                Change::AddCondition(node.clone(), flag(item, "negated", report))
            }
            _ => {
                report.add(
                    item.at,
                    code::MISSING_KEY,
                    "add_condition needs conditions",
                    "a selection, as in {kind: server}",
                );
                return None;
            }
        },
        "change_logsource" => Change::AnotherLogSource(log_source(item, report)),
        "replace_string" => {
            let (text, at) = required(item, "regex", kind, report)?;
            Change::ReplaceText(regex(&text, at, report)?, plain("replacement", report)?)
        }
        "map_string" => Change::MapText(names(item, kind, report)?),
        "set_value" => match item.get("value") {
            Some(node) if !matches!(node.value, Value::List(_) | Value::Map(_)) => Change::SetValue(node.value.clone()),
            _ => {
                report.add(item.at, code::MISSING_KEY, "set_value needs value, one text, number, boolean or null", "");
                return None;
            }
        },
        "value_placeholders" => Change::ValuePlaceholders(choice(item, report)),
        "wildcard_placeholders" => Change::WildcardPlaceholders(choice(item, report)),
        "rule_failure" => Change::RefuseRule(plain("message", report)?),
        "detection_item_failure" => Change::RefuseItem(plain("message", report)?),
        // what it sets nobody reads here
        _ => return None,
    })
}

fn reach(item: &Node, report: &mut Report) -> Option<Reach> {
    let (signal, at) = required(item, "signal", "set_signal", report)?;
    match signal.as_str() {
        "span" => Some(Reach::Only(Signal::Spans)),
        "log" => Some(Reach::Only(Signal::Logs)),
        "any" => Some(Reach::Everywhere),
        other => {
            report.add(at, code::BAD_VALUE, format!("signal cannot be {other:?}"), "span, log or any");
            None
        }
    }
}

fn choice(item: &Node, report: &mut Report) -> Choice {
    let mut listed = |key: &str| -> Vec<String> {
        let found = item.get(key).map(|node| texts(node, key, report)).unwrap_or_default();
        found.into_iter().map(|(name, _)| name).collect()
    };
    Choice { include: listed("include"), exclude: listed("exclude") }
}

/// A map from a name to a name or several.
fn names(item: &Node, kind: &str, report: &mut Report) -> Option<HashMap<String, Vec<String>>> {
    let Some(Node { value: Value::Map(entries), .. }) = item.get("mapping") else {
        report.add(
            item.at,
            code::MISSING_KEY,
            format!("{kind} needs mapping, a map"),
            "as in {CommandLine: process.command_line}",
        );
        return None;
    };
    if entries.len() > NAMES {
        report.add(item.at, code::TOO_LARGE, format!("more than {NAMES} names in one mapping"), "split it");
        return None;
    }
    let mut mapping = HashMap::new();
    for (key, node) in entries {
        let texts: Option<Vec<String>> = list(node).iter().map(Node::scalar_text).collect();
        match texts {
            Some(texts) if !texts.is_empty() => drop(mapping.insert(key.text.clone(), texts)),
            _ => {
                let message = format!("{:?} must be mapped to a text or a list of texts", key.text);
                report.add(node.at, code::WRONG_TYPE, message, "");
                return None;
            }
        }
    }
    Some(mapping)
}
