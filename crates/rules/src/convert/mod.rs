//! A rule on single events as a question to the store, so that what it describes can be looked for in what is kept.
//!
//! | target | what comes out |
//! |---|---|
//! | `sql` | one SELECT for each signal the rule looks at, for `tracehound query` |
//! | `search` | requests to the search of the API; what they find together is what the rule finds |
//!
//! What a target cannot express is refused, never left out. Where a converted rule compares otherwise than the engine
//! does, a note says so.

mod search;
mod sql;

use model::{Signal, TimeRange};

use crate::atom::{Atom, Test};
use crate::expression::Expression;
use crate::field;
use crate::log_source::Reach;
use crate::set::{CompiledBody, RuleSet};

/// What to make of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// SQL over the tables `spans` and `logs`.
    Sql,
    /// Searches of the API.
    Search,
}

/// A rule as questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// One after the other; their answers together are what the rule matches.
    pub queries: Vec<String>,
    /// Where they differ from the rule.
    pub notes: Vec<String>,
}

/// Why a rule cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// No rule of this id.
    #[error("there is no rule {0:?}")]
    Unknown(String),
    /// It looks at several events.
    #[error("{title:?} is a correlation, which no single query expresses; convert the rules it refers to: {inputs}")]
    Correlation {
        /// Title of the rule.
        title: String,
        /// Ids of what it refers to.
        inputs: String,
    },
    /// It judges calls, which are pairs of spans.
    #[error(
        "{title:?} is a service-call policy: a call is two spans, which no single query joins; the alerts it raised are kept"
    )]
    Policy {
        /// Title of the rule.
        title: String,
    },
    /// Nobody has said what its events are.
    #[error(
        "{title:?} is never evaluated: no pipeline says what its log source is in OpenTelemetry; add one with set_signal"
    )]
    Unmapped {
        /// Title of the rule.
        title: String,
    },
    /// A part of it has no counterpart.
    #[error("{title:?} cannot be converted: {part}: {hint}")]
    Part {
        /// Title of the rule.
        title: String,
        /// The part, as people read it.
        part: String,
        /// Why, and what to do.
        hint: String,
    },
}

/// A part that has no counterpart, and what to do about it.
#[derive(Debug)]
struct Refused {
    part: String,
    hint: String,
}

impl Refused {
    fn new(atom: &Atom, hint: impl Into<String>) -> Self {
        let field = atom.field.as_deref().map_or("any field", field::shown);
        Self { part: format!("{field} {}", atom.test), hint: hint.into() }
    }
}

/// Converts one rule on single events, filters included. Events of `range` only, when one is given.
///
/// # Errors
/// [`ConvertError`], which names the part.
pub fn convert(
    set: &RuleSet,
    rule: &str,
    target: Target,
    range: Option<&TimeRange>,
) -> Result<Converted, ConvertError> {
    let compiled = set.rules.iter().find(|known| known.info.id == rule);
    let compiled = compiled.ok_or_else(|| ConvertError::Unknown(rule.to_owned()))?;
    let title = compiled.info.title.clone();
    let event = match &compiled.body {
        CompiledBody::Event(event) => event,
        CompiledBody::Policy(_) => return Err(ConvertError::Policy { title }),
        CompiledBody::Correlation(correlation) => {
            let inputs = correlation.feeds.iter().map(|feed| set.rules[feed.rule].info.id.as_str());
            return Err(ConvertError::Correlation { title, inputs: inputs.collect::<Vec<_>>().join(", ") });
        }
    };
    if event.reach == Reach::Nowhere {
        return Err(ConvertError::Unmapped { title });
    }
    let refused =
        |refused: Refused| ConvertError::Part { title: title.clone(), part: refused.part, hint: refused.hint };
    let parts = [Some(event.whole()), event.within.as_ref()].into_iter().flatten();
    let parts: Vec<Asked<'_>> = parts.map(|part| part.map(&mut |number: &usize| &*set.atoms[*number])).collect();
    let expression = Expression::all(parts);
    single_events(set, &expression).map_err(refused)?;
    let signals: Vec<Signal> = Signal::ALL.into_iter().filter(|one| event.reach.admits(Some(*one))).collect();
    let mut converted = Converted { queries: Vec::new(), notes: Vec::new() };
    for signal in signals {
        let made = match target {
            Target::Sql => sql::query(&expression, signal, range, &mut converted.notes).map(|query| vec![query]),
            Target::Search => search::queries(&expression, signal, range, &mut converted.notes),
        };
        converted.queries.extend(made.map_err(refused)?);
    }
    converted.notes.sort();
    converted.notes.dedup();
    Ok(converted)
}

type Asked<'a> = Expression<&'a Atom>;

/// Refuses what a row inherits: it stands in another row.
fn single_events(set: &RuleSet, asked: &Asked<'_>) -> Result<(), Refused> {
    match asked {
        Expression::All(parts) | Expression::Any(parts) => parts.iter().try_for_each(|part| single_events(set, part)),
        Expression::Not(part) => single_events(set, part),
        Expression::Atom(atom) => {
            let other = if let Test::SameAs { other, .. } = &atom.test { Some(other) } else { None };
            match atom.field.iter().chain(other).any(|field| set.is_inherited(field)) {
                true => Err(Refused::new(atom, "it is inherited from another span of the trace, which no query joins")),
                false => Ok(()),
            }
        }
    }
}
