//! Which lines of a file match rules that inherit. Times are not asked for: any line may inherit from any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{EventId, TenantId};

use super::deal::Dealt;
use crate::budget::Stopped;
use crate::engine::{RuleCounters, Settings, Tenant};
use crate::geo::NoPlaces;
use crate::offline::Match;
use crate::pass::{Matches, Pass};
use crate::set::RuleSet;

/// The traces of a file and the lines that wait; empty while no rule inherits.
pub struct Inheriting<'r> {
    set: &'r Arc<RuleSet>,
    tenant: Tenant,
    name: TenantId,
    counters: BTreeMap<String, RuleCounters>,
    /// The lines of the events so far.
    lines: Vec<usize>,
}

impl<'r> Inheriting<'r> {
    pub fn new(set: &'r Arc<RuleSet>) -> Self {
        let (tenant, name) = (Tenant::new(), TenantId::default_tenant());
        Self { set, tenant, name, counters: BTreeMap::new(), lines: Vec::new() }
    }

    /// Notes on which lines the next events stand; how many events there were before.
    pub fn note(&mut self, lines: impl Iterator<Item = usize>) -> usize {
        let before = self.lines.len();
        if self.set.inherited.is_some() {
            self.lines.extend(lines);
        }
        before
    }

    /// Takes events in; those of which all is known.
    pub fn take(&mut self, matches: &mut Matches<'_>) -> Vec<Match> {
        self.deal(Some(matches), 0)
    }

    /// The file has ended: what is left.
    pub fn rest(&mut self) -> Vec<Match> {
        self.deal(None, i64::MAX)
    }

    fn deal(&mut self, mut matches: Option<&mut Matches<'_>>, floor: i64) -> Vec<Match> {
        let (Some(plan), Some(_)) = (self.set.traces, &self.set.inherited) else { return Vec::new() };
        let settings = Settings::offline();
        let (set, name, counters) = (&**self.set, &self.name, &mut self.counters);
        let stopped = Stopped::new();
        let detections = Vec::new();
        let (stopped, places) = (&stopped, &NoPlaces);
        let mut pass =
            Pass { set, settings, name, counters, stopped, places, meter: None, forgotten: Vec::new(), detections };
        if let Some(matches) = matches.as_deref_mut() {
            pass.follow(&mut self.tenant, plan, matches);
        }
        let dealt: Dealt = pass.deal(&mut self.tenant, matches, floor);
        let line = |event: &EventId| {
            let EventId::External(position) = event else { return None };
            self.lines.get(position.parse::<usize>().ok()?).copied()
        };
        let of = |(rule, event): (usize, &EventId)| {
            let rule = self.set.rules.get(rule).filter(|rule| rule.asks_of_others())?;
            Some(Match { event: line(event)?, rule: rule.info.id.clone() })
        };
        dealt.events().filter_map(of).collect()
    }
}
