//! Which fields are inherited by whom, found out once for a set of rules.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Ancestor, REACH_NANOS, parse};
use crate::atom::{Atom, Test};
use crate::expression::Expression;
use crate::index::FieldIndex;
use crate::set::{CompiledBody, CompiledEvent, RuleSet, TracePlan};
use crate::trace::lineage::Fields;

/// What a set of rules inherits.
#[derive(Debug)]
pub struct Inheritance {
    /// For the number of each inherited field, where its values come from.
    pub sources: HashMap<usize, Source>,
    /// What spans are asked for.
    pub facts: Vec<Fact>,
    /// For each atom on an inherited field, what answers it for one value.
    pub questions: HashMap<usize, FieldIndex>,
    /// Number of the field `kind`.
    pub kind: usize,
    /// Some field comes from the entry span.
    pub of_entry: bool,
    /// Some fact is asked of every span.
    pub of_parent: bool,
}

/// Where the values of an inherited field come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    pub ancestor: Ancestor,
    pub place: Place,
}

/// Where an ancestor keeps the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the service, which is remembered of every span.
    Service,
    /// It is the fact of this number.
    Fact(usize),
}

/// A field that spans are asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Fact {
    pub name: String,
    /// Its number in the plan of columns.
    pub number: usize,
    /// It is asked of roots and servers.
    pub of_entry: bool,
    /// It is asked of every span.
    pub of_parent: bool,
}

/// What a rule on single events holds rows for.
#[derive(Debug, Default)]
pub struct Waiting {
    /// What a row must satisfy when all is known; `None` when rows match as they come.
    pub rest: Option<Expression<usize>>,
    /// Atoms of `rest` that are answered when the row comes.
    pub plain: Vec<usize>,
    /// Fields of the row that are kept, with their numbers.
    pub kept: Vec<(String, usize)>,
    /// Numbers of the inherited fields.
    pub wanted: Vec<usize>,
    /// Some inherited field comes from the entry span.
    pub of_entry: bool,
    /// Its detections wait, not only what correlations are fed.
    pub alerts: bool,
}

/// Finds out what the rules inherit; nothing changes when they inherit nothing.
pub fn finish(set: &mut RuleSet) {
    let mut sources = HashMap::new();
    let mut facts: Vec<Fact> = Vec::new();
    for (number, name) in set.plan.names() {
        let Some((ancestor, field)) = parse(&name) else { continue };
        if field == "service.name" {
            sources.insert(number, Source { ancestor, place: Place::Service });
            continue;
        }
        let place = facts.iter().position(|fact| fact.name == field).unwrap_or_else(|| {
            let (name, number) = (field.to_owned(), set.plan.field(field));
            facts.push(Fact { name, number, of_entry: false, of_parent: false });
            facts.len() - 1
        });
        facts[place].of_entry |= ancestor == Ancestor::Entry;
        facts[place].of_parent |= ancestor == Ancestor::Parent;
        sources.insert(number, Source { ancestor, place: Place::Fact(place) });
    }
    if sources.is_empty() {
        return;
    }
    let of_entry = sources.values().any(|source| source.ancestor == Ancestor::Entry);
    for number in 0..set.rules.len() {
        if let Some(waiting) = waiting(set, number, &sources) {
            let possible = waiting.rest.as_ref().map(|rest| likely(rest, true, &waiting.plain));
            for rule in &mut set.rules {
                let CompiledBody::Correlation(correlation) = &mut rule.body else { continue };
                for feed in correlation.feeds.iter_mut().filter(|feed| feed.rule == number) {
                    let mut asked = feed.keys.iter().chain(&feed.values);
                    feed.inherits = waiting.rest.is_some() || asked.any(|field| sources.contains_key(field));
                }
            }
            let CompiledBody::Event(event) = &mut set.rules[number].body else { continue };
            if let Some(possible) = possible {
                event.expression = possible;
            }
            event.waiting = Some(Box::new(waiting));
        }
    }
    lag(set);
    let known = set.traces.map_or(0, |plan| plan.span_nanos);
    let is_lagging = set.rules.iter().any(|rule| rule.looks_at_traces() && rule.lags());
    set.traces = Some(TracePlan {
        lineage: Fields::new(&mut set.plan),
        // a span is asked by rows up to one reach later, which wait for one reach more
        span_nanos: known.max(2 * REACH_NANOS),
        lag_nanos: if is_lagging { REACH_NANOS } else { 0 },
        links: set.traces.is_some_and(|plan| plan.links),
        sampling: set.traces.is_some_and(|plan| plan.sampling),
    });
    let kind = set.plan.field("kind");
    let questions = questions(set, &sources);
    let of_parent = facts.iter().any(|fact| fact.of_parent);
    set.inherited = Some(Inheritance { sources, facts, questions, kind, of_entry, of_parent });
}

/// What answers the atoms on inherited fields.
fn questions(set: &RuleSet, sources: &HashMap<usize, Source>) -> HashMap<usize, FieldIndex> {
    let is_inherited = |atom: &Atom| {
        let field = atom.field.as_deref().and_then(|field| set.plan.number(field));
        field.is_some_and(|field| sources.contains_key(&field))
    };
    let asked = set.atoms.iter().enumerate().filter(|(_, atom)| is_inherited(atom));
    let index = |(number, atom): (usize, &Arc<Atom>)| {
        let mut index = FieldIndex::default();
        index.add(0, atom);
        index.finish();
        (number, index)
    };
    asked.map(index).collect()
}

/// What a rule holds rows for, if it must.
fn waiting(set: &RuleSet, number: usize, sources: &HashMap<usize, Source>) -> Option<Waiting> {
    let CompiledBody::Event(event) = &set.rules[number].body else { return None };
    let atom = |at: &usize| -> &Arc<Atom> { &set.atoms[*at] };
    let number_of = |field: &str| set.plan.number(field);
    let mut waiting = Waiting::default();
    let mut asked: Vec<usize> = Vec::new();
    let mut inherits = false;
    for at in atoms(&event.expression) {
        let fields = fields_of(atom(&at)).filter_map(number_of).collect::<Vec<usize>>();
        if fields.iter().any(|field| sources.contains_key(field)) {
            inherits = true;
            asked.extend(fields);
        } else if !waiting.plain.contains(&at) {
            waiting.plain.push(at);
        }
    }
    waiting.rest = inherits.then(|| event.expression.clone());
    if !inherits {
        waiting.plain.clear();
    }
    waiting.alerts = inherits || event.by.iter().any(|(_, field)| sources.contains_key(field));
    if waiting.alerts {
        asked.extend(shown(event));
        asked.push(set.service);
    }
    for rule in &set.rules {
        let CompiledBody::Correlation(correlation) = &rule.body else { continue };
        for feed in correlation.feeds.iter().filter(|feed| feed.rule == number) {
            let of_feed = || feed.keys.iter().chain(&feed.values);
            if inherits || of_feed().any(|field| sources.contains_key(field)) {
                asked.extend(of_feed());
            }
        }
    }
    asked.sort_unstable();
    asked.dedup();
    let names: HashMap<usize, String> = set.plan.names().into_iter().collect();
    for field in asked {
        match sources.contains_key(&field) {
            true => {
                waiting.of_entry |= sources.get(&field).is_some_and(|source| source.ancestor == Ancestor::Entry);
                waiting.wanted.push(field);
            }
            false => waiting.kept.push((names.get(&field)?.clone(), field)),
        }
    }
    (!waiting.wanted.is_empty()).then_some(waiting)
}

fn shown(event: &CompiledEvent) -> impl Iterator<Item = usize> {
    event.shown.iter().chain(&event.by).map(|(_, field)| *field)
}

/// The atoms of an expression, in order.
fn atoms(expression: &Expression<usize>) -> Vec<usize> {
    match expression {
        Expression::Atom(atom) => vec![*atom],
        Expression::All(parts) | Expression::Any(parts) => parts.iter().flat_map(atoms).collect(),
        Expression::Not(part) => atoms(part),
    }
}

/// The fields an atom asks about.
fn fields_of(atom: &Atom) -> impl Iterator<Item = &str> {
    let other = if let Test::SameAs { other, .. } = &atom.test { Some(other.as_str()) } else { None };
    atom.field.as_deref().into_iter().chain(other)
}

/// The expression with every atom that is not `plain` answered: as it is likeliest to hold, or, under `not`, least.
fn likely(expression: &Expression<usize>, is_wanted: bool, plain: &[usize]) -> Expression<usize> {
    let parts = |parts: &[Expression<usize>]| parts.iter().map(|part| likely(part, is_wanted, plain)).collect();
    match expression {
        Expression::Atom(atom) if plain.contains(atom) => Expression::Atom(*atom),
        // nothing is left to ask for, or nothing can do
        Expression::Atom(_) if is_wanted => Expression::All(Vec::new()),
        Expression::Atom(_) => Expression::Any(Vec::new()),
        Expression::All(all) => Expression::All(parts(all)),
        Expression::Any(any) => Expression::Any(parts(any)),
        Expression::Not(part) => Expression::Not(Box::new(likely(part, !is_wanted, plain))),
    }
}

/// Correlations that are fed by held rows, and those that build on them, lag behind.
fn lag(set: &mut RuleSet) {
    for number in set.order.clone() {
        let CompiledBody::Correlation(correlation) = &set.rules[number].body else { continue };
        let lags = correlation.feeds.iter().any(|feed| feed.inherits || set.rules[feed.rule].lags());
        if let CompiledBody::Correlation(correlation) = &mut set.rules[number].body {
            correlation.lags = lags;
        }
    }
}
