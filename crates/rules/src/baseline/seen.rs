//! `first_seen`: the values that each group has shown, and since when.
//!
//! A value's sightings are stretches without a silence longer than `forget`; the start of one is a first sighting. It is
//! judged when the watermark has passed it, and then nothing that comes in time can change it: neither when the group was
//! first seen, nor how many events it had before, nor when the value was seen last. What fires is therefore what an ordered
//! reading gives. A sighting of a known value costs two look-ups and a comparison.
//!
//! Of 200,000 values that were all new at once, each took 390 bytes of memory, whatever its length, and 48 in a checkpoint;
//! with a group of its own 510 and 140 (measured, with its first sighting and what allocation leaves over). Events of a group
//! that has not yet had `min_events` wait until the watermark has passed them. All are bounded: see [`super::Bounds`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::EventId;

use super::combos::Reading;
use super::recency::{Digest, Recency};
use super::stretch::{Change, Stretches};
use super::{Bounds, Event, FirstSeen, mark};
use crate::correlate::{Firing, Losses};
use crate::set::CompiledCorrelation;
use crate::timespan;

/// How many stale groups and values one settling looks for: keeps its cost even.
const STALE_PER_SETTLING: usize = 1_024;

/// How many events a group has had, until that is enough.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// Those that the watermark has passed.
    pub settled: u64,
    /// Time and mark of the others: as many of the earliest as are wanted.
    pub waiting: BTreeSet<(i64, u64)>,
    /// The time of the event with which it was enough.
    pub enough_at: Option<i64>,
}

/// A value of a group.
#[derive(Debug, Default)]
pub struct Value {
    pub seen: Stretches<()>,
}

/// A group. Each of its lives is a stretch without a silence longer than `remember`, and learns for itself.
#[derive(Debug, Default)]
pub struct Group {
    pub lives: Stretches<Counted>,
}

/// A first sighting that is not yet judged.
#[derive(Debug)]
pub struct Start {
    pub group: Digest,
    pub texts: Vec<Arc<str>>,
    pub events: Vec<EventId>,
    pub omitted: u64,
}

/// Everything one rule has seen of one tenant.
#[derive(Debug, Default)]
pub struct Seen {
    pub groups: Recency<Group>,
    pub values: Recency<Value>,
    /// First sightings that are not yet judged, by time and value.
    pub starts: BTreeMap<(i64, Digest), Start>,
    /// Groups with events that wait to be counted.
    pub counting: BTreeSet<Digest>,
    /// Events that wait to be counted, over all groups.
    pub waiting: usize,
}

impl Seen {
    /// Takes an event that is not late.
    pub fn take(
        &mut self,
        asks: &FirstSeen,
        reading: &Reading,
        event: &Event<'_>,
        bounds: Bounds,
        floor: i64,
        losses: &mut Losses,
    ) {
        self.count(asks, reading.group, event, bounds, floor, losses);
        if self.values.touch(&reading.whole).is_none() {
            if self.values.len() >= bounds.values {
                self.forget_oldest_value(losses);
            }
            self.values.insert(reading.whole, Value::default());
        }
        let Some(value) = self.values.get_mut(&reading.whole) else { return };
        let change = value.seen.insert(event.at, asks.forget_nanos, |(), ()| {});
        let whole = reading.whole;
        match change {
            Change::Inside(start) if start < event.at => {}
            Change::Inside(start) => self.witness((start, whole), event, bounds),
            Change::Joined(start) => drop(self.starts.remove(&(start, whole))),
            Change::Dropped(start) => {
                losses.evicted += 1;
                self.starts.remove(&(start, whole));
                if start != event.at {
                    self.begin(reading, event);
                }
            }
            Change::Moved(start) => {
                self.starts.remove(&(start, whole));
                self.begin(reading, event);
            }
            Change::Began => self.begin(reading, event),
        }
        if self.starts.len() > bounds.waiting {
            self.forget_latest_start(losses);
        }
    }

    /// Counts an event in the life of its group.
    fn count(
        &mut self,
        asks: &FirstSeen,
        key: Digest,
        event: &Event<'_>,
        bounds: Bounds,
        floor: i64,
        losses: &mut Losses,
    ) {
        if self.groups.touch(&key).is_none() {
            if self.groups.len() >= bounds.groups
                && let Some(oldest) = self.groups.oldest().map(|(key, _)| *key)
            {
                self.counting.remove(&oldest);
                let forgotten = self.groups.remove(&oldest).unwrap_or_default();
                let gone = forgotten.lives.iter().map(|life| life.with.waiting.len()).sum();
                self.waiting = self.waiting.saturating_sub(gone);
                losses.evicted += 1;
            }
            self.groups.insert(key, Group::default());
        }
        let Some(group) = self.groups.get_mut(&key) else { return };
        let mut gone = 0;
        let change = group.lives.insert(event.at, asks.remember_nanos, |before, after| gone += join(before, after));
        match change {
            Change::Began => group.lives.trim(floor),
            Change::Dropped(start) if start == event.at => return,
            _ => {}
        }
        self.waiting = self.waiting.saturating_sub(gone);
        let Some(life) = group.lives.around(event.at) else { return };
        let counted = &mut life.with;
        let wanted = asks.min_events.saturating_sub(counted.settled);
        if wanted == 0 && counted.enough_at.is_none() {
            // it stays enough when an edit asks for more
            counted.enough_at = Some(i64::MIN);
        }
        if counted.enough_at.is_some() {
            return;
        }
        if self.waiting >= bounds.waiting {
            losses.evicted += 1;
            return;
        }
        if counted.waiting.insert((event.at, mark(&(event.id)()))) {
            self.waiting += 1;
            self.counting.insert(key);
            if counted.waiting.len() as u64 > wanted {
                counted.waiting.pop_last();
                self.waiting -= 1;
            }
        }
    }

    fn begin(&mut self, reading: &Reading, event: &Event<'_>) {
        let start = Start { group: reading.group, texts: (event.texts)(), events: vec![(event.id)()], omitted: 0 };
        self.starts.insert((event.at, reading.whole), start);
    }

    /// Another event at the moment of a first sighting.
    fn witness(&mut self, key: (i64, Digest), event: &Event<'_>, bounds: Bounds) {
        let Some(start) = self.starts.get_mut(&key) else { return };
        let id = (event.id)();
        if start.events.contains(&id) {
            return;
        }
        match start.events.len() < bounds.evidence {
            true => start.events.push(id),
            false => start.omitted += 1,
        }
    }

    /// Judges the first sightings before `floor`.
    pub fn settle(&mut self, asks: &FirstSeen, rule: &CompiledCorrelation, floor: i64) -> Vec<Firing> {
        let mut firings = Vec::new();
        while let Some(entry) = self.starts.first_entry().filter(|entry| entry.key().0 < floor) {
            let ((at, whole), mut start) = entry.remove_entry();
            let has_learned = self.has_learned(asks, &start.group, at);
            let Some(value) = self.values.get_mut(&whole) else { continue };
            let before = value.seen.end_before(at).filter(|end| at.saturating_sub(*end) <= asks.remember_nanos);
            value.seen.trim(at.saturating_add(1));
            if !has_learned || (asks.returned && before.is_none()) {
                continue;
            }
            start.events.sort();
            firings.push(Firing {
                at,
                since: before.unwrap_or(at),
                key: start.texts.join("\u{1f}").to_ascii_lowercase().into(),
                note: Some(note(rule, &start.texts, before.map(|before| at.saturating_sub(before)))),
                group: start.texts,
                metric: 1.0,
                events: start.events.into(),
                omitted: start.omitted,
            });
        }
        for key in std::mem::take(&mut self.counting) {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            let gone: usize = group.lives.iter_mut().map(|life| drain(asks, &mut life.with, floor)).sum();
            self.waiting = self.waiting.saturating_sub(gone);
            if group.lives.iter().any(|life| !life.with.waiting.is_empty()) {
                self.counting.insert(key);
            }
        }
        self.forget_stale(floor.saturating_sub(asks.remember_nanos));
        firings
    }

    /// Whether a group had learned before a moment.
    fn has_learned(&mut self, asks: &FirstSeen, key: &Digest, at: i64) -> bool {
        let Some(life) = self.groups.get_mut(key).and_then(|group| group.lives.around(at)) else { return false };
        let gone = drain(asks, &mut life.with, at);
        self.waiting = self.waiting.saturating_sub(gone);
        let counted = &life.with;
        let is_enough = counted.settled >= asks.min_events || counted.enough_at.is_some_and(|enough| enough < at);
        is_enough && at.saturating_sub(life.start) >= asks.learn_nanos
    }

    /// Forgets the first sighting that is furthest in the future, as if it had not happened.
    fn forget_latest_start(&mut self, losses: &mut Losses) {
        let Some(((at, whole), start)) = self.starts.pop_last() else { return };
        losses.evicted += 1;
        if let Some(value) = self.values.get_mut(&whole) {
            value.seen.forget(at);
        }
        let life = self.groups.get_mut(&start.group).and_then(|group| group.lives.forget(at));
        self.waiting = self.waiting.saturating_sub(life.map_or(0, |counted| counted.waiting.len()));
    }

    fn forget_oldest_value(&mut self, losses: &mut Losses) {
        let Some(key) = self.values.oldest().map(|(key, _)| *key) else { return };
        losses.evicted += 1;
        for stretch in self.values.remove(&key).unwrap_or_default().seen.iter() {
            self.starts.remove(&(stretch.start, key));
        }
    }

    /// Forgets groups and values of which nothing was seen since, those used least recently first.
    fn forget_stale(&mut self, before: i64) {
        for _ in 0..STALE_PER_SETTLING {
            let stale = self.values.oldest().filter(|(_, value)| value.seen.end().is_none_or(|end| end < before));
            let Some(key) = stale.map(|(key, _)| *key) else { break };
            self.values.remove(&key);
        }
        for _ in 0..STALE_PER_SETTLING {
            let stale = self.groups.oldest().filter(|(_, group)| group.lives.end().is_none_or(|end| end < before));
            let Some(key) = stale.map(|(key, _)| *key) else { break };
            self.counting.remove(&key);
            self.groups.remove(&key);
        }
    }

    /// Puts what was read from history to it. History is older than all that is known here, and makes way for it.
    pub fn absorb(&mut self, asks: &FirstSeen, history: Self, bounds: Bounds, losses: &mut Losses) {
        for (key, old) in history.groups.iter().rev() {
            let mut lives = old.lives.clone();
            for life in lives.iter_mut() {
                // all of it is over
                drain(asks, &mut life.with, i64::MAX);
            }
            let has_room = self.groups.len() < bounds.groups;
            match self.groups.get_mut(key) {
                Some(group) => {
                    let mut gone = 0;
                    group.lives.absorb(lives, asks.remember_nanos, |before, after| {
                        gone += join(before, after);
                        if before.enough_at.is_none() && before.settled >= asks.min_events {
                            before.enough_at = Some(i64::MIN);
                        }
                    });
                    self.waiting = self.waiting.saturating_sub(gone);
                }
                None if has_room => self.groups.insert_oldest(*key, Group { lives }),
                None => losses.evicted += 1,
            }
        }
        for (key, old) in history.values.iter().rev() {
            let has_room = self.values.len() < bounds.values;
            match self.values.get_mut(key) {
                Some(value) => {
                    let before: Vec<i64> = value.seen.iter().map(|stretch| stretch.start).collect();
                    value.seen.absorb(old.seen.clone(), asks.forget_nanos, |(), ()| {});
                    let is_start = |start: &i64| value.seen.iter().any(|stretch| stretch.start == *start);
                    for gone in before.into_iter().filter(|start| !is_start(start)) {
                        self.starts.remove(&(gone, *key));
                    }
                }
                None if has_room => {
                    self.values.insert_oldest(*key, Value { seen: old.seen.clone() });
                }
                None => losses.evicted += 1,
            }
        }
    }
}

/// Puts the count of a later life to that of an earlier one; how many events need not wait any more.
fn join(before: &mut Counted, after: Counted) -> usize {
    before.settled = before.settled.saturating_add(after.settled);
    before.enough_at = before.enough_at.or(after.enough_at);
    let waited = before.waiting.len() + after.waiting.len();
    before.waiting.extend(after.waiting);
    if before.enough_at.is_some() {
        before.waiting.clear();
    }
    waited - before.waiting.len()
}

/// Counts the events before a moment for good; how many that were.
fn drain(asks: &FirstSeen, counted: &mut Counted, before: i64) -> usize {
    let waited = counted.waiting.len();
    while counted.enough_at.is_none()
        && let Some((at, _)) = counted.waiting.first().copied().filter(|(at, _)| *at < before)
    {
        counted.waiting.pop_first();
        counted.settled += 1;
        if counted.settled >= asks.min_events {
            counted.enough_at = Some(at);
            counted.waiting.clear();
        }
    }
    waited - counted.waiting.len()
}

/// Why it fired.
fn note(rule: &CompiledCorrelation, texts: &[Arc<str>], silent_nanos: Option<i64>) -> String {
    let values: Vec<String> = rule
        .group_by
        .iter()
        .zip(texts)
        .map(|(field, text)| format!("{field} = {}", crate::reason::cut(text)))
        .collect();
    let values = values.join(", ");
    match silent_nanos {
        Some(nanos) => format!("{values} seen again after {}", timespan::about_nanos(nanos)),
        None => format!("{values} seen for the first time"),
    }
}
