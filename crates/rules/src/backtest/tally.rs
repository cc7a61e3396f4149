//! Counts alerts by rule and hour, and compares two versions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use model::detection::RuleInfo;
use model::{Detection, TimeRange, UnixNanos};

use super::alert::{AlertKey, Keys, Side};
use super::report::{BacktestReport, BaselineStart, Diff, HourCount, RuleReport, Sample};
use super::{BAR_NANOS, BacktestAsk};
use crate::RuleCounters;
use crate::related::Related;

/// Evidence listed of a sample.
const EVIDENCE: usize = 20;

/// Alerts kept whole for each one that is listed.
const SHOWN_PER_LISTED: usize = 4;

/// What is known of each rule.
#[derive(Debug)]
pub(super) struct Tally {
    range: TimeRange,
    samples: usize,
    /// Alerts that may still be remembered.
    room: usize,
    has_deployed: bool,
    keys: Keys,
    rules: BTreeMap<String, OfRule>,
}

#[derive(Debug, Default)]
struct OfRule {
    tried: Option<RuleInfo>,
    deployed: Option<RuleInfo>,
    counts: [u64; 2],
    hours: BTreeMap<i64, [u64; 2]>,
    samples: Vec<Sample>,
    /// Alerts raised by one side that the other has not raised yet.
    open: [HashMap<AlertKey, Option<Sample>>; 2],
    /// How many of those are kept with what they show.
    shown: [usize; 2],
    /// Alerts that both raised: neither of them is looked at again when an event was stored twice.
    both: HashSet<AlertKey>,
    not_compared: u64,
}

impl Tally {
    pub(super) fn new(candidate: &Related, deployed: Option<&Related>, ask: &BacktestAsk) -> Self {
        let mut rules: BTreeMap<String, OfRule> = BTreeMap::new();
        let ids: BTreeSet<&String> = candidate.ids.iter().chain(deployed.iter().flat_map(|found| &found.ids)).collect();
        for info in candidate.set.infos().filter(|info| ids.contains(&info.id)) {
            rules.entry(info.id.clone()).or_default().tried = Some(info.clone());
        }
        for info in deployed.iter().flat_map(|found| found.set.infos()).filter(|info| ids.contains(&info.id)) {
            rules.entry(info.id.clone()).or_default().deployed = Some(info.clone());
        }
        Self {
            range: ask.range,
            samples: ask.samples,
            room: ask.compared,
            has_deployed: deployed.is_some(),
            keys: Keys::default(),
            rules,
        }
    }

    pub(super) fn take(&mut self, found: Vec<Detection>, side: Side) {
        for detection in found {
            if !self.range.contains(detection.at) {
                continue;
            }
            let key = self.keys.of(&detection);
            let Some(rule) = self.rules.get_mut(&detection.rule.id) else { continue };
            rule.take(&detection, key, side, self.samples, &mut self.room);
        }
    }

    pub(super) fn report(
        &self,
        counters: &BTreeMap<String, RuleCounters>,
        deployed: Option<BTreeMap<String, RuleCounters>>,
        baselines: &BTreeMap<String, BaselineStart>,
    ) -> BacktestReport {
        let of_rule = |(id, rule): (&String, &OfRule)| {
            let own = counters.get(id).or_else(|| deployed.as_ref()?.get(id)).copied().unwrap_or_default();
            let baseline = baselines.get(id).copied();
            Some(RuleReport { baseline, ..rule.report(own, self.has_deployed, self.samples)? })
        };
        let mut rules: Vec<RuleReport> = self.rules.iter().filter_map(of_rule).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.alerts.max(rule.deployed_alerts)));
        BacktestReport { rules }
    }
}

impl OfRule {
    fn take(&mut self, detection: &Detection, key: AlertKey, side: Side, samples: usize, room: &mut usize) {
        let (own, other) = match side {
            Side::Candidate => (0, 1),
            Side::Deployed => (1, 0),
        };
        if self.open[own].contains_key(&key) || self.both.contains(&key) {
            // of an event that was stored twice
            return;
        }
        self.counts[own] += 1;
        self.hours.entry(detection.at.0.div_euclid(BAR_NANOS)).or_default()[own] += 1;
        if side == Side::Candidate && self.samples.len() < samples {
            self.samples.push(sample(detection));
        }
        if let Some(raised) = self.open[other].remove(&key) {
            self.shown[other] -= usize::from(raised.is_some());
            self.both.insert(key);
            return;
        }
        if *room == 0 {
            self.not_compared += 1;
            return;
        }
        *room -= 1;
        // which of them the other side will not raise is not known yet: a few more than are listed are kept whole
        let is_shown = self.shown[own] < samples.saturating_mul(SHOWN_PER_LISTED);
        self.shown[own] += usize::from(is_shown);
        self.open[own].insert(key, is_shown.then(|| sample(detection)));
    }

    fn report(&self, counters: RuleCounters, has_deployed: bool, samples: usize) -> Option<RuleReport> {
        let info = self.tried.as_ref().or(self.deployed.as_ref())?.clone();
        let bar = |(hour, [alerts, deployed]): (&i64, &[u64; 2])| HourCount {
            start: UnixNanos(hour.saturating_mul(BAR_NANOS)),
            alerts: *alerts,
            deployed: *deployed,
        };
        let listed = |side: usize| -> Vec<Sample> {
            let mut listed: Vec<Sample> = self.open[side].values().flatten().cloned().collect();
            listed.sort_by(|left, right| (left.at, &left.group).cmp(&(right.at, &right.group)));
            listed.truncate(samples);
            listed
        };
        let diff = || Diff {
            both: self.both.len() as u64,
            only_new: self.open[0].len() as u64,
            only_deployed: self.open[1].len() as u64,
            new_samples: listed(0),
            deployed_samples: listed(1),
            not_compared: self.not_compared,
        };
        Some(RuleReport {
            info,
            is_tried: self.tried.is_some(),
            is_deployed: self.deployed.is_some(),
            alerts: self.counts[0],
            deployed_alerts: self.counts[1],
            baseline: None,
            counters,
            histogram: self.hours.iter().map(bar).collect(),
            samples: self.samples.clone(),
            diff: has_deployed.then(diff),
        })
    }
}

fn sample(detection: &Detection) -> Sample {
    let listed: Vec<_> = detection.events.iter().take(EVIDENCE).cloned().collect();
    Sample {
        at: detection.at,
        group: detection.group.clone(),
        reason: detection.reason.clone(),
        events_omitted: detection.events_omitted + (detection.events.len() - listed.len()) as u64,
        events: listed,
    }
}
