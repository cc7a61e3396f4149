//! The condition of a rule on single events, part by part, for one event.

use std::collections::BTreeSet;

use model::UnixNanos;

use super::ExplainedEvent;
use crate::atom::Atom;
use crate::column::{Columns, Plan};
use crate::events::Events;
use crate::expression::Expression;
use crate::field::{self, Source};
use crate::index::answers::Answers;
use crate::set::{CompiledBody, RuleSet};

/// Characters of a value that are shown.
const CHARS_SHOWN: usize = 200;

/// What a rule makes of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The rule's id.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// Whether the event is of the kind the rule looks at.
    pub applies: bool,
    /// Whether the event matches.
    pub holds: bool,
    /// The condition; filters are among its parts.
    pub condition: Part,
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// All must hold.
    All(bool, Vec<Part>),
    /// One must hold.
    Any(bool, Vec<Part>),
    /// The part must not hold.
    Not(bool, Box<Part>),
    /// One question about one field.
    Atom(AtomJudgement),
}

/// One question about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtomJudgement {
    /// Whether the answer is yes.
    pub holds: bool,
    /// The field; `None` looks at every value of the event.
    pub field: Option<String>,
    /// What is asked, as in `starts with "/login"`.
    pub asks: String,
    /// The value found; `None` when there is none.
    pub value: Option<String>,
    /// Where it was found, as in `attribute http.target`; `None` when nowhere.
    pub source: Option<String>,
    /// Its number in the set.
    pub(crate) number: usize,
}

impl Part {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        match self {
            Self::All(holds, _) | Self::Any(holds, _) | Self::Not(holds, _) => *holds,
            Self::Atom(atom) => atom.holds,
        }
    }

    /// Answers atoms anew, and with them what they are parts of.
    pub(super) fn amend(&mut self, answer: &mut impl FnMut(&mut AtomJudgement)) {
        match self {
            Self::All(holds, parts) => {
                parts.iter_mut().for_each(|part| part.amend(answer));
                *holds = parts.iter().all(Self::holds);
            }
            Self::Any(holds, parts) => {
                parts.iter_mut().for_each(|part| part.amend(answer));
                *holds = parts.iter().any(Self::holds);
            }
            Self::Not(holds, part) => {
                part.amend(answer);
                *holds = !part.holds();
            }
            Self::Atom(atom) => answer(atom),
        }
    }
}

/// What rules on single events make of the first rows, at most `limit` of them.
pub fn judge(
    set: &RuleSet,
    rules: &BTreeSet<usize>,
    events: &Events<'_>,
    lines: &[usize],
    limit: usize,
) -> Vec<ExplainedEvent> {
    let rows = events.len().min(limit);
    let index = set.index(events.signal);
    let mut columns = Columns::new(events.records, &set.plan, index.looks_everywhere());
    let answers = Answers::new(set, index, &mut columns, &mut None);
    let mut asked = Asked { set, columns, answers, events };
    let explain = |row: usize| {
        let of_rule = |number: &usize| asked.judgement(*number, row);
        let judgements = rules.iter().filter_map(of_rule).collect();
        let event = lines.get(row).map_or_else(|| events.id(row).to_string(), ToString::to_string);
        ExplainedEvent { event, at: UnixNanos(events.time(row)), judgements }
    };
    (0..rows).map(explain).collect()
}

/// A batch that is asked row by row.
struct Asked<'b> {
    set: &'b RuleSet,
    columns: Columns<'b>,
    answers: Answers<'b>,
    events: &'b Events<'b>,
}

impl Asked<'_> {
    fn judgement(&mut self, number: usize, row: usize) -> Option<Judgement> {
        let set = self.set;
        let rule = set.rules.get(number)?;
        let CompiledBody::Event(event) = &rule.body else { return None };
        let signal = self.events.signal;
        let mut applies = event.reach.admits(signal);
        if let (Some(within), Some(_)) = (&event.within, signal) {
            applies &= self.part(within, row).holds();
        }
        let condition = self.part(event.whole(), row);
        Some(Judgement {
            rule: rule.info.id.clone(),
            title: rule.info.title.clone(),
            applies,
            holds: applies && condition.holds(),
            condition,
        })
    }

    fn part(&mut self, expression: &Expression<usize>, row: usize) -> Part {
        match expression {
            Expression::Atom(number) => Part::Atom(self.atom(*number, row)),
            Expression::Not(part) => {
                let part = self.part(part, row);
                Part::Not(!part.holds(), Box::new(part))
            }
            Expression::All(parts) => {
                let parts: Vec<Part> = parts.iter().map(|part| self.part(part, row)).collect();
                Part::All(parts.iter().all(Part::holds), parts)
            }
            Expression::Any(parts) => {
                let parts: Vec<Part> = parts.iter().map(|part| self.part(part, row)).collect();
                Part::Any(parts.iter().any(Part::holds), parts)
            }
        }
    }

    fn atom(&mut self, number: usize, row: usize) -> AtomJudgement {
        let atom: &Atom = &self.set.atoms[number];
        let holds =
            self.answers.rows(number, &mut self.columns).is_some_and(|rows| rows.rows().any(|found| found == row));
        let found = atom.field.as_ref().and_then(|name| self.found(name, row));
        AtomJudgement {
            holds,
            field: atom.field.as_deref().map(|name| field::shown(name).to_owned()),
            asks: atom.test.to_string(),
            number,
            value: found.as_ref().map(|(value, _)| cut(value)),
            source: found.map(|(_, source)| source),
        }
    }

    /// The value of a field, and where it stands.
    fn found(&self, name: &str, row: usize) -> Option<(String, String)> {
        field::sources(name).iter().find_map(|source| {
            let plan = Plan::of_source(source);
            let mut columns = Columns::new(self.columns.batch(), &plan, false);
            let value = columns.field(0).text(row)?.to_owned();
            Some((value, told(source)))
        })
    }
}

fn told(source: &Source) -> String {
    match source {
        Source::Column(name) => format!("column {name}"),
        Source::Named(name, _) => format!("column {name}, by name"),
        Source::Millis(name) => format!("column {name}, in milliseconds"),
        Source::Rest(key) => format!("attribute {key}"),
        Source::Resource(key) => format!("resource attribute {key}"),
        Source::Inside { key, path } => format!("{path} inside attribute {key}"),
        Source::Body(path) => format!("{path} inside the body"),
        Source::RequestTarget => "path and query of the request".to_owned(),
        Source::Extension => "path of the request".to_owned(),
    }
}

pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
