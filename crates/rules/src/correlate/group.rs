//! One group: its events in order of time, and the window that slides over them.
//!
//! The window stays where the last verdict left it. For the next one it moves: events enter and leave at both its ends,
//! so that a verdict costs what lies between two moments and not what the window holds.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use model::EventId;

use crate::kinds::{Finding, Kept, Settles, Window};
use crate::set::CompiledCorrelation;

/// A window over fewer events is not worth keeping: it is filled anew.
const SLIDING_FROM: usize = 32;

/// What an event takes in memory, in bytes, besides its value: its place, its identity, and its share of a window.
pub const EVENT_BYTES: usize = 192;
/// What a group takes in memory, in bytes, besides its events and its key.
pub const GROUP_BYTES: usize = 320;

/// One group.
#[derive(Debug, Default)]
pub struct Group {
    /// Identity: the values without regard to case.
    pub key: Arc<str>,
    pub values: Vec<Arc<str>>,
    /// In order of time, then of identity, so that the order of arrival shows nowhere.
    pub kept: Vec<Kept>,
    /// For each event, whether its moment has fired; the first of a moment speaks for all. Empty when none has.
    fired: Vec<bool>,
    sliding: Option<Box<Sliding>>,
    /// When the earliest of its events that wait is judged; `i64::MAX` when none waits.
    pub due: i64,
    /// The earliest event since the last verdict; `i64::MAX` when there is none.
    pub news: i64,
    /// What its events take.
    pub bytes: usize,
}

/// A moment that qualifies.
#[derive(Debug)]
pub struct Moment {
    pub at: i64,
    pub finding: Finding,
    /// The events of its window, by position in the group.
    pub window: Range<usize>,
    /// How many events of the store they stand for.
    pub events: usize,
}

struct Sliding {
    window: Box<dyn Window>,
    start: usize,
    end: usize,
    /// How many events of the store are in it.
    events: usize,
}

impl Sliding {
    fn enter(&mut self, kept: &Kept) {
        self.window.enter(kept);
        self.events += kept.events.len();
    }

    fn leave(&mut self, kept: &Kept) {
        self.window.leave(kept);
        self.events -= kept.events.len();
    }
}

impl fmt::Debug for Sliding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// What decides the order of events.
fn order(kept: &Kept) -> (i64, &[EventId], usize) {
    (kept.at, &kept.events, kept.rule)
}

impl Group {
    /// A group without events.
    pub fn new(key: Arc<str>, values: Vec<Arc<str>>) -> Self {
        Self { key, values, due: i64::MAX, news: i64::MAX, ..Self::default() }
    }

    /// Takes back the events of a checkpoint, in order, and the moments that have fired.
    pub fn restore(&mut self, kept: Vec<Kept>, fired: &[i64]) {
        if !fired.is_empty() {
            self.fired = kept.iter().map(|kept| fired.binary_search(&kept.at).is_ok()).collect();
        }
        self.bytes = kept.iter().map(event_bytes).sum();
        self.kept = kept;
    }

    /// Puts an event into its place; `false` when it is there already, because a sender repeated a request.
    pub fn insert(&mut self, event: Kept) -> bool {
        let place = match self.kept.last() {
            Some(last) if order(last) >= order(&event) => {
                self.kept.partition_point(|kept| order(kept) <= order(&event))
            }
            _ => self.kept.len(),
        };
        let before = place.checked_sub(1).and_then(|before| self.kept.get(before));
        if before.is_some_and(|before| order(before) == order(&event)) {
            return false;
        }
        // the first of a moment speaks for all of it
        let is_second = before.is_some_and(|before| before.at == event.at);
        let has_fired = !is_second
            && self.kept.get(place).is_some_and(|after| after.at == event.at)
            && self.fired.get(place).is_some_and(|fired| *fired);
        if let Some(sliding) = &mut self.sliding {
            if place <= sliding.start {
                sliding.start += 1;
                sliding.end += 1;
            } else if place < sliding.end {
                sliding.enter(&event);
                sliding.end += 1;
            }
        }
        self.bytes += event_bytes(&event);
        self.kept.insert(place, event);
        if !self.fired.is_empty() {
            self.fired.insert(place, has_fired);
        }
        true
    }

    /// Forgets the oldest events.
    pub fn forget(&mut self, count: usize) {
        if let Some(sliding) = &mut self.sliding {
            for kept in self.kept.get(sliding.start..sliding.end.min(count)).unwrap_or_default() {
                sliding.leave(kept);
            }
            sliding.start = sliding.start.saturating_sub(count);
            sliding.end = sliding.end.saturating_sub(count);
        }
        self.fired.drain(..count.min(self.fired.len()));
        self.bytes -= self.kept.drain(..count).map(|kept| event_bytes(&kept)).sum::<usize>();
    }

    /// Forgets events before a moment, once they are half of all: each is moved once on average.
    pub fn prune(&mut self, before: i64) {
        if self.kept.get(self.kept.len() / 2).is_some_and(|middle| middle.at < before) {
            self.forget(self.stale(before));
        }
    }

    /// How many events lie before a moment.
    pub fn stale(&self, before: i64) -> usize {
        self.kept.partition_point(|kept| kept.at < before)
    }

    /// The moments that have fired, of those that can fire again.
    pub fn fired_since(&self, floor: i64) -> Vec<i64> {
        let fired = self.kept.iter().zip(&self.fired).filter(|(kept, fired)| **fired && kept.at >= floor);
        let mut moments: Vec<i64> = fired.map(|(kept, _)| kept.at).collect();
        moments.dedup();
        moments
    }

    /// Judges the moments of events from `from` on, as far as they lie before `below`. With `once`, a moment that fired is
    /// not judged again.
    pub fn judge(&mut self, rule: &CompiledCorrelation, from: i64, below: i64, once: bool) -> Vec<Moment> {
        let until_verdict = if rule.settles == Settles::AtDeadline { rule.span_nanos } else { 0 };
        let mut moments = Vec::new();
        let mut at = self.stale(from);
        while let Some(time) = self.kept.get(at).map(|kept| kept.at) {
            let moment = time.saturating_add(until_verdict);
            if moment >= below {
                break;
            }
            let first = at;
            while self.kept.get(at).is_some_and(|kept| kept.at == time) {
                at += 1;
            }
            if self.fired.get(first) == Some(&true) {
                continue;
            }
            if let Some(found) = self.look(rule, moment) {
                moments.push(found);
                if once {
                    self.fired.resize(self.kept.len(), false);
                    self.fired[first..at].fill(true);
                }
            }
        }
        if self.sliding.as_ref().is_some_and(|sliding| sliding.end - sliding.start < SLIDING_FROM) {
            self.sliding = None;
        }
        moments
    }

    fn look(&mut self, rule: &CompiledCorrelation, moment: i64) -> Option<Moment> {
        let sliding = slide(&mut self.sliding, &self.kept, rule, moment);
        let window = sliding.start..sliding.end;
        let inside = self.kept.get(window.clone()).filter(|inside| !inside.is_empty())?;
        let finding = sliding.window.look(inside)?;
        let is_met = rule.condition.bounds.iter().all(|(relation, bound)| relation.holds(finding.metric, *bound));
        is_met.then_some(Moment { at: moment, finding, window, events: sliding.events })
    }
}

/// Moves the window to a moment, both ends included.
fn slide<'g>(
    sliding: &'g mut Option<Box<Sliding>>,
    kept: &[Kept],
    rule: &CompiledCorrelation,
    moment: i64,
) -> &'g mut Sliding {
    let since = moment.saturating_sub(rule.span_nanos);
    let overlaps = |sliding: &Sliding| {
        let inside = kept.get(sliding.start..sliding.end).unwrap_or_default();
        inside.first().is_some_and(|first| first.at <= moment) && inside.last().is_some_and(|last| last.at >= since)
    };
    if !sliding.as_deref().is_some_and(overlaps) {
        *sliding = None;
    }
    let sliding = sliding.get_or_insert_with(|| {
        let start = kept.partition_point(|kept| kept.at < since);
        let window = (rule.kind.open)(&rule.condition, rule.feeds.len());
        Box::new(Sliding { window, start, end: start, events: 0 })
    });
    while let Some(next) = kept.get(sliding.end).filter(|next| next.at <= moment) {
        sliding.enter(next);
        sliding.end += 1;
    }
    while let Some(last) = kept[sliding.start..sliding.end].last().filter(|last| last.at > moment) {
        sliding.leave(last);
        sliding.end -= 1;
    }
    while let Some(before) = kept[..sliding.start].last().filter(|before| before.at >= since) {
        sliding.enter(before);
        sliding.start -= 1;
    }
    while let Some(first) = kept[sliding.start..sliding.end].first().filter(|first| first.at < since) {
        sliding.leave(first);
        sliding.start += 1;
    }
    sliding
}

fn event_bytes(event: &Kept) -> usize {
    EVENT_BYTES + event.value.as_ref().map_or(0, |value| value.len())
}
