//! When a transformation applies: to which rules, which fields, which values.

use regex::Regex;

use crate::expression::Expression;
use crate::log_source::LogSource;
use crate::yaml::{Node, Value};

/// What pipelines look at in a rule.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    pub log_source: LogSource,
    pub taxonomy: String,
    pub tags: Vec<String>,
    /// Text attributes at the top: `level`, `status`, `id`, ...
    pub attributes: Vec<(String, String)>,
}

/// A question about a rule.
#[derive(Debug, Clone)]
pub enum RuleCondition {
    LogSource(LogSource),
    Taxonomy(String),
    Tag(String),
    /// A text attribute has this value.
    Attribute(String, String),
    /// The transformation of this id was applied before.
    Applied(String),
    IsRule(bool),
}

impl RuleCondition {
    /// Whether it holds for a rule, after the transformations of these ids.
    pub fn holds(&self, subject: &Subject, applied: &[&str]) -> bool {
        match self {
            Self::LogSource(wanted) => wanted.covers(&subject.log_source),
            Self::Taxonomy(wanted) => *wanted == subject.taxonomy,
            Self::Tag(wanted) => subject.tags.iter().any(|tag| tag.eq_ignore_ascii_case(wanted)),
            Self::Attribute(name, wanted) => {
                subject.attributes.iter().any(|(found, value)| found == name && value == wanted)
            }
            Self::Applied(id) => applied.contains(&id.as_str()),
            Self::IsRule(is_rule) => *is_rule,
        }
    }
}

/// A question about the name of a field; keywords have none.
#[derive(Debug, Clone)]
pub enum FieldCondition {
    OneOf(Vec<String>),
    Like(Vec<Regex>),
}

impl FieldCondition {
    pub fn holds(&self, field: Option<&str>) -> bool {
        match self {
            Self::OneOf(names) => field.is_some_and(|field| names.iter().any(|name| name == field)),
            Self::Like(patterns) => field.is_some_and(|field| patterns.iter().any(|pattern| pattern.is_match(field))),
        }
    }
}

/// A question about the values of an item.
#[derive(Debug, Clone)]
pub enum ItemCondition {
    /// Texts are found by a regular expression: one of them, or every one.
    Text { pattern: Regex, every: bool },
    /// A value is null.
    IsNull,
}

impl ItemCondition {
    pub fn holds(&self, values: &[Node]) -> bool {
        match self {
            Self::Text { pattern, every } => {
                let mut found =
                    values.iter().map(|node| node.scalar_text().is_some_and(|text| pattern.is_match(&text)));
                if *every { !values.is_empty() && found.all(|found| found) } else { found.any(|found| found) }
            }
            Self::IsNull => values.iter().any(|node| matches!(node.value, Value::Null)),
        }
    }
}

/// Whether an expression over conditions holds; no condition at all always does.
pub fn holds<C>(expression: &Expression<C>, leaf: &impl Fn(&C) -> bool) -> bool {
    match expression {
        Expression::Atom(condition) => leaf(condition),
        Expression::All(parts) => parts.iter().all(|part| holds(part, leaf)),
        Expression::Any(parts) => parts.iter().any(|part| holds(part, leaf)),
        Expression::Not(part) => !holds(part, leaf),
    }
}
