//! Pipelines: what the log sources and fields of Sigma rules are called in OpenTelemetry.
//!
//! A subset of the processing pipelines of pySigma, with one transformation more, `set_signal`: it says that a log
//! source comes as spans, as log records, or as either. A rule whose log source nothing says that of is kept and never
//! evaluated. Pipelines run in order of priority, then of name; a rule is read through those that apply to it.

pub mod change;
pub mod condition;
mod mapping;
mod shipped;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::expression::Expression;
use crate::yaml::Node;

use self::change::Change;
use self::condition::{FieldCondition, ItemCondition, RuleCondition};

pub use self::condition::Subject;
pub use self::mapping::Mapping;

/// The folder that pipelines stand in, wherever it is.
const FOLDER: &str = "pipelines";

/// Whether a file of this name holds pipelines instead of rules: it stands in a folder `pipelines`.
pub fn is_pipeline_file(name: &str) -> bool {
    let mut folders = name.split(['/', '\\']).rev();
    folders.next();
    folders.any(|folder| folder == FOLDER)
}

/// A pipeline, read.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// A later pipeline of the same name takes its place, so that shipped ones can be replaced.
    pub name: String,
    /// Lower ones run first.
    pub priority: i64,
    /// Values of placeholders.
    pub vars: Vec<(String, Vec<Node>)>,
    /// What it does, in order.
    pub steps: Vec<Arc<Step>>,
}

/// One transformation and when it applies.
#[derive(Debug)]
pub struct Step {
    /// What later conditions call it; empty without a name.
    pub id: String,
    /// Hash of its text: a rule gets another version when what applies to it changes.
    pub hash: String,
    pub rule: Expression<RuleCondition>,
    pub field: Expression<FieldCondition>,
    pub item: Expression<ItemCondition>,
    pub change: Change,
}

/// Every pipeline in use, in the order they run.
#[derive(Debug, Clone, Default)]
pub struct Pipelines {
    ordered: Vec<Arc<Pipeline>>,
    vars: Arc<HashMap<String, Vec<Node>>>,
    /// Hash of all values of placeholders.
    vars_hash: String,
}

impl Pipelines {
    /// Those shipped and no others.
    pub fn shipped() -> Arc<Self> {
        Arc::clone(&shipped::ALONE)
    }

    /// The shipped pipelines, with those of files after them. One of the name of another replaces it.
    pub fn new<'p>(own: impl IntoIterator<Item = &'p Arc<Pipeline>>) -> Self {
        let mut named: BTreeMap<&str, &Arc<Pipeline>> = BTreeMap::new();
        for pipeline in shipped::PIPELINES.iter().chain(own) {
            named.insert(&pipeline.name, pipeline);
        }
        let mut ordered: Vec<Arc<Pipeline>> = named.into_values().cloned().collect();
        ordered.sort_by(|left, right| (left.priority, &left.name).cmp(&(right.priority, &right.name)));
        let mut vars = HashMap::new();
        let mut canonical = String::new();
        for pipeline in &ordered {
            for (name, values) in &pipeline.vars {
                canonical.push_str(name);
                values.iter().for_each(|value| value.canonical(&mut canonical));
                vars.insert(name.clone(), values.clone());
            }
        }
        Self { ordered, vars: Arc::new(vars), vars_hash: hash(&canonical) }
    }

    /// What they say of one rule.
    pub fn mapping(&self, subject: &Subject) -> Mapping {
        let mut mapping = Mapping::native(subject.log_source.own_reach());
        let mut subject = subject.clone();
        let mut applied: Vec<&str> = Vec::new();
        for step in self.ordered.iter().flat_map(|pipeline| &pipeline.steps) {
            if condition::holds(&step.rule, &|condition| condition.holds(&subject, &applied)) {
                applied.push(&step.id);
                mapping.take(step, &mut subject);
            }
        }
        mapping.give_values(Arc::clone(&self.vars), &self.vars_hash);
        mapping
    }
}

/// A short hash of a canonical text.
pub fn hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..8])
}

#[cfg(test)]
mod tests;
