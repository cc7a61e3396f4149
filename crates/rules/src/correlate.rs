//! The memory of one correlation: groups, their events, and the moments that fire.
//!
//! Events stand in order of time within their group, wherever they arrive. A moment is judged with the window that ends
//! there, both ends included. Rules that late events can only confirm are judged on arrival, and judged again when an
//! event arrives late; all others wait until the watermark has passed the moment. Either way the set of moments that
//! fire is the one an ordered reading gives, as long as no event is later than the allowed lateness.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use model::EventId;

use crate::kinds::{Finding, Kept, Settles};
use crate::set::CompiledCorrelation;

/// Bounds on what one correlation may remember.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Groups; beyond, the least recently seen one is forgotten.
    pub groups: usize,
    /// Events of one group; beyond, the oldest are forgotten.
    pub events_per_group: usize,
    /// Events shown as evidence of one firing.
    pub evidence: usize,
    /// Judge on arrival where the rule allows it.
    pub eager: bool,
}

/// What was left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Losses {
    /// Events older than the watermark.
    pub late: u64,
    /// Events forgotten because a bound was met.
    pub evicted: u64,
    /// Verdicts that were given up because a bound was met.
    pub limited: u64,
}

/// A moment that fired.
#[derive(Debug, Clone)]
pub struct Firing {
    pub at: i64,
    /// When its window began.
    pub since: i64,
    /// Identity of the group, or the trace.
    pub key: Arc<str>,
    /// Values of the group-by fields.
    pub group: Vec<Arc<str>>,
    pub metric: f64,
    /// Evidence, oldest first.
    pub events: Arc<[EventId]>,
    pub omitted: u64,
    /// Why it fired; `None` when the metric and the group say it all.
    pub note: Option<String>,
}

/// One group.
#[derive(Debug, Default)]
pub struct Group {
    pub values: Vec<Arc<str>>,
    pub kept: Vec<Kept>,
    pub fired: BTreeSet<i64>,
    used: u64,
}

/// Everything one correlation remembers of one tenant.
#[derive(Debug, Default)]
pub struct Memory {
    pub groups: HashMap<Arc<str>, Group>,
    /// Moments to judge when the watermark has passed them.
    pub due: BTreeSet<(i64, Arc<str>)>,
    /// Groups by last use.
    recency: BTreeMap<u64, Arc<str>>,
    uses: u64,
    /// Groups with news since the last settling, and the earliest of it.
    news: BTreeMap<Arc<str>, i64>,
}

/// How many stale groups one settling looks for: keeps its cost even.
const STALE_PER_SETTLING: usize = 1_024;

impl Memory {
    /// Puts an event into its group. Events before `floor` are late: counted, not kept.
    pub fn insert(
        &mut self,
        rule: &CompiledCorrelation,
        bounds: Bounds,
        values: &[Arc<str>],
        event: Kept,
        floor: i64,
        losses: &mut Losses,
    ) {
        if event.at < floor {
            losses.late += 1;
            return;
        }
        let key = key_of(values);
        self.touch(&key, values, bounds, losses);
        let Some(group) = self.groups.get_mut(&key) else { return };
        let after = group.kept.partition_point(|kept| kept.at <= event.at);
        let same_time = group.kept[..after].iter().rev().take_while(|kept| kept.at == event.at);
        // a sender that repeats a request must not make one event count twice
        if same_time.into_iter().any(|kept| kept.rule == event.rule && kept.events == event.events) {
            return;
        }
        let at = event.at;
        group.kept.insert(after, event);
        if group.kept.len() > bounds.events_per_group.saturating_add(bounds.events_per_group / 4) {
            let surplus = group.kept.len() - bounds.events_per_group;
            group.kept.drain(..surplus);
            losses.evicted += surplus as u64;
        }
        match rule.settles {
            Settles::OnArrival if bounds.eager => {
                let earliest = self.news.entry(key).or_insert(at);
                *earliest = at.min(*earliest);
            }
            Settles::OnArrival | Settles::OnWatermark => drop(self.due.insert((at, key))),
            Settles::AtDeadline => drop(self.due.insert((at.saturating_add(rule.span_nanos), key))),
        }
    }

    /// Judges what can be judged: news at once, moments before `floor` finally. Firings come in order of time, then key.
    pub fn settle(&mut self, rule: &CompiledCorrelation, bounds: Bounds, floor: i64) -> Vec<Firing> {
        let mut moments: BTreeMap<Arc<str>, Vec<i64>> = BTreeMap::new();
        for (key, from) in std::mem::take(&mut self.news) {
            let Some(group) = self.groups.get(&key) else { continue };
            let start = group.kept.partition_point(|kept| kept.at < from);
            let mut times: Vec<i64> = group.kept[start..].iter().map(|kept| kept.at).collect();
            times.dedup();
            times.retain(|time| !group.fired.contains(time));
            moments.insert(key, times);
        }
        while self.due.first().is_some_and(|(time, _)| *time < floor) {
            if let Some((time, key)) = self.due.pop_first() {
                moments.entry(key).or_default().push(time);
            }
        }
        let mut firings = Vec::new();
        for (key, times) in moments {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            let found = sweep(rule, bounds, &key, group, &times);
            if bounds.eager && rule.settles == Settles::OnArrival {
                group.fired = group.fired.split_off(&floor);
                group.fired.extend(found.iter().map(|firing| firing.at));
            }
            firings.extend(found);
            prune(group, floor.saturating_sub(rule.span_nanos));
        }
        self.forget_stale(floor.saturating_sub(rule.span_nanos));
        firings.sort_by(|left, right| (left.at, &left.key).cmp(&(right.at, &right.key)));
        firings
    }

    /// Takes back a group from a checkpoint.
    pub fn restore(&mut self, values: Vec<Arc<str>>, kept: Vec<Kept>, fired: BTreeSet<i64>) {
        let key = key_of(&values);
        self.uses += 1;
        self.recency.insert(self.uses, Arc::clone(&key));
        self.groups.insert(key, Group { values, kept, fired, used: self.uses });
    }

    /// The groups, least recently used first.
    pub fn by_recency(&self) -> impl Iterator<Item = &Group> {
        self.recency.values().filter_map(|key| self.groups.get(key))
    }

    /// Marks a group as used, making it when it is new.
    fn touch(&mut self, key: &Arc<str>, values: &[Arc<str>], bounds: Bounds, losses: &mut Losses) {
        self.uses += 1;
        if !self.groups.contains_key(key)
            && self.groups.len() >= bounds.groups
            && let Some((_, oldest)) = self.recency.pop_first()
        {
            let forgotten = self.groups.remove(&oldest).map_or(0, |group| group.kept.len());
            losses.evicted += forgotten as u64;
            self.news.remove(&oldest);
        }
        let group = self.groups.entry(Arc::clone(key)).or_default();
        self.recency.remove(&group.used);
        group.used = self.uses;
        self.recency.insert(self.uses, Arc::clone(key));
        if group.values.is_empty() {
            group.values = values.to_vec();
        }
    }

    /// Forgets groups, least recently used first, whose every event has left every window to come.
    fn forget_stale(&mut self, before: i64) {
        for _ in 0..STALE_PER_SETTLING {
            let Some((used, key)) = self.recency.first_key_value() else { return };
            let is_stale =
                self.groups.get(key).is_none_or(|group| group.kept.last().is_none_or(|kept| kept.at < before));
            if !is_stale {
                return;
            }
            let (used, key) = (*used, Arc::clone(key));
            self.groups.remove(&key);
            self.recency.remove(&used);
        }
    }
}

/// Identity of a group: its values without regard to ASCII case, as Sigma compares.
fn key_of(values: &[Arc<str>]) -> Arc<str> {
    let folded: Vec<String> = values.iter().map(|value| value.to_ascii_lowercase()).collect();
    folded.join("\u{1f}").into()
}

/// Drops events that no window to come can hold. Done in strides, because it moves the rest.
fn prune(group: &mut Group, before: i64) {
    let gone = group.kept.partition_point(|kept| kept.at < before);
    if gone >= 64 || gone * 2 >= group.kept.len() {
        group.kept.drain(..gone);
    }
}

/// Slides the window over the moments, which are in order.
fn sweep(rule: &CompiledCorrelation, bounds: Bounds, key: &Arc<str>, group: &Group, times: &[i64]) -> Vec<Firing> {
    let Some(first) = times.first() else { return Vec::new() };
    let mut window = (rule.kind.open)(&rule.condition, rule.feeds.len());
    let begins = |time: i64| time.saturating_sub(rule.span_nanos);
    let mut start = group.kept.partition_point(|kept| kept.at < begins(*first));
    let mut end = start;
    let mut firings = Vec::new();
    for time in times {
        while let Some(kept) = group.kept.get(end).filter(|kept| kept.at <= *time) {
            window.enter(kept);
            end += 1;
        }
        while let Some(kept) = group.kept[..end].get(start).filter(|kept| kept.at < begins(*time)) {
            window.leave(kept);
            start += 1;
        }
        let inside = &group.kept[start..end];
        let Some(finding) = window.look(inside).filter(|_| !inside.is_empty()) else { continue };
        if rule.condition.bounds.iter().all(|(relation, bound)| relation.holds(finding.metric, *bound)) {
            let (events, omitted) = evidence(inside, &finding, bounds.evidence);
            firings.push(Firing {
                at: *time,
                since: begins(*time),
                key: Arc::clone(key),
                group: group.values.clone(),
                metric: finding.metric,
                events,
                omitted,
                note: None,
            });
        }
    }
    firings
}

/// The events of a finding, the newest when there are too many, and how many were left out.
fn evidence(window: &[Kept], finding: &Finding, limit: usize) -> (Arc<[EventId]>, u64) {
    let positions: Vec<usize> = finding.chosen.clone().unwrap_or_else(|| (0..window.len()).collect());
    let total: usize = positions.iter().map(|position| window[*position].events.len()).sum();
    let mut seen = HashSet::new();
    let mut events = Vec::new();
    let newest_first = positions.iter().rev().flat_map(|position| window[*position].events.iter().rev());
    for event in newest_first.take(limit) {
        if seen.insert(event) {
            events.push(event.clone());
        }
    }
    events.reverse();
    (events.into(), total.saturating_sub(limit) as u64)
}
