//! The memory of one correlation: groups, their events, and the moments that fire.
//!
//! Events stand in order of time within their group, wherever they arrive. A moment is judged with the window that ends
//! there, both ends included. Rules that late events can only confirm are judged on arrival, and judged again when an
//! event arrives late; all others wait until the watermark has passed the moment. Either way the set of moments that
//! fire is the one an ordered reading gives, as long as no event is later than the allowed lateness.

pub mod group;
mod recency;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::EventId;

use crate::kinds::{Kept, Settles};
use crate::set::CompiledCorrelation;
use group::{GROUP_BYTES, Group, Moment};
use recency::Recency;

/// Bounds on what one correlation may remember.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Groups; beyond, the least recently seen one is forgotten.
    pub groups: usize,
    /// Events of one group; beyond, the oldest are forgotten.
    pub events_per_group: usize,
    /// All of it together, in bytes; beyond, groups are forgotten, the least recently seen first.
    pub bytes: usize,
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
    /// Of these, those that were forgotten because a correlation takes too many bytes.
    pub crowded: u64,
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

/// A moment that qualifies, and the group it belongs to.
#[derive(Debug)]
pub struct Found {
    place: u32,
    key: Arc<str>,
    moment: Moment,
}

impl Found {
    /// Event time of the moment.
    pub fn at(&self) -> i64 {
        self.moment.at
    }
}

/// Everything one correlation remembers of one tenant.
#[derive(Debug, Default)]
pub struct Memory {
    groups: Vec<Group>,
    /// Places of `groups` that are free.
    free: Vec<u32>,
    places: HashMap<Arc<str>, u32, RandomState>,
    recency: Recency,
    /// Groups with events that wait for the watermark, by the earliest verdict.
    due: BTreeSet<(i64, u32)>,
    /// Groups with news since the last settling.
    news: Vec<u32>,
    /// Groups that were judged since the last end.
    judged: Vec<u32>,
    /// What it takes in memory; an estimate that errs upwards.
    bytes: usize,
}

/// How many stale groups one settling looks for: keeps its cost even.
const STALE_PER_SETTLING: usize = 1_024;

impl Memory {
    /// Puts an event into its group, which is named by the values of its keys. Events before `floor` are late: counted,
    /// not kept.
    pub fn insert(
        &mut self,
        rule: &CompiledCorrelation,
        bounds: Bounds,
        (key, values): (&str, &[&str]),
        event: Kept,
        floor: i64,
        losses: &mut Losses,
    ) {
        if event.at < floor {
            losses.late += 1;
            return;
        }
        let at = event.at;
        let place = self.place(key, values, bounds, losses);
        let group = &mut self.groups[place as usize];
        let before = group.bytes;
        if group.kept.len() >= bounds.events_per_group && group.kept.first().is_some_and(|first| at < first.at) {
            losses.evicted += 1;
            return;
        }
        if !group.insert(event) {
            return;
        }
        if group.kept.len() > bounds.events_per_group.saturating_add(bounds.events_per_group / 4) {
            group.forget(group.stale(floor.saturating_sub(rule.span_nanos)));
            let surplus = group.kept.len().saturating_sub(bounds.events_per_group);
            group.forget(surplus);
            losses.evicted += surplus as u64;
        }
        self.bytes = self.bytes.saturating_add(group.bytes).saturating_sub(before);
        match rule.settles {
            Settles::OnArrival if bounds.eager => {
                if group.news == i64::MAX {
                    self.news.push(place);
                }
                group.news = at.min(group.news);
            }
            _ => self.wait(place, at.saturating_add(until_verdict(rule))),
        }
    }

    /// Judges what can be judged: news at once, moments before `floor` finally. What qualifies comes in order of time,
    /// then key, and can be told until [`Memory::end`].
    pub fn settle(&mut self, rule: &CompiledCorrelation, floor: i64) -> Vec<Found> {
        let mut found = Vec::new();
        for place in std::mem::take(&mut self.news) {
            let group = &mut self.groups[place as usize];
            let from = std::mem::replace(&mut group.news, i64::MAX);
            if from == i64::MAX {
                // another group has its place now
                continue;
            }
            let moments = group.judge(rule, from, i64::MAX, true);
            found.extend(moments.into_iter().map(|moment| Found { place, key: Arc::clone(&group.key), moment }));
            self.judged.push(place);
        }
        let until_verdict = until_verdict(rule);
        while self.due.first().is_some_and(|(verdict, _)| *verdict < floor) {
            let Some((_, place)) = self.due.pop_first() else { break };
            let group = &mut self.groups[place as usize];
            let from = std::mem::replace(&mut group.due, i64::MAX).saturating_sub(until_verdict);
            let moments = group.judge(rule, from, floor, false);
            found.extend(moments.into_iter().map(|moment| Found { place, key: Arc::clone(&group.key), moment }));
            let next = group.kept.get(group.stale(floor.saturating_sub(until_verdict))).map(|kept| kept.at);
            next.into_iter().for_each(|next| self.wait(place, next.saturating_add(until_verdict)));
            self.judged.push(place);
        }
        found.sort_by(|left, right| (left.moment.at, &left.key).cmp(&(right.moment.at, &right.key)));
        found
    }

    /// Values of the group of a moment.
    pub fn group(&self, found: &Found) -> &[Arc<str>] {
        &self.groups[found.place as usize].values
    }

    /// A moment with its evidence, to be told to others.
    pub fn fire(&self, rule: &CompiledCorrelation, bounds: Bounds, found: &Found) -> Firing {
        let group = &self.groups[found.place as usize];
        let inside = group.kept.get(found.moment.window.clone()).unwrap_or_default();
        let chosen = found.moment.finding.chosen.as_deref();
        let total = chosen.map_or(found.moment.events, |chosen| {
            chosen.iter().filter_map(|position| inside.get(*position)).map(|kept| kept.events.len()).sum()
        });
        Firing {
            at: found.moment.at,
            since: found.moment.at.saturating_sub(rule.span_nanos),
            key: Arc::clone(&found.key),
            group: group.values.clone(),
            metric: found.moment.finding.metric,
            events: evidence(inside, chosen, bounds.evidence),
            omitted: total.saturating_sub(bounds.evidence) as u64,
            note: None,
        }
    }

    /// Forgets what no window to come can hold, and what is too much.
    pub fn end(&mut self, rule: &CompiledCorrelation, bounds: Bounds, floor: i64, losses: &mut Losses) {
        let before = floor.saturating_sub(rule.span_nanos);
        for place in std::mem::take(&mut self.judged) {
            let group = &mut self.groups[place as usize];
            let held = group.bytes;
            group.prune(before);
            self.bytes = self.bytes.saturating_sub(held - group.bytes);
        }
        for _ in 0..STALE_PER_SETTLING {
            let Some(place) = self.recency.oldest() else { break };
            let group = &self.groups[place as usize];
            if group.kept.last().is_some_and(|kept| kept.at >= before) {
                break;
            }
            self.remove(place);
        }
        let forgotten = self.shrink(bounds.bytes);
        losses.evicted += forgotten;
        losses.crowded += forgotten;
    }

    /// Forgets groups, the least recently seen first, until it takes no more than so many bytes; how many events went.
    pub fn shrink(&mut self, bytes: usize) -> u64 {
        let mut forgotten = 0;
        while self.bytes > bytes
            && let Some(place) = self.recency.oldest()
        {
            forgotten += self.groups[place as usize].kept.len() as u64;
            self.remove(place);
        }
        forgotten
    }

    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of groups.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Takes back a group from a checkpoint, least recently used first. Events from `floor` on wait for their verdict
    /// again, where the rule waits.
    pub fn restore(
        &mut self,
        rule: &CompiledCorrelation,
        bounds: Bounds,
        (values, kept, fired): (Vec<Arc<str>>, Vec<Kept>, &[i64]),
        floor: i64,
    ) {
        let texts: Vec<&str> = values.iter().map(|value| &**value).collect();
        let place = self.place(&key_of(&texts), &texts, bounds, &mut Losses::default());
        let group = &mut self.groups[place as usize];
        group.restore(kept, fired);
        self.bytes = self.bytes.saturating_add(group.bytes);
        if rule.settles == Settles::OnArrival && bounds.eager {
            return;
        }
        let until_verdict = until_verdict(rule);
        let waiting = group.kept.get(group.stale(floor.saturating_sub(until_verdict))).map(|kept| kept.at);
        waiting.into_iter().for_each(|at| self.wait(place, at.saturating_add(until_verdict)));
    }

    /// The groups, least recently used first.
    pub fn by_recency(&self) -> impl Iterator<Item = &Group> {
        self.recency.places().filter_map(|place| self.groups.get(place as usize))
    }

    /// The place of a group, which is made when it is new.
    fn place(&mut self, key: &str, values: &[&str], bounds: Bounds, losses: &mut Losses) -> u32 {
        if let Some(place) = self.places.get(key) {
            self.recency.touch(*place);
            return *place;
        }
        if self.places.len() >= bounds.groups
            && let Some(oldest) = self.recency.oldest()
        {
            losses.evicted += self.groups[oldest as usize].kept.len() as u64;
            self.remove(oldest);
        }
        let key: Arc<str> = key.into();
        let value = |value: &&str| if **value == *key { Arc::clone(&key) } else { Arc::from(*value) };
        let group = Group::new(Arc::clone(&key), values.iter().map(value).collect());
        self.bytes = self.bytes.saturating_add(bytes_of(&group));
        let place = match self.free.pop() {
            Some(place) => {
                self.groups[place as usize] = group;
                place
            }
            None => {
                self.groups.push(group);
                u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.places.insert(key, place);
        self.recency.touch(place);
        place
    }

    fn remove(&mut self, place: u32) {
        let group = std::mem::take(&mut self.groups[place as usize]);
        self.bytes = self.bytes.saturating_sub(group.bytes + bytes_of(&group));
        self.places.remove(&group.key);
        self.recency.leave(place);
        self.due.remove(&(group.due, place));
        self.free.push(place);
    }

    /// Notes when an event of a group is judged.
    fn wait(&mut self, place: u32, verdict: i64) {
        let group = &mut self.groups[place as usize];
        if verdict < group.due {
            self.due.remove(&(group.due, place));
            group.due = verdict;
            self.due.insert((verdict, place));
        }
    }
}

/// How long after an event its moment is judged.
fn until_verdict(rule: &CompiledCorrelation) -> i64 {
    if rule.settles == Settles::AtDeadline { rule.span_nanos } else { 0 }
}

/// What a group takes without its events.
fn bytes_of(group: &Group) -> usize {
    let texts: usize = group.values.iter().map(|value| value.len() + 32).sum();
    GROUP_BYTES + group.key.len() + texts
}

/// Identity of a group: its values without regard to ASCII case, as Sigma compares.
pub fn key_of(values: &[&str]) -> String {
    let mut key = String::new();
    fold_into(&mut key, values);
    key
}

/// Writes the identity of a group into a text that is used again and again.
pub fn fold_into(key: &mut String, values: &[&str]) {
    key.clear();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            key.push('\u{1f}');
        }
        key.push_str(value);
    }
    key.make_ascii_lowercase();
}

/// The newest events of a finding, oldest first; one that stands for several counts as them.
fn evidence(window: &[Kept], chosen: Option<&[usize]>, limit: usize) -> Arc<[EventId]> {
    let kept: Box<dyn Iterator<Item = &Kept>> = match chosen {
        Some(chosen) => Box::new(chosen.iter().rev().filter_map(|position| window.get(*position))),
        None => Box::new(window.iter().rev()),
    };
    let (mut seen, mut events) = (HashSet::new(), Vec::new());
    for event in kept.flat_map(|kept| kept.events.iter().rev()).take(limit) {
        if seen.insert(event) {
            events.push(event.clone());
        }
    }
    events.reverse();
    events.into()
}

#[cfg(test)]
mod tests;
