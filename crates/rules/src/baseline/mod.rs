//! What is usual: rules that learn it, and fire at what is not.
//!
//! | file | what it answers |
//! |---|---|
//! | `network.rs` | which network an address lies in |
//! | `combos.rs` | which groups and values the rows of a batch have |
//! | `stretch.rs` | which times belong together |
//! | `recency.rs` | what was used least recently |
//! | `seen.rs` | which values a group has shown, and which are new |
//! | `metric.rs` | what the events of a bucket come to |
//! | `usual.rs` | what a group's buckets come to, and which are out of the ordinary |
//! | `identity.rs` | whose baseline it is: what a rule learns from, and nothing of how it judges |
//! | `learner.rs` | how a baseline is read from stored events |
//! | `saved.rs` | how that is written down |
//!
//! A baseline is kept by rule id and [`identity`], not by the rule's version: an edit of thresholds, times, texts or
//! suppression leaves it as it is, and an edit of what it learns from starts a new one.

pub mod combos;
pub mod identity;
pub mod learner;
pub mod metric;
pub mod network;
pub mod recency;
pub mod saved;
pub mod seen;
pub mod stretch;
pub mod usual;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::EventId;

use crate::correlate::{Firing, Losses};
use crate::pass::{Floors, Inputs, Matches};
use crate::set::{CompiledBody, CompiledCorrelation, Feed, RuleSet};
use combos::{Combos, Reading};
use metric::Metric;
use network::Network;
use seen::Seen;
use usual::Usual;

/// What a rule learns, and at what it fires.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// How the values of each event are read: those of `group-by` first, then the `fields` of `first_seen`.
    pub parts: Vec<Part>,
    /// How many of them are the group.
    pub groups: usize,
    /// Learn from stored events before live ones.
    pub has_history: bool,
    /// What is out of the ordinary.
    pub asks: Asks,
}

/// How one value is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// Reduce an address to its network.
    pub network: Option<Network>,
    /// That there is no value is a value.
    pub may_be_absent: bool,
}

/// What is out of the ordinary.
#[derive(Debug, Clone)]
pub enum Asks {
    /// Values that a group has not shown.
    FirstSeen(FirstSeen),
    /// A group's buckets that come to more than others before them.
    Deviation(Deviation),
}

/// `first_seen`. Times in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct FirstSeen {
    /// A group fires nothing in the time after its first event.
    pub learn_nanos: i64,
    /// And nothing before it had so many events.
    pub min_events: u64,
    /// A value that did not occur for longer is unseen again.
    pub forget_nanos: i64,
    /// Groups and values that did not occur for longer are forgotten for good. At least `forget_nanos`.
    pub remember_nanos: i64,
    /// Fire only for values that were seen, then not for `forget_nanos`, and now again.
    pub returned: bool,
}

/// `deviation`. Times in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Deviation {
    pub metric: Metric,
    /// Buckets begin at multiples of it since 1970.
    pub bucket_nanos: i64,
    /// So many buckets before one are its baseline.
    pub window_buckets: i64,
    /// Only those of the same time of the day or week.
    pub season: Season,
    /// Judge nothing by fewer.
    pub min_buckets: usize,
    /// At least so many times the median.
    pub ratio_gte: Option<f64>,
    /// At least so many scaled median absolute deviations above the median.
    pub mad_gte: Option<f64>,
    /// And at least this much.
    pub floor: f64,
}

/// Which buckets are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Season {
    /// All.
    None,
    /// Those that begin in the same hour of the day, in UTC.
    HourOfDay,
    /// Those that begin in the same hour of the week, in UTC.
    HourOfWeek,
}

/// Rule id and identity of the baseline.
pub type Key = (String, String);

/// Every baseline of one tenant.
pub type Baselines = BTreeMap<Key, Memory>;

/// Bounds on what one baseline may remember.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Groups; beyond, the least recently seen one is forgotten.
    pub groups: usize,
    /// Values of `first_seen`, over all groups; beyond, the least recently seen one is forgotten.
    pub values: usize,
    /// Events that wait for the watermark, over all groups; beyond, further ones are left out.
    pub waiting: usize,
    /// Buckets of `deviation`, over all groups; beyond, the least recently seen group is forgotten.
    pub buckets: usize,
    /// Events shown as evidence of one firing.
    pub evidence: usize,
}

/// What a rule has learned of one tenant.
#[derive(Debug)]
pub struct Memory {
    pub learned: Learned,
    /// Events before this moment were never looked at: history may tell of them. `None` once it did, or need not.
    pub unread_before: Option<i64>,
}

#[derive(Debug)]
pub enum Learned {
    Seen(Seen),
    Usual(Usual),
}

impl Memory {
    /// One that knows nothing of what was before `floor`.
    pub fn new(baseline: &Baseline, floor: i64) -> Self {
        Self { learned: Learned::empty(&baseline.asks), unread_before: baseline.has_history.then_some(floor) }
    }
}

impl Learned {
    /// One that knows nothing.
    pub fn empty(asks: &Asks) -> Self {
        match asks {
            Asks::FirstSeen(_) => Self::Seen(Seen::default()),
            Asks::Deviation(_) => Self::Usual(Usual::default()),
        }
    }

    /// Takes the events of one input and judges nothing yet. Events before `late_before` are late.
    pub fn take_rows(
        &mut self,
        baseline: &Baseline,
        feed: &Feed,
        matches: &mut Matches<'_>,
        bounds: Bounds,
        times: std::ops::Range<i64>,
        losses: &mut Losses,
    ) {
        let Some(rows) = matches.rows.get(&feed.rule) else { return };
        for field in feed.keys.iter().chain(&feed.values) {
            matches.columns.field(*field);
        }
        let (columns, events) = (&matches.columns, matches.events);
        let found = Combos::of(columns, &feed.keys, &baseline.parts, rows);
        let readings: Vec<Reading> =
            found.all.iter().map(|row| Reading::of(columns, &feed.keys, baseline, *row)).collect();
        let worth = metric::Worth::of(baseline, feed, columns, rows);
        for (row, number) in &found.rows {
            let Some(reading) = readings.get(*number as usize) else { continue };
            let event = Event {
                at: events.time(*row),
                id: &|| events.id(*row),
                worth: worth.of_row(columns, *row),
                texts: &|| combos::texts(columns, &feed.keys, &baseline.parts, *row),
            };
            if event.at < times.start {
                losses.late += 1;
            } else if event.at < times.end {
                self.take(baseline, reading, &event, bounds, times.start, losses);
            }
        }
    }

    /// Takes one event whose fields are told by number: the firing of another correlation, or a row that waited.
    fn take_told<'t>(
        &mut self,
        baseline: &Baseline,
        feed: &Feed,
        (at, id): (i64, &dyn Fn() -> EventId),
        text: impl Fn(usize) -> Option<&'t str>,
        (bounds, floor): (Bounds, i64),
        losses: &mut Losses,
    ) {
        let Some(texts) = combos::texts_of(&text, &feed.keys, &baseline.parts) else { return };
        let reading = Reading::of_texts(&texts, baseline);
        let values: Vec<Option<&str>> = feed.values.iter().map(|number| text(*number)).collect();
        let worth = metric::Worth::of_texts(baseline, &values);
        let shown = || texts.iter().map(|text| combos::shown(text.as_deref())).collect();
        let event = Event { at, id, worth, texts: &shown };
        match at < floor {
            true => losses.late += 1,
            false => self.take(baseline, &reading, &event, bounds, floor, losses),
        }
    }

    fn take(
        &mut self,
        baseline: &Baseline,
        reading: &Reading,
        event: &Event<'_>,
        bounds: Bounds,
        floor: i64,
        losses: &mut Losses,
    ) {
        match (self, &baseline.asks) {
            (Self::Seen(seen), Asks::FirstSeen(asks)) => seen.take(asks, reading, event, bounds, floor, losses),
            (Self::Usual(usual), Asks::Deviation(asks)) => {
                usual.take(asks, reading.group, event, bounds, losses);
            }
            // a baseline's identity tells the two apart
            _ => {}
        }
    }

    /// Judges what happened before `floor`, for good. Firings come in order of time, then key.
    pub fn settle(
        &mut self,
        rule: &CompiledCorrelation,
        baseline: &Baseline,
        bounds: Bounds,
        floor: i64,
        losses: &mut Losses,
    ) -> Vec<Firing> {
        let mut firings = match (self, &baseline.asks) {
            (Self::Seen(seen), Asks::FirstSeen(asks)) => seen.settle(asks, rule, floor),
            (Self::Usual(usual), Asks::Deviation(asks)) => usual.settle(asks, rule, bounds, floor, losses),
            _ => Vec::new(),
        };
        firings.sort_by(|left, right| (left.at, &left.key).cmp(&(right.at, &right.key)));
        firings
    }
}

/// One event, as a baseline sees it.
pub struct Event<'e> {
    pub at: i64,
    pub id: &'e dyn Fn() -> EventId,
    /// What it adds to the metric of `deviation`; `None` when it has nothing to add.
    pub worth: Option<u64>,
    /// The values of its group and of what is learned, as they are shown.
    pub texts: &'e dyn Fn() -> Vec<Arc<str>>,
}

/// Feeds and settles one rule.
pub fn run(
    (set, bounds): (&RuleSet, Bounds),
    memory: &mut Memory,
    (rule, baseline): (&CompiledCorrelation, &Baseline),
    mut matches: Option<&mut Matches<'_>>,
    inputs: &Inputs<'_>,
    floors: Floors,
) -> (Vec<Firing>, Losses) {
    let mut losses = Losses::default();
    let (learned, limits) = (&mut memory.learned, (bounds, floors.late));
    for feed in &rule.feeds {
        match (set.rules.get(feed.rule).map(|rule| &rule.body), matches.as_deref_mut()) {
            (Some(CompiledBody::Event(_)), _) if feed.inherits => {
                for row in inputs.dealt.rows(set, feed) {
                    let (id, text) = (|| row.id().clone(), |field| row.text(field));
                    learned.take_told(baseline, feed, (row.at(), &id), text, limits, &mut losses);
                }
            }
            (Some(CompiledBody::Event(_)), Some(matches)) => {
                learned.take_rows(baseline, feed, matches, bounds, floors.late..i64::MAX, &mut losses);
            }
            (Some(CompiledBody::Correlation(_) | CompiledBody::Policy(_)), _) => {
                for firing in inputs.fired.get(&feed.rule).into_iter().flatten() {
                    let id =
                        || firing.events.last().cloned().unwrap_or_else(|| EventId::External(firing.key.to_string()));
                    let text = |position: usize| firing.group.get(position).map(|text| &**text);
                    learned.take_told(baseline, feed, (firing.at, &id), text, limits, &mut losses);
                }
            }
            _ => {}
        }
    }
    let firings = learned.settle(rule, baseline, bounds, floors.settled, &mut losses);
    (firings, losses)
}

/// A number that tells events apart, the same in every process.
pub fn mark(event: &EventId) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    match event {
        EventId::Span(trace, span) => mix(mix(mix(1, word(&trace.0[..8])), word(&trace.0[8..])), word(&span.0)),
        EventId::Log(log, _) => mix(mix(2, log.lsn.0), u64::from(log.row)),
        EventId::External(name) => {
            name.as_bytes().chunks(8).fold(mix(3, name.len() as u64), |hash, part| mix(hash, word(part)))
        }
    }
}

/// The finalizer of SplitMix64 over what was mixed before and the next word.
fn mix(before: u64, word: u64) -> u64 {
    let mut mixed = (before.rotate_left(23) ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
