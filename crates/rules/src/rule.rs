//! A rule as its file says it, before names are resolved.

use std::sync::Arc;

use model::detection::RuleInfo;

use crate::atom::{Atom, Relation};
use crate::baseline::Baseline;
use crate::diagnostic::Place;
use crate::expression::Expression;
use crate::kinds::Kind;
use crate::log_source::{LogSource, Reach};
use crate::pipeline::Mapping;
use crate::policy::Policy;
use crate::trace::TracePattern;
use crate::yaml::Node;

/// One document of a rule file.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What alerts say of it. The version is a hash of `meaning` until references are resolved.
    pub info: RuleInfo,
    /// Sigma `name`, by which correlations may refer to it.
    pub name: Option<String>,
    /// Where the document begins.
    pub at: Place,
    /// `generate` at the top.
    pub generate: bool,
    /// How repeats are held back.
    pub suppress: Option<Suppress>,
    /// The unit tests of the rule.
    pub examples: Vec<Example>,
    /// What decides its verdicts, in canonical text.
    pub meaning: String,
    /// What it looks for.
    pub body: Body,
}

impl Rule {
    /// What other rules may call it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.info.id.as_str()).chain(self.name.as_deref())
    }

    /// The rules it refers to.
    pub fn references(&self) -> &[Reference] {
        match &self.body {
            Body::Event(_) | Body::Policy(_) => &[],
            Body::Correlation(correlation) => &correlation.rules,
            Body::Filter(filter) => &filter.rules,
        }
    }
}

/// What a rule looks for.
#[derive(Debug, Clone)]
pub enum Body {
    /// Single events.
    Event(EventRule),
    /// Several events.
    Correlation(Correlation),
    /// A condition that is added to other rules.
    Filter(Filter),
    /// Who may call whom.
    Policy(Arc<Policy>),
}

/// A rule on single events.
#[derive(Debug, Clone)]
pub struct EventRule {
    /// What it says its events are.
    pub log_source: LogSource,
    /// Which events it is shown.
    pub reach: Reach,
    /// What events of its log source look like; not asked offline, where a file does not say what its events are.
    pub within: Option<Expression<Arc<Atom>>>,
    /// The condition.
    pub expression: Expression<Arc<Atom>>,
    /// What pipelines say of its fields.
    pub mapping: Arc<Mapping>,
}

/// A Sigma filter: the rules it names, and whose log source it covers, must satisfy its condition as well.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Which rules; empty means every event rule.
    pub rules: Vec<Reference>,
    /// Only rules of this log source.
    pub log_source: LogSource,
    /// Its selections and condition, which each rule reads through its own mapping.
    pub detection: Node,
}

/// A rule named by another.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Id or name.
    pub rule: String,
    /// Where.
    pub at: Place,
}

/// A rule on several events.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// Its type.
    pub kind: &'static Kind,
    /// The rules whose events it joins, in order.
    pub rules: Vec<Reference>,
    /// Fields or aliases whose values must be the same.
    pub group_by: Vec<String>,
    /// For each alias, the field it stands for, by rule.
    pub aliases: Vec<Alias>,
    /// Length of the window, in nanoseconds.
    pub span_nanos: i64,
    /// When it fires.
    pub condition: Condition,
    /// `generate` inside the correlation part: the rules it refers to raise alerts as well.
    pub generate_inputs: bool,
    /// What it looks for in a trace, when that is what it looks at.
    pub trace: Option<Arc<TracePattern>>,
    /// What it learns, when that is what it looks at.
    pub baseline: Option<Arc<Baseline>>,
}

/// One name for what different rules call differently.
#[derive(Debug, Clone)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// Rule and field.
    pub fields: Vec<(Reference, String)>,
}

/// When a correlation fires.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// All must hold for the metric.
    pub bounds: Vec<(Relation, f64)>,
    /// The fields whose values are counted, or the one that is summed.
    pub fields: Vec<String>,
    /// Which percentile, 0 to 100.
    pub percentile: f64,
    /// Least distance between places, in kilometres; set where the values are places, and `fields` as
    /// [`crate::geo::fields_of`] says.
    pub distance_km: Option<f64>,
    /// Over the numbers of `rules`: which must have been seen.
    pub expression: Option<Expression<usize>>,
}

impl Condition {
    /// Whether more events can only bring it closer to firing.
    pub fn only_lower_bounds(&self) -> bool {
        self.bounds.iter().all(|(relation, _)| matches!(relation, Relation::Gt | Relation::Gte))
    }

    /// The bounds as a person reads them.
    pub fn bounds_text(&self) -> String {
        let one = |(relation, bound): &(Relation, f64)| match relation {
            Relation::Gt => format!("more than {bound}"),
            Relation::Gte => format!("at least {bound}"),
            Relation::Lt => format!("fewer than {bound}"),
            Relation::Lte => format!("at most {bound}"),
            Relation::Eq => format!("exactly {bound}"),
            Relation::Neq => format!("other than {bound}"),
        };
        self.bounds.iter().map(one).collect::<Vec<_>>().join(" and ")
    }
}

/// How repeats of an alert are held back while live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppress {
    /// Fields whose values tell repeats apart; empty means the rule's group.
    pub by: Vec<String>,
    /// For how long, in nanoseconds.
    pub for_nanos: i64,
}

/// A unit test inside a rule file.
#[derive(Debug, Clone)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// Where it stands.
    pub at: Place,
    /// Whether the rule must fire.
    pub expect_match: bool,
    /// Events as JSON objects, with their time in nanoseconds after the first.
    pub events: Vec<(i64, serde_json::Map<String, serde_json::Value>)>,
}
