//! A baseline read from stored events, before and beside live ones.
//!
//! A learner is an engine of its own for the baselines that know nothing of what was before them: whoever has the store
//! hands it events slice by slice, in order of time, away from the engine. Nothing fires. What it learned ends where the
//! live baseline began, so that no event counts twice; the engine then adopts it.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{EventBatch, Signal, TenantId, TimeRange, UnixNanos};

use super::{Asks, Baseline, Bounds, Key, Learned, Memory};
use crate::correlate::Losses;
use crate::engine::{Engine, Tenant};
use crate::events::Events;
use crate::pass::Matches;
use crate::set::{Compiled, CompiledBody, CompiledCorrelation, RuleSet};

/// Baselines of one tenant being read from history.
#[derive(Debug)]
pub struct Learner {
    set: Arc<RuleSet>,
    tenant: TenantId,
    bounds: Bounds,
    subjects: Vec<Subject>,
    /// Numbers of the rules on single events that they learn from.
    inputs: BTreeSet<usize>,
    losses: Losses,
}

/// One baseline.
#[derive(Debug)]
struct Subject {
    key: Key,
    learned: Learned,
    /// The part of history it wants, in nanoseconds.
    from: i64,
    until: i64,
    /// What happened before is settled.
    floor: i64,
}

impl Learner {
    /// Whose events it wants.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The ids of the rules it learns for.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.subjects.iter().map(|subject| subject.key.0.as_str())
    }

    /// Which signals it wants events of.
    pub fn signals(&self) -> Vec<Signal> {
        let wants = |signal: &Signal| {
            self.inputs.iter().any(|number| match self.set.rules.get(*number).map(|rule| &rule.body) {
                Some(CompiledBody::Event(event)) => event.reach.admits(Some(*signal)),
                _ => false,
            })
        };
        Signal::ALL.into_iter().filter(wants).collect()
    }

    /// The time it wants events of, by the engine's reckoning: ends of spans, times of log records.
    pub fn range(&self) -> TimeRange {
        let from = self.subjects.iter().map(|subject| subject.from).min().unwrap_or_default();
        let until = self.subjects.iter().map(|subject| subject.until).max().unwrap_or_default();
        TimeRange { start: UnixNanos(from), end: UnixNanos(until) }
    }

    /// Takes events of the time that is not settled yet; others are passed over.
    pub fn take(&mut self, batch: &EventBatch) {
        let Some(events) = Events::stored(batch) else { return };
        let set = Arc::clone(&self.set);
        let mut matches = Matches::among(&set, &events, |number| self.inputs.contains(&number));
        for subject in &mut self.subjects {
            let Some((rule, baseline)) = of_key(&set, &subject.key) else { continue };
            let times = subject.floor.max(subject.from)..subject.until;
            let mut passed_over = Losses::default();
            for feed in &rule.feeds {
                let (bounds, times) = (self.bounds, times.clone());
                subject.learned.take_rows(baseline, feed, &mut matches, bounds, times, &mut passed_over);
            }
            self.losses.evicted += passed_over.evicted;
        }
    }

    /// Every event before `floor` has been handed over.
    pub fn settle(&mut self, floor: UnixNanos) {
        for subject in &mut self.subjects {
            let Some((rule, baseline)) = of_key(&self.set, &subject.key) else { continue };
            subject.floor = floor.0.min(subject.until).max(subject.floor);
            subject.learned.settle(rule, baseline, self.bounds, subject.floor, &mut self.losses);
        }
    }
}

impl Engine {
    /// Gets the baselines of a tenant ready, whose first event will not be before `at`, so that history can be read
    /// before it; the ids of their rules.
    pub(crate) fn begin(&mut self, tenant: &TenantId, at: UnixNanos) -> Vec<String> {
        let learning = |rule: &Compiled| match &rule.body {
            CompiledBody::Correlation(rule) => rule.baseline.clone(),
            CompiledBody::Event(_) | CompiledBody::Policy(_) => None,
        };
        let found: Vec<(Arc<Baseline>, Key)> = self.set.rules.iter().filter_map(learning).collect();
        if found.is_empty() {
            return Vec::new();
        }
        let known = self.tenants.entry(tenant.clone()).or_insert_with(Tenant::new);
        known.floor = known.floor.max(at.0);
        for (baseline, key) in &found {
            known.baselines.entry(key.clone()).or_insert_with(|| Memory::new(baseline, at.0));
        }
        found.into_iter().map(|(_, (id, _))| id).collect()
    }

    /// A learner for the baselines of a tenant that know nothing of what was before them; `None` when there is none.
    pub fn learner(&self, tenant: &TenantId) -> Option<Learner> {
        let known = self.tenants.get(tenant)?;
        let mut subjects = Vec::new();
        let mut inputs = BTreeSet::new();
        for (key, memory) in &known.baselines {
            let Some(until) = memory.unread_before else { continue };
            let Some((rule, baseline)) = of_key(&self.set, key) else { continue };
            // what rows inherit is not known of history
            if rule.feeds.iter().any(|feed| feed.inherits) {
                continue;
            }
            let from = until.saturating_sub(baseline.asks.history_nanos());
            let learned = Learned::empty(&baseline.asks);
            subjects.push(Subject { key: key.clone(), learned, from, until, floor: from });
            inputs.extend(rule.feeds.iter().map(|feed| feed.rule));
        }
        let bounds = self.settings.baseline_bounds();
        let (set, tenant) = (Arc::clone(&self.set), tenant.clone());
        let losses = Losses::default();
        (!subjects.is_empty()).then_some(Learner { set, tenant, bounds, subjects, inputs, losses })
    }

    /// Takes over what was read from history. Baselines that are gone meanwhile, or know of it already, are left alone.
    pub fn adopt(&mut self, mut learner: Learner) {
        learner.settle(UnixNanos(i64::MAX));
        let bounds = self.settings.baseline_bounds();
        let Some(tenant) = self.tenants.get_mut(&learner.tenant) else { return };
        for subject in learner.subjects {
            let Some(memory) = tenant.baselines.get_mut(&subject.key) else { continue };
            let Some((_, baseline)) = of_key(&self.set, &subject.key) else { continue };
            if memory.unread_before.take() != Some(subject.until) {
                continue;
            }
            let mut losses = Losses::default();
            match (&mut memory.learned, subject.learned, &baseline.asks) {
                (Learned::Seen(seen), Learned::Seen(history), Asks::FirstSeen(asks)) => {
                    seen.absorb(asks, history, bounds, &mut losses);
                }
                (Learned::Usual(usual), Learned::Usual(history), Asks::Deviation(asks)) => {
                    usual.absorb(asks, history, bounds, &mut losses);
                }
                _ => {}
            }
            let counters = self.counters.entry(subject.key.0).or_default();
            counters.evicted += losses.evicted + std::mem::take(&mut learner.losses.evicted);
        }
    }
}

impl Asks {
    /// How much history it wants.
    fn history_nanos(&self) -> i64 {
        match self {
            Self::FirstSeen(asks) if asks.returned => asks.remember_nanos,
            // what was seen before it is unseen again anyway
            Self::FirstSeen(asks) => asks.learn_nanos.max(asks.forget_nanos),
            Self::Deviation(asks) => asks.window_buckets.saturating_mul(asks.bucket_nanos),
        }
    }
}

fn of_key<'s>(set: &'s RuleSet, key: &Key) -> Option<(&'s CompiledCorrelation, &'s Baseline)> {
    set.rules.iter().find_map(|rule| match &rule.body {
        CompiledBody::Correlation(rule) => {
            let (baseline, known) = rule.baseline.as_ref()?;
            (known == key).then_some((rule, &**baseline))
        }
        CompiledBody::Event(_) | CompiledBody::Policy(_) => None,
    })
}
