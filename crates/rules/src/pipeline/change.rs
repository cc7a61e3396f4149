//! What a transformation does to a rule, or to one item of it.

use std::collections::HashMap;

use regex::Regex;

use crate::diagnostic::Place;
use crate::log_source::{LogSource, Reach};
use crate::yaml::{Node, Value};

/// Something a pipeline does.
#[derive(Debug, Clone)]
pub enum Change {
    /// Fields of these names are found under others, the first with a value counts.
    FieldNames(HashMap<String, Vec<String>>),
    /// Beginnings of field names are replaced, the longest that fits.
    FieldPrefixes(Vec<(String, String)>),
    /// Something is put before the name of a field.
    Prefix(String),
    /// Something is put behind it.
    Suffix(String),
    /// The item is left out.
    DropItem,
    /// What events of the log source look like, as a selection; `true` when they must not look so.
    AddCondition(Node, bool),
    /// The rule gets another log source.
    AnotherLogSource(LogSource),
    /// The signal that the log source comes as.
    Signal(Reach),
    /// Texts are rewritten.
    ReplaceText(Regex, String),
    /// Texts become others, or several.
    MapText(HashMap<String, Vec<String>>),
    /// The item's values become this one.
    SetValue(Value),
    /// Placeholders become `*`.
    WildcardPlaceholders(Choice),
    /// Placeholders become the values of the pipelines' `vars`.
    ValuePlaceholders(Choice),
    /// The rule is refused.
    RefuseRule(String),
    /// The rule is refused when it has such an item.
    RefuseItem(String),
}

/// Names that are meant: those included, or all that are not excluded.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

impl Choice {
    pub fn takes(&self, name: &str) -> bool {
        let listed = |names: &[String]| names.iter().any(|listed| listed == name);
        (self.include.is_empty() || listed(&self.include)) && !listed(&self.exclude)
    }
}

/// One entry of a selection on its way through the pipelines.
#[derive(Debug)]
pub struct Item {
    /// Names to look under, first value first; empty for keywords.
    pub names: Vec<String>,
    pub values: Vec<Node>,
    pub is_dropped: bool,
}

impl Change {
    /// Changes an item; the message when it is one that must not be.
    pub fn apply(&self, item: &mut Item) -> Result<(), String> {
        match self {
            Self::FieldNames(mapping) => rename(&mut item.names, |name| mapping.get(name).cloned()),
            Self::FieldPrefixes(mapping) => rename(&mut item.names, |name| {
                let (old, new) = mapping.iter().find(|(old, _)| name.starts_with(old.as_str()))?;
                Some(vec![format!("{new}{}", &name[old.len()..])])
            }),
            Self::Prefix(prefix) => rename(&mut item.names, |name| Some(vec![format!("{prefix}{name}")])),
            Self::Suffix(suffix) => rename(&mut item.names, |name| Some(vec![format!("{name}{suffix}")])),
            Self::DropItem => item.is_dropped = true,
            Self::ReplaceText(pattern, with) => {
                revalue(&mut item.values, |text| Some(vec![pattern.replace_all(text, with.as_str()).into_owned()]))
            }
            Self::MapText(mapping) => revalue(&mut item.values, |text| mapping.get(text).cloned()),
            Self::SetValue(value) => {
                let at = item.values.first().map_or(Place::default(), |node| node.at);
                item.values = vec![Node { at, value: value.clone() }];
            }
            Self::RefuseItem(message) => return Err(message.clone()),
            // these speak of the whole rule
            Self::AddCondition(..)
            | Self::AnotherLogSource(_)
            | Self::Signal(_)
            | Self::WildcardPlaceholders(_)
            | Self::ValuePlaceholders(_)
            | Self::RefuseRule(_) => {}
        }
        Ok(())
    }
}

fn rename(names: &mut Vec<String>, change: impl Fn(&str) -> Option<Vec<String>>) {
    let renamed = names.iter().flat_map(|name| change(name).unwrap_or_else(|| vec![name.clone()]));
    *names = renamed.collect();
}

/// Texts are values that were written as text; numbers and the like stay.
fn revalue(values: &mut Vec<Node>, change: impl Fn(&str) -> Option<Vec<String>>) {
    let changed = std::mem::take(values).into_iter().flat_map(|node| match &node.value {
        Value::Text(text, _) => match change(text) {
            Some(texts) => {
                texts.into_iter().map(|text| Node { at: node.at, value: Value::Text(text, false) }).collect()
            }
            None => vec![node],
        },
        _ => vec![node],
    });
    *values = changed.collect();
}
