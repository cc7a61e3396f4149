//! What the events of an explanation inherit from other spans of their trace: known once all of them were told.

use std::collections::{BTreeMap, BTreeSet};

use model::TenantId;

use super::ExplainedEvent;
use super::judgement::{AtomJudgement, cut};
use crate::atom::Test;
use crate::budget::Stopped;
use crate::engine::{Settings, Tenant};
use crate::events::Events;
use crate::geo::NoPlaces;
use crate::inherited::deal::row_of;
use crate::inherited::plan::Waiting;
use crate::inherited::row::{Known, Row};
use crate::inherited::{self, Ancestor};
use crate::pass::{Matches, Pass};
use crate::set::{CompiledBody, RuleSet};

/// The spans told so far, and the events that rules with inherited fields were asked about.
pub struct Ancestry<'s> {
    set: &'s RuleSet,
    tenant: Tenant,
    /// Each with the place of its event among those that are listed.
    rows: Vec<(usize, Row)>,
}

impl<'s> Ancestry<'s> {
    pub fn new(set: &'s RuleSet) -> Self {
        Self { set, tenant: Tenant::new(), rows: Vec::new() }
    }

    /// Takes events; the first `shown` of them are listed, from `place` on, and judged by these rules.
    pub fn take(&mut self, events: &Events<'_>, rules: &BTreeSet<usize>, (place, shown): (usize, usize)) {
        let set = self.set;
        let (Some(plan), Some(_)) = (set.traces, &set.inherited) else { return };
        let mut matches = Matches::among(set, events, |_| false);
        let (stopped, name, mut counters) = (Stopped::new(), TenantId::default_tenant(), BTreeMap::new());
        let pass = Pass {
            set,
            settings: Settings::offline(),
            name: &name,
            places: &NoPlaces,
            counters: &mut counters,
            stopped: &stopped,
            meter: None,
            forgotten: Vec::new(),
            detections: Vec::new(),
        };
        pass.follow(&mut self.tenant, plan, &mut matches);
        plan.lineage.prepare(events, &mut matches.columns);
        for (number, waiting) in rules.iter().filter_map(|number| Some((*number, waiting(set, *number)?))) {
            for (_, field) in &waiting.kept {
                matches.columns.field(*field);
            }
            let row = |row: usize| {
                let kept = row_of((number, waiting), plan, (events, &matches.columns), row, Box::default());
                (place + row, kept)
            };
            self.rows.extend((0..shown.min(events.len())).map(row));
        }
    }

    /// Answers what was asked of other spans, now that they are known.
    pub fn tell(mut self, events: &mut [ExplainedEvent]) {
        let Some(plan) = &self.set.inherited else { return };
        for (place, mut row) in std::mem::take(&mut self.rows) {
            let Some(waiting) = waiting(self.set, row.rule) else { continue };
            row.trace.into_iter().for_each(|id| self.tenant.traces.index(id));
            let trace = row.trace.and_then(|id| self.tenant.traces.traces.get(&id));
            row.settle(waiting, plan, trace);
            let rule = &self.set.rules[row.rule].info.id;
            let judgements = events.get_mut(place).map(|event| event.judgements.iter_mut()).into_iter().flatten();
            let known = row.inherit(waiting, plan, trace);
            for judgement in judgements.filter(|judgement| judgement.rule == *rule) {
                judgement.condition.amend(&mut |atom| answer(self.set, waiting, &known, atom));
                judgement.holds = judgement.applies && judgement.condition.holds();
            }
        }
    }
}

fn answer(set: &RuleSet, waiting: &Waiting, known: &Known, judgement: &mut AtomJudgement) {
    let Some(atom) = set.atoms.get(judgement.number) else { return };
    let other = if let Test::SameAs { other, .. } = &atom.test { Some(other) } else { None };
    if !atom.field.iter().chain(other).any(|field| set.is_inherited(field)) {
        return;
    }
    judgement.holds = known.passes(judgement.number, set, waiting);
    let Some((ancestor, _)) = atom.field.as_deref().and_then(inherited::parse) else { return };
    let number = atom.field.as_deref().and_then(|field| set.plan.number(field));
    judgement.value = number.and_then(|number| known.text(waiting, number)).map(cut);
    let of = match ancestor {
        Ancestor::Entry => "entry span of the trace",
        Ancestor::Parent => "parent span",
    };
    judgement.source = judgement.value.as_ref().map(|_| of.to_owned());
}

/// What a rule waits for, when part of its condition is about other spans.
fn waiting(set: &RuleSet, number: usize) -> Option<&Waiting> {
    let CompiledBody::Event(event) = &set.rules.get(number)?.body else { return None };
    event.waiting.as_deref().filter(|waiting| waiting.rest.is_some())
}
