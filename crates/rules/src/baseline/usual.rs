//! `deviation`: what each group's buckets of time come to, and which come to far more than those before them.
//!
//! The baseline of a bucket are the group's closed buckets within the window before it, those of the same season only;
//! from the first of them that has events on, buckets without events count as 0 (for an average they do not count). With
//! their median `m` and the median `d` of their distances from it, a bucket that comes to `v` is out of the ordinary when
//! all that the rule asks for holds:
//!
//! ```text
//! floor:      v >= floor
//! ratio_gte:  v >= ratio * m
//! mad_gte:    v >= m + mad * 1.4826 * d, and v > m
//! ```
//!
//! `(v - m) / (1.4826 * d)` is the modified z-score (Iglewicz and Hoaglin 1993; NIST/SEMATECH e-Handbook of Statistical
//! Methods, 1.3.5.17: 0.6745 = 1 / 1.4826): median and MAD stay what they are until half of the buckets are out of the
//! ordinary. Buckets that fired are not left out, for what goes on for long is usual.
//!
//! Events are added up when the watermark has passed them, in order of time and identity. A sum, count or number of
//! distinct values fires at the event with which it is first met, once per bucket; an average at the end of its bucket.
//!
//! Of 200,000 groups each took 400 bytes of memory with one event, and 610 with twenty buckets (measured); 16 for each bucket
//! with events are kept, `window` / `bucket` at most, and 8 for each distinct value of the open bucket. All are bounded: see
//! [`super::Bounds`].

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use model::EventId;

use super::metric::{Metric, Total};
use super::recency::{Digest, Recency};
use super::{Bounds, Deviation, Event, Season, mark};
use crate::correlate::{Firing, Losses};
use crate::reason;
use crate::set::CompiledCorrelation;
use crate::timespan;

/// Makes the median absolute deviation of normally distributed values their standard deviation.
const MAD_SCALE: f64 = 1.4826;
/// Events named as evidence of one bucket: each open bucket holds them.
const EVIDENCE: usize = 32;
/// How many stale groups one settling looks for.
const STALE_PER_SETTLING: usize = 1_024;
const HOUR_NANOS: i64 = 3_600_000_000_000;

/// Events that the watermark has not passed: by time and mark, what they are worth and who they are.
pub type Waiting = BTreeMap<(i64, u64), (u64, EventId)>;

/// The bucket that a group is in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Open {
    /// Number of the bucket since 1970.
    pub bucket: i64,
    pub total: Total,
    pub has_fired: bool,
    /// From which value on it is out of the ordinary, and the median; unknown until it matters, `None` when there is
    /// too little to judge by.
    pub bar: Option<Option<Bar>>,
    /// The latest events.
    pub events: VecDeque<EventId>,
    pub omitted: u64,
}

/// From where on a bucket is out of the ordinary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    at_least: f64,
    median: f64,
}

/// A group.
#[derive(Debug, Default)]
pub struct Group {
    pub texts: Vec<Arc<str>>,
    pub waiting: Waiting,
    pub open: Option<Open>,
    /// Number and value of closed buckets that had events, in order.
    pub closed: VecDeque<(i64, f64)>,
    /// When it is settled next.
    pub due: Option<i64>,
}

/// Everything one rule knows of one tenant.
#[derive(Debug, Default)]
pub struct Usual {
    pub groups: Recency<Group>,
    due: BTreeSet<(i64, Digest)>,
    /// Events that wait, over all groups.
    waiting: usize,
    /// Closed buckets, over all groups.
    buckets: usize,
}

impl Usual {
    /// Takes an event that is not late.
    pub fn take(&mut self, asks: &Deviation, key: Digest, event: &Event<'_>, bounds: Bounds, losses: &mut Losses) {
        let Some(worth) = event.worth else { return };
        if self.waiting >= bounds.waiting {
            losses.evicted += 1;
            return;
        }
        if self.groups.touch(&key).is_none() {
            if self.groups.len() >= bounds.groups {
                self.forget_oldest(losses);
            }
            self.groups.insert(key, Group { texts: (event.texts)(), ..Group::default() });
        }
        let Some(group) = self.groups.get_mut(&key) else { return };
        let id = (event.id)();
        // a sender that repeats a request must not make one event count twice
        let Entry::Vacant(place) = group.waiting.entry((event.at, mark(&id))) else { return };
        place.insert((worth, id));
        self.waiting += 1;
        self.schedule(asks, key);
    }

    /// Notes when a group is settled next.
    fn schedule(&mut self, asks: &Deviation, key: Digest) {
        let Some(group) = self.groups.get_mut(&key) else { return };
        let first = group.waiting.first_key_value().map(|((at, _), _)| *at);
        let end = group.open.as_ref().filter(|_| !asks.metric.grows()).map(|open| asks.end_of(open.bucket) - 1);
        let due = [first, end].into_iter().flatten().min();
        if due == group.due {
            return;
        }
        if let Some(before) = std::mem::replace(&mut group.due, due) {
            self.due.remove(&(before, key));
        }
        if let Some(due) = due {
            self.due.insert((due, key));
        }
    }

    /// Adds up what happened before `floor`, and judges it.
    pub fn settle(
        &mut self,
        asks: &Deviation,
        rule: &CompiledCorrelation,
        bounds: Bounds,
        floor: i64,
        losses: &mut Losses,
    ) -> Vec<Firing> {
        let mut firings = Vec::new();
        while let Some((_, key)) = self.due.first().copied().filter(|(due, _)| *due < floor) {
            let Some(group) = self.groups.get_mut(&key) else {
                self.due.pop_first();
                continue;
            };
            let before = group.closed.len();
            while let Some(event) = group.waiting.first_entry().filter(|event| event.key().0 < floor) {
                let ((at, _), (worth, event)) = event.remove_entry();
                self.waiting = self.waiting.saturating_sub(1);
                firings.extend(group.add(asks, rule, (at, worth, event), bounds, losses));
            }
            if group.open.as_ref().is_some_and(|open| !asks.metric.grows() && asks.end_of(open.bucket) <= floor) {
                firings.extend(group.close(asks, rule));
            }
            self.buckets = (self.buckets + group.closed.len()).saturating_sub(before);
            self.schedule(asks, key);
        }
        while self.buckets > bounds.buckets && self.groups.len() > 1 {
            self.forget_oldest(losses);
        }
        self.forget_stale(floor.div_euclid(asks.bucket_nanos).saturating_sub(asks.window_buckets));
        firings
    }

    fn forget_oldest(&mut self, losses: &mut Losses) {
        let Some(key) = self.groups.oldest().map(|(key, _)| *key) else { return };
        losses.evicted += 1;
        self.forget(&key);
    }

    fn forget(&mut self, key: &Digest) {
        let Some(group) = self.groups.remove(key) else { return };
        self.waiting = self.waiting.saturating_sub(group.waiting.len());
        self.buckets = self.buckets.saturating_sub(group.closed.len());
        if let Some(due) = group.due {
            self.due.remove(&(due, *key));
        }
    }

    /// Forgets groups without a bucket that a baseline to come could hold, those used least recently first.
    fn forget_stale(&mut self, before: i64) {
        for _ in 0..STALE_PER_SETTLING {
            let stale = self.groups.oldest().filter(|(_, group)| group.due.is_none() && group.newest() < Some(before));
            let Some(key) = stale.map(|(key, _)| *key) else { return };
            self.forget(&key);
        }
    }

    /// Takes back a group from a checkpoint, as the one used last.
    pub fn restore(&mut self, asks: &Deviation, key: Digest, group: Group) {
        self.waiting += group.waiting.len();
        self.buckets += group.closed.len();
        self.groups.insert(key, group);
        self.schedule(asks, key);
    }

    /// Puts what was read from history to it. History is older than all that is known here, and makes way for it; where
    /// both know of one bucket, sums and counts are added.
    pub fn absorb(&mut self, asks: &Deviation, history: Self, bounds: Bounds, losses: &mut Losses) {
        for (key, old) in history.groups.iter().rev() {
            let mut closed: Vec<(i64, f64)> = old.closed.iter().copied().collect();
            if self.groups.get(key).is_none() {
                if self.groups.len() >= bounds.groups || self.buckets + closed.len() > bounds.buckets {
                    losses.evicted += 1;
                    continue;
                }
                self.groups.insert_oldest(*key, Group { texts: old.texts.clone(), ..Group::default() });
            }
            let Some(group) = self.groups.get_mut(key) else { continue };
            let before = group.closed.len();
            if let Some(open) = &old.open {
                match group.open.as_mut().filter(|own| own.bucket == open.bucket) {
                    Some(own) => own.total.absorb(open.total.clone()),
                    None => closed.push((open.bucket, open.total.value(asks.metric))),
                }
            }
            for (bucket, value) in closed {
                let place = group.closed.partition_point(|(known, _)| *known < bucket);
                match group.closed.get_mut(place).filter(|(known, _)| *known == bucket) {
                    Some((_, known)) if matches!(asks.metric, Metric::Sum | Metric::Count) => *known += value,
                    Some(_) => {}
                    None => group.closed.insert(place, (bucket, value)),
                }
            }
            if let Some(open) = &mut group.open {
                open.bar = None;
            }
            self.buckets = (self.buckets + group.closed.len()).saturating_sub(before);
        }
    }
}

impl Group {
    /// The number of the latest bucket with events.
    fn newest(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.bucket).or(self.closed.back().map(|(bucket, _)| *bucket))
    }

    /// Adds an event that the watermark has passed.
    fn add(
        &mut self,
        asks: &Deviation,
        rule: &CompiledCorrelation,
        (at, worth, event): (i64, u64, EventId),
        bounds: Bounds,
        losses: &mut Losses,
    ) -> Vec<Firing> {
        let bucket = at.div_euclid(asks.bucket_nanos);
        let mut firings = Vec::new();
        if self.open.as_ref().is_some_and(|open| open.bucket != bucket) {
            firings.extend(self.close(asks, rule));
        }
        let open = self.open.get_or_insert_with(|| Open { bucket, ..Open::default() });
        if !open.total.add(asks.metric, worth) {
            losses.limited += 1;
        }
        let evidence = if bounds.evidence == usize::MAX { usize::MAX } else { bounds.evidence.min(EVIDENCE) };
        if open.events.len() >= evidence {
            open.events.pop_front();
            open.omitted += 1;
        }
        open.events.push_back(event);
        if asks.metric.grows() {
            firings.extend(self.judge(asks, rule, at));
        }
        firings
    }

    /// Ends the open bucket.
    fn close(&mut self, asks: &Deviation, rule: &CompiledCorrelation) -> Option<Firing> {
        let end = asks.end_of(self.open.as_ref()?.bucket);
        let firing = if asks.metric.grows() { None } else { self.judge(asks, rule, end) };
        let open = self.open.take()?;
        let oldest = open.bucket.saturating_sub(asks.window_buckets);
        self.closed.push_back((open.bucket, open.total.value(asks.metric)));
        while self.closed.front().is_some_and(|(bucket, _)| *bucket <= oldest) {
            self.closed.pop_front();
        }
        firing
    }

    /// Fires when the open bucket is out of the ordinary at a moment, and did not fire before.
    fn judge(&mut self, asks: &Deviation, rule: &CompiledCorrelation, at: i64) -> Option<Firing> {
        let open = self.open.as_mut().filter(|open| !open.has_fired)?;
        let value = open.total.value(asks.metric);
        if value < asks.floor {
            return None;
        }
        let bucket = open.bucket;
        let closed = &self.closed;
        let bar = (*open.bar.get_or_insert_with(|| asks.bar(closed, bucket)))?;
        if value < bar.at_least || (asks.mad_gte.is_some() && value <= bar.median) {
            return None;
        }
        open.has_fired = true;
        Some(Firing {
            at,
            since: bucket.saturating_mul(asks.bucket_nanos),
            key: self.texts.join("\u{1f}").to_ascii_lowercase().into(),
            group: self.texts.clone(),
            metric: value,
            events: open.events.iter().cloned().collect(),
            omitted: open.omitted,
            note: Some(note(asks, rule, &self.texts, value, bar.median)),
        })
    }
}

impl Deviation {
    /// The moment at which a bucket ends.
    fn end_of(&self, bucket: i64) -> i64 {
        bucket.saturating_add(1).saturating_mul(self.bucket_nanos)
    }

    /// Which season a bucket belongs to.
    fn season_of(&self, bucket: i64) -> i64 {
        let hour = bucket.saturating_mul(self.bucket_nanos).div_euclid(HOUR_NANOS);
        match self.season {
            Season::None => 0,
            Season::HourOfDay => hour.rem_euclid(24),
            Season::HourOfWeek => hour.rem_euclid(7 * 24),
        }
    }

    /// How many buckets of one season the window holds at most.
    pub fn buckets_of_a_season(&self) -> usize {
        // what comes before the first bucket of a season in the window differs by season; the first week has them all
        let of = |bucket: i64| {
            let season = self.season_of(bucket);
            (1..=self.window_buckets).filter(|back| self.season_of(bucket - back) == season).count()
        };
        of(self.window_buckets)
    }

    /// From which value on a bucket is out of the ordinary.
    fn bar(&self, closed: &VecDeque<(i64, f64)>, bucket: i64) -> Option<Bar> {
        let oldest = bucket.saturating_sub(self.window_buckets);
        let first = closed.iter().map(|(known, _)| *known).find(|known| *known >= oldest)?;
        let season = self.season_of(bucket);
        let is_alike = |known: i64| self.season == Season::None || self.season_of(known) == season;
        let mut values: Vec<f64> =
            closed.iter().filter(|(known, _)| *known >= oldest && is_alike(*known)).map(|(_, value)| *value).collect();
        if self.metric.has_zero() {
            let alike = (first..bucket).filter(|known| is_alike(*known)).count();
            values.resize(alike.max(values.len()), 0.0);
        }
        if values.len() < self.min_buckets {
            return None;
        }
        let median = median(&mut values)?;
        let mut at_least = self.floor;
        if let Some(ratio) = self.ratio_gte {
            at_least = at_least.max(ratio * median);
        }
        if let Some(mad) = self.mad_gte {
            values.iter_mut().for_each(|value| *value = (*value - median).abs());
            at_least = at_least.max(median + mad * MAD_SCALE * self::median(&mut values)?);
        }
        Some(Bar { at_least, median })
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    let is_odd = values.len() % 2 == 1;
    let (_, low, above) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if is_odd {
        return Some(*low);
    }
    let high = above.iter().copied().min_by(f64::total_cmp)?;
    Some(*low + (high - *low) / 2.0)
}

/// Why it fired.
fn note(asks: &Deviation, rule: &CompiledCorrelation, texts: &[Arc<str>], value: f64, median: f64) -> String {
    let what = (rule.kind.what)(&rule.condition);
    let what = match asks.metric {
        Metric::Count => "events".to_owned(),
        Metric::Sum => format!("sum of {what}"),
        Metric::Avg => format!("average of {what}"),
        Metric::Distinct => format!("distinct values of {what}"),
    };
    let bucket = timespan::show_nanos(asks.bucket_nanos);
    let mut text = format!("{} {what} within {bucket}, usual are {}", reason::number(value), reason::number(median));
    let group = rule.group_by.iter().zip(texts);
    let values: Vec<String> = group.map(|(field, value)| format!("{field} = {}", reason::cut(value))).collect();
    if !values.is_empty() {
        text.push_str(&format!(", for {}", values.join(", ")));
    }
    text
}
