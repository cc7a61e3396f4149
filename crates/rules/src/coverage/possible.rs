//! Whether a rule can be true of some event, given which fields there are.

use std::collections::BTreeSet;

use model::Signal;

use super::seen::{KINDS_OF_EVENTS, Seen, kind_of};
use crate::atom::{Atom, Test};
use crate::expression::Expression;
use crate::inherited;
use crate::log_source::Reach;
use crate::set::{CompiledBody, CompiledCorrelation, CompiledEvent, Feed, RuleSet};
use crate::trace::bit;

/// Why a rule without events is silent.
const UNMAPPED: &str = "never evaluated: no pipeline says what its log source is in OpenTelemetry";

/// What is known of one rule.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    pub can_fire: bool,
    pub missing: BTreeSet<String>,
    pub reasons: BTreeSet<String>,
    pub fields: BTreeSet<String>,
    /// The kinds of events that can satisfy it.
    kinds: [bool; KINDS_OF_EVENTS],
}

/// One for each rule, in their order; correlations come after what they refer to.
pub fn verdicts(set: &RuleSet, seen: &Seen) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = vec![Verdict::default(); set.rules.len()];
    for (number, rule) in set.rules.iter().enumerate() {
        match &rule.body {
            CompiledBody::Event(event) => verdicts[number] = of_event(set, seen, event),
            CompiledBody::Policy(_) => verdicts[number] = of_policy(seen),
            CompiledBody::Correlation(_) => {}
        }
    }
    for number in &set.order {
        if let CompiledBody::Correlation(correlation) = &set.rules[*number].body {
            verdicts[*number] = of_correlation(set, seen, correlation, &verdicts);
        }
    }
    verdicts
}

fn of_event(set: &RuleSet, seen: &Seen, event: &CompiledEvent) -> Verdict {
    let mut verdict = Verdict::default();
    fields_of(set, event.whole(), &mut verdict.fields);
    event.within.iter().for_each(|within| fields_of(set, within, &mut verdict.fields));
    let signal = match event.reach {
        Reach::Everywhere => None,
        Reach::Only(signal) => Some(signal),
        Reach::Nowhere => {
            verdict.reasons.insert(UNMAPPED.to_owned());
            return verdict;
        }
    };
    let is_asked = |kind: usize| signal.is_none() || kind == kind_of(signal) || kind == kind_of(None);
    let mut asked: Vec<usize> = (0..KINDS_OF_EVENTS).filter(|kind| is_asked(*kind)).collect();
    asked.retain(|kind| seen.rows(*kind) > 0);
    if asked.is_empty() {
        verdict.reasons.insert(match signal {
            Some(Signal::Spans) => "no spans were seen".to_owned(),
            Some(Signal::Logs) => "no log records were seen".to_owned(),
            None => "no events were seen".to_owned(),
        });
        return verdict;
    }
    let facts = |kind: usize| Facts { set, seen, kind };
    for kind in &asked {
        let facts = facts(*kind);
        // a file does not say what its events are
        let within = event.within.as_ref().filter(|_| *kind != kind_of(None));
        verdict.kinds[*kind] = facts.can_be(event.whole()) && within.is_none_or(|within| facts.can_be(within));
    }
    verdict.can_fire = verdict.kinds.contains(&true);
    if !verdict.can_fire {
        for kind in &asked {
            let within = event.within.as_ref().filter(|_| *kind != kind_of(None));
            within.into_iter().chain([event.whole()]).for_each(|asked| facts(*kind).blame(asked, &mut verdict.missing));
        }
    }
    verdict
}

/// A policy judges calls, whose two sides are spans.
fn of_policy(seen: &Seen) -> Verdict {
    let can_fire = [Some(Signal::Spans), None].into_iter().any(|kind| seen.rows(kind_of(kind)) > 0);
    let mut verdict = Verdict { can_fire, ..Verdict::default() };
    if !verdict.can_fire {
        verdict.reasons.insert("no spans were seen".to_owned());
    }
    verdict
}

fn of_correlation(set: &RuleSet, seen: &Seen, correlation: &CompiledCorrelation, verdicts: &[Verdict]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut inputs = Vec::new();
    for feed in &correlation.feeds {
        let input = &verdicts[feed.rule];
        verdict.fields.extend(input.fields.iter().cloned());
        let is_event = matches!(set.rules[feed.rule].body, CompiledBody::Event(_));
        let needed = if is_event { needed(correlation, feed) } else { Vec::new() };
        let names = |number: &usize| set.plan.name_of(*number).unwrap_or_default().to_owned();
        verdict.fields.extend(needed.iter().map(names));
        let has = |number: &usize| (0..KINDS_OF_EVENTS).any(|kind| input.kinds[kind] && has(set, seen, *number, kind));
        let absent: Vec<String> = needed.iter().filter(|number| !has(number)).map(names).collect();
        inputs.push(input.can_fire && absent.is_empty());
        if !input.can_fire {
            verdict.missing.extend(input.missing.iter().cloned());
            verdict.reasons.extend(input.reasons.iter().cloned());
            let title = &set.rules[feed.rule].info.title;
            verdict.reasons.insert(format!("the rule it refers to cannot match: {title}"));
        } else {
            verdict.missing.extend(absent);
        }
    }
    verdict.can_fire = enough(correlation, &inputs);
    if verdict.can_fire {
        verdict.missing.clear();
        verdict.reasons.clear();
    }
    verdict
}

/// The fields without which an event of an input does not count.
fn needed(correlation: &CompiledCorrelation, feed: &Feed) -> Vec<usize> {
    if correlation.trace.is_some() {
        return Vec::new();
    }
    if let Some((baseline, _)) = &correlation.baseline {
        // that a value is absent may be a value
        let is_needed = |place: usize| baseline.parts.get(place).is_none_or(|part| !part.may_be_absent);
        let keys = feed.keys.iter().enumerate().filter(|(place, _)| is_needed(*place));
        return keys.map(|(_, number)| *number).chain(feed.values.iter().copied()).collect();
    }
    match correlation.condition.distance_km {
        // an event says where it came from in one of several ways
        Some(_) => feed.keys.clone(),
        None => feed.keys.iter().chain(&feed.values).copied().collect(),
    }
}

/// Whether events of a kind have a field, or may inherit it: from spans, whatever they are themselves.
fn has(set: &RuleSet, seen: &Seen, number: usize, kind: usize) -> bool {
    let source = set.inherited.as_ref().and_then(|plan| plan.sources.get(&number));
    let name = source.and_then(|_| set.plan.name_of(number));
    let Some((_, inner)) = name.and_then(inherited::parse) else { return seen.has(number, kind) };
    let spans = if kind == kind_of(None) { kind } else { kind_of(Some(Signal::Spans)) };
    set.plan.number(inner).is_some_and(|number| seen.has(number, spans))
}

/// Whether the inputs that can come make the correlation possible.
fn enough(correlation: &CompiledCorrelation, inputs: &[bool]) -> bool {
    if let Some(pattern) = &correlation.trace {
        let can = inputs.iter().enumerate().filter(|(_, can)| **can).fold(0, |all, (step, _)| all | bit(step));
        return pattern.choices.iter().any(|choice| choice & can == *choice);
    }
    if let Some(expression) = &correlation.condition.expression {
        return holds(expression, inputs);
    }
    let needs_all = matches!(correlation.kind.name, "temporal" | "temporal_ordered");
    match needs_all && correlation.condition.bounds.is_empty() {
        true => inputs.iter().all(|can| *can),
        false => inputs.contains(&true),
    }
}

fn holds(expression: &Expression<usize>, inputs: &[bool]) -> bool {
    match expression {
        Expression::Atom(input) => inputs.get(*input).copied().unwrap_or(false),
        Expression::All(parts) => parts.iter().all(|part| holds(part, inputs)),
        Expression::Any(parts) => parts.iter().any(|part| holds(part, inputs)),
        Expression::Not(_) => true,
    }
}

/// What one kind of events has.
struct Facts<'s> {
    set: &'s RuleSet,
    seen: &'s Seen,
    kind: usize,
}

impl Facts<'_> {
    fn can_be(&self, expression: &Expression<usize>) -> bool {
        match expression {
            Expression::Atom(number) => self.set.atoms.get(*number).is_some_and(|atom| self.absent(atom).is_empty()),
            Expression::All(parts) => parts.iter().all(|part| self.can_be(part)),
            Expression::Any(parts) => parts.iter().any(|part| self.can_be(part)),
            Expression::Not(_) => true,
        }
    }

    /// The fields that keep an expression from being true.
    fn blame(&self, expression: &Expression<usize>, missing: &mut BTreeSet<String>) {
        match expression {
            Expression::Atom(number) => {
                missing.extend(self.set.atoms.get(*number).map(|atom| self.absent(atom)).into_iter().flatten());
            }
            Expression::All(parts) | Expression::Any(parts) => {
                parts.iter().filter(|part| !self.can_be(part)).for_each(|part| self.blame(part, missing));
            }
            Expression::Not(_) => {}
        }
    }

    /// The fields of an atom that no event has.
    fn absent(&self, atom: &Atom) -> Vec<String> {
        let other = if let Test::SameAs { other, .. } = &atom.test { Some(other) } else { None };
        let is_absent = |name: &&String| {
            let number = self.set.plan.number(name);
            number.is_none_or(|number| !has(self.set, self.seen, number, self.kind))
        };
        atom.field.iter().chain(other).filter(is_absent).cloned().collect()
    }
}

fn fields_of(set: &RuleSet, expression: &Expression<usize>, fields: &mut BTreeSet<String>) {
    match expression {
        Expression::Atom(number) => fields.extend(set.atoms.get(*number).and_then(|atom| atom.field.clone())),
        Expression::All(parts) | Expression::Any(parts) => {
            parts.iter().for_each(|part| fields_of(set, part, fields));
        }
        Expression::Not(part) => fields_of(set, part, fields),
    }
}
