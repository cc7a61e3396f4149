//! Patterns over the spans of one trace: which steps it took, how they lie to each other, and which it left out.
//!
//! | file | what it answers |
//! |---|---|
//! | `relation.rs` | how two steps lie to each other, and which demands contradict each other |
//! | `path.rs` | which services a request went through |
//! | `tree.rs` | which span is below which |
//! | `binding.rs` | which spans stand for the steps |
//! | `links.rs` | which traces are looked at together |
//! | `sampling.rs` | whether spans were left out on purpose |
//! | `closing.rs` | when a trace is judged |
//! | `beside.rs` | what spans say besides their places |
//! | `memory.rs` | which traces are remembered |
//! | `pattern.rs` | what one pattern remembers of them, and when it fires |
//! | `saved.rs` | how that is written down |

pub mod beside;
pub mod binding;
pub mod closing;
pub mod lineage;
pub mod links;
pub mod memory;
pub mod path;
pub mod pattern;
pub mod relation;
pub mod sampling;
pub mod saved;
pub mod tree;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use model::{EventId, SpanId};

use crate::expression::Expression;
use path::ServicePath;
use relation::{How, Relation};

/// Steps of one pattern.
pub const STEPS: usize = 8;

/// What a rule of type `trace_pattern` asks for. Steps are numbered as its `rules` are listed.
#[derive(Debug, Clone, Default)]
pub struct TracePattern {
    /// What the rule calls its steps.
    pub steps: Vec<String>,
    /// Which steps must have been taken; all of them when `None`.
    pub expression: Option<Expression<usize>>,
    /// Steps that stand under `not`, one bit each.
    pub absent: u8,
    /// The smallest sets of steps, one bit each, whose spans can make the expression true.
    pub choices: Vec<u8>,
    /// How steps must lie to each other.
    pub relations: Vec<Relation>,
    /// Which values must or must not be the same.
    pub comparisons: Vec<Comparison>,
    /// How many spans must fit to a step, where one is not enough, the spans of the other steps being chosen.
    pub counts: Vec<(usize, usize)>,
    /// A span without a parent that is known stands below the one it links to.
    pub follows_links: bool,
    /// It says nothing of what is absent in a trace whose spans were sampled.
    pub unsampled: bool,
    /// The services from the top of the trace down to the deepest step.
    pub path: Option<ServicePath>,
    /// Wait until the trace is closed; `None` fires as soon as the pattern holds.
    pub wait: Option<Wait>,
    /// A trace in which nothing happens for this long is forgotten; one without a root is judged at this age.
    pub span_nanos: i64,
    /// Where the values of `group-by` come from.
    pub group: Vec<Pick>,
    /// Names for values, for the sentence that says why it fired.
    pub aliases: Vec<(String, Pick)>,
    /// For each step, the fields whose values are remembered.
    pub fields: Vec<Vec<String>>,
}

/// When a trace counts as closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Its root must have been seen.
    pub root: bool,
    /// Nothing may have happened in it for this long, in nanoseconds.
    pub quiet_nanos: i64,
}

/// Step and position among the step's remembered fields; the first one with a value counts.
pub type Pick = Vec<(usize, usize)>;

/// Two values that must, or must not, be the same. A value that is absent is neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Step and position among its remembered fields.
    pub left: (usize, usize),
    /// The other.
    pub right: (usize, usize),
    /// Whether they must be the same.
    pub same: bool,
}

/// A span that matched a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    pub at: i64,
    /// Its place in the log.
    pub order: (u64, u32),
    pub span: SpanId,
    pub step: usize,
    pub event: EventId,
    /// Values of the step's remembered fields.
    pub values: Box<[Option<Arc<str>>]>,
}

impl TracePattern {
    /// Whether a step stands under `not`.
    pub fn is_absent(&self, step: usize) -> bool {
        self.absent & bit(step) != 0
    }

    /// Whether other traces are looked at, because spans link to them.
    pub fn looks_along_links(&self) -> bool {
        self.follows_links || self.relations.iter().any(|relation| relation.how == How::LinkedTo)
    }

    /// Whether the pattern holds when these steps were taken.
    pub fn holds(&self, taken: u8) -> bool {
        let all = (0..self.steps.len()).fold(0, |all, step| all | bit(step));
        self.expression.as_ref().map_or(taken == all, |expression| is_true(expression, taken))
    }

    /// The position of a field among those remembered of a step, which it joins when it is new.
    pub fn field(&mut self, step: usize, field: &str) -> (usize, usize) {
        let fields = &mut self.fields[step];
        let slot = fields.iter().position(|known| known == field).unwrap_or_else(|| {
            fields.push(field.to_owned());
            fields.len() - 1
        });
        (step, slot)
    }
}

/// The bit of a step.
pub fn bit(step: usize) -> u8 {
    u8::try_from(step).ok().and_then(|step| 1_u8.checked_shl(u32::from(step))).unwrap_or(0)
}

/// An expression over steps, for the steps that were taken.
pub fn is_true(expression: &Expression<usize>, taken: u8) -> bool {
    match expression {
        Expression::Atom(step) => taken & bit(*step) != 0,
        Expression::All(parts) => parts.iter().all(|part| is_true(part, taken)),
        Expression::Any(parts) => parts.iter().any(|part| is_true(part, taken)),
        Expression::Not(part) => !is_true(part, taken),
    }
}
