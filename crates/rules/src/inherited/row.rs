//! What is kept of a row that may match, and whether it matches when all is known.

use std::sync::Arc;

use model::{EventId, SpanId, TraceId};

use super::REACH_NANOS;
use super::plan::{Inheritance, Place, Waiting};
use super::{Ancestor, facts::Facts};
use crate::atom::{Cell, Test};
use crate::expression::Expression;
use crate::index::Desk;
use crate::set::RuleSet;
use crate::trace::memory::Trace;
use crate::trace::tree::Span;

/// Spans on the way up that are looked at; a longer way, or one that runs in a circle, leads nowhere.
const STEPS: u16 = 256;
/// What a row takes besides its texts, in bytes; errs upwards.
const ROW_BYTES: usize = 320;
const VALUE_BYTES: usize = 48;

/// A row that may match.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Number of its rule in the set.
    pub rule: usize,
    pub at: i64,
    /// Its place in the log.
    pub order: (u64, u32),
    pub event: EventId,
    /// It is a span, not a log record.
    pub is_span: bool,
    pub trace: Option<TraceId>,
    /// The span that it is, or that it names.
    pub span: Option<SpanId>,
    /// The span right above.
    pub parent: Option<SpanId>,
    /// Answers to the plain atoms of its rule.
    pub truths: Box<[bool]>,
    /// Values of the fields that its rule keeps.
    pub values: Box<[Option<Arc<str>>]>,
    pub climb: Climb,
    /// Nothing that may still come can change what it inherits.
    pub is_settled: bool,
}

/// How far the way up to the root is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Climb {
    /// The span to be found next; `None` at the end of the way.
    pub next: Option<SpanId>,
    root: Option<SpanId>,
    /// The topmost server span so far.
    server: Option<SpanId>,
    steps: u16,
}

impl Climb {
    /// From a span upwards.
    pub fn from(span: Option<SpanId>) -> Self {
        Self { next: span, ..Self::default() }
    }
}

/// The values of an inherited field: none when it is absent, several when it is a list.
type Values = Box<[Arc<str>]>;

/// A row of which all is known.
#[derive(Debug)]
pub struct Known {
    pub row: Row,
    /// By number of the field.
    inherited: Vec<(usize, Values)>,
}

impl Row {
    /// When it is waited for no longer, whatever is known then.
    pub fn deadline(&self) -> i64 {
        self.at.saturating_add(REACH_NANOS)
    }

    /// What it takes.
    pub fn bytes(&self) -> usize {
        let texts = self.values.iter().map(|value| VALUE_BYTES + value.as_ref().map_or(0, |text| text.len()));
        ROW_BYTES + self.truths.len() + texts.sum::<usize>()
    }

    /// Follows the way up as far as it is known; whether nothing that may still come can change what is inherited.
    pub fn settle(&mut self, waiting: &Waiting, plan: &Inheritance, trace: Option<&Trace>) -> bool {
        self.is_settled = self.trace.is_none() || self.sees_all(waiting, plan, trace);
        self.is_settled
    }

    fn sees_all(&mut self, waiting: &Waiting, plan: &Inheritance, trace: Option<&Trace>) -> bool {
        let Some(trace) = trace else { return false };
        let at = self.at;
        let of_parent = waiting.wanted.iter().filter_map(|field| plan.sources.get(field));
        let asks_parent = of_parent.into_iter().any(|source| source.ancestor == Ancestor::Parent);
        if asks_parent && self.parent.is_some_and(|parent| find(trace, parent, at).is_none()) {
            return false;
        }
        !waiting.of_entry || self.climb(trace)
    }

    fn climb(&mut self, trace: &Trace) -> bool {
        while let Some(span) = self.climb.next.and_then(|next| find(trace, next, self.at)) {
            if trace.facts(span.id).is_some_and(|facts| facts.is_server) {
                self.climb.server = Some(span.id);
            }
            self.climb.steps += 1;
            self.climb.next = span.parent.filter(|_| self.climb.steps < STEPS);
            if span.parent.is_none() {
                self.climb.root = Some(span.id);
            }
        }
        self.climb.root.is_some()
    }

    /// What it inherits, as far as it is known by now.
    pub fn inherit(self, waiting: &Waiting, plan: &Inheritance, trace: Option<&Trace>) -> Known {
        let at = self.at;
        let is_near_root = |span: &&Span| span.parent.is_none() && is_near(span, at);
        let root = trace.and_then(|trace| match self.climb.root {
            Some(root) => find(trace, root, at),
            None => trace.spans.iter().find(is_near_root),
        });
        let named = |id: Option<SpanId>| find(trace?, id?, at);
        let (server, parent) = (named(self.climb.server), named(self.parent));
        let says = |span: Option<&Span>, place: Place| -> Values {
            let Some((span, trace)) = span.zip(trace) else { return Values::default() };
            match place {
                Place::Service if span.service.is_empty() => Values::default(),
                Place::Service => [Arc::clone(&span.service)].into(),
                Place::Fact(number) => {
                    let values = trace.facts(span.id).and_then(|facts: &Facts| facts.values.get(number));
                    values.cloned().unwrap_or_default()
                }
            }
        };
        let values = |field: &usize| {
            let Some(source) = plan.sources.get(field) else { return (*field, Values::default()) };
            let values = match source.ancestor {
                Ancestor::Parent => says(parent, source.place),
                Ancestor::Entry => Some(says(root, source.place))
                    .filter(|values| !values.is_empty())
                    .unwrap_or_else(|| says(server, source.place)),
            };
            (*field, values)
        };
        Known { inherited: waiting.wanted.iter().map(values).collect(), row: self }
    }
}

impl Known {
    /// The text of a field that the rule keeps or inherits.
    pub fn text(&self, waiting: &Waiting, number: usize) -> Option<&str> {
        if let Some((_, values)) = self.inherited.iter().find(|(field, _)| *field == number) {
            return values.first().map(|text| &**text);
        }
        let place = waiting.kept.iter().position(|(_, field)| *field == number)?;
        self.row.values.get(place)?.as_deref()
    }

    /// Whether the row satisfies what its rule asks.
    pub fn matches(&self, set: &RuleSet, waiting: &Waiting) -> bool {
        waiting.rest.as_ref().is_none_or(|rest| self.holds(rest, set, waiting))
    }

    fn holds(&self, expression: &Expression<usize>, set: &RuleSet, waiting: &Waiting) -> bool {
        match expression {
            Expression::All(parts) => parts.iter().all(|part| self.holds(part, set, waiting)),
            Expression::Any(parts) => parts.iter().any(|part| self.holds(part, set, waiting)),
            Expression::Not(part) => !self.holds(part, set, waiting),
            Expression::Atom(atom) => match waiting.plain.iter().position(|known| known == atom) {
                Some(place) => self.row.truths.get(place).copied().unwrap_or(false),
                None => self.passes(*atom, set, waiting),
            },
        }
    }

    /// Whether an atom on an inherited field holds.
    pub fn passes(&self, number: usize, set: &RuleSet, waiting: &Waiting) -> bool {
        let Some(atom) = set.atoms.get(number) else { return false };
        let number_of = |field: &str| set.plan.number(field);
        let Some(field) = atom.field.as_deref().and_then(number_of) else { return false };
        if let Test::SameAs { other, anchor, cased } = &atom.test {
            let text = |field: usize| self.text(waiting, field).map(Cell::new);
            return match (text(field), number_of(other).and_then(text)) {
                (Some(value), Some(text)) if *cased => anchor.holds(value.text(), text.text()),
                (Some(value), Some(text)) => anchor.holds(value.lower(), text.lower()),
                _ => false,
            };
        }
        let values = self.inherited.iter().find(|(known, _)| *known == field);
        let question = set.inherited.as_ref().and_then(|plan| plan.questions.get(&number));
        let (Some((_, values)), Some(question)) = (values, question) else { return false };
        let mut desk = Desk::default();
        values.iter().any(|text| {
            let mut holds = false;
            question.find(&Cell::new(&**text), &mut desk, &mut |_| holds = true);
            holds
        })
    }
}

/// A span of the trace, when it lies near enough in time.
fn find(trace: &Trace, id: SpanId, at: i64) -> Option<&Span> {
    trace.find(id).filter(|span| is_near(span, at))
}

fn is_near(span: &Span, at: i64) -> bool {
    span.at.abs_diff(at) <= REACH_NANOS.unsigned_abs()
}
