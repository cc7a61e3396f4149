//! The correlation types: one file each, one line in [`KINDS`].

mod deviation;
mod event_count;
mod first_seen;
mod geo;
mod temporal;
mod temporal_ordered;
mod trace_pattern;
mod value_avg;
mod value_count;
mod value_median;
mod value_percentile;
mod value_sum;

use std::fmt;
use std::sync::Arc;

use model::EventId;

use crate::rule::Condition;

/// Every correlation type.
pub static KINDS: [&Kind; 12] = [
    &event_count::KIND,
    &value_count::KIND,
    &temporal::KIND,
    &temporal_ordered::KIND,
    &value_sum::KIND,
    &value_avg::KIND,
    &value_percentile::KIND,
    &value_median::KIND,
    &trace_pattern::KIND,
    &first_seen::KIND,
    &deviation::KIND,
    &geo::KIND,
];

/// What a correlation type is.
pub struct Kind {
    /// The name in rules.
    pub name: &'static str,
    /// Whether `condition` must name a field.
    pub needs_field: bool,
    /// Whether `condition` must have bounds.
    pub needs_bounds: bool,
    /// Whether several fields may be named.
    pub takes_many_fields: bool,
    /// Whether `condition` may be a boolean expression over rules.
    pub takes_expression: bool,
    /// What it looks at. What is below is asked of windows only, and of the others what it counts.
    pub looks_at: LooksAt,
    /// When the verdict on a moment can be given.
    pub settles: fn(&Condition) -> Settles,
    /// An empty window for a correlation with this condition over this many rules.
    pub open: fn(&Condition, usize) -> Box<dyn Window>,
    /// What the metric counts, as in `distinct values of user.id`.
    pub what: fn(&Condition) -> String,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a correlation type looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooksAt {
    /// The events of a group within a window.
    Windows,
    /// The spans of a trace: [`crate::trace`].
    Traces,
    /// What is usual: [`crate::baseline`].
    Baselines,
}

/// When the verdict on a moment can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settles {
    /// As soon as an event arrives: events that come late can only confirm it.
    OnArrival,
    /// When the watermark has passed the moment: a late event could overturn it.
    OnWatermark,
    /// As above, for the window that begins with an event and ends a timespan later: what is missing must have had its
    /// chance to come.
    AtDeadline,
}

/// An event, or the firing of another correlation, in the memory of a group.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Event time in nanoseconds.
    pub at: i64,
    /// Which of the correlation's rules it satisfies.
    pub rule: usize,
    /// The value of the condition's field; `None` when absent.
    pub value: Option<Arc<str>>,
    /// The event, or the events of the firing.
    pub events: Arc<[EventId]>,
}

/// A window that slides over the events of one group, forth and back: what it holds is a stretch of their order in time.
pub trait Window: Send + Sync {
    /// An event enters: at the end, at the beginning, or, when it came late, in between.
    fn enter(&mut self, _event: &Kept) {}
    /// The oldest or the newest event leaves.
    fn leave(&mut self, _event: &Kept) {}
    /// What there is to see in the window, whose events are given; `None` when there is nothing to measure.
    fn look(&self, window: &[Kept]) -> Option<Finding>;
}

/// The window of a type that looks at something else.
pub struct NoWindow;

impl Window for NoWindow {
    fn look(&self, _window: &[Kept]) -> Option<Finding> {
        None
    }
}

/// What a window shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The count or value.
    pub metric: f64,
    /// Positions of the events that make it up; all of them when `None`.
    pub chosen: Option<Vec<usize>>,
}

impl Finding {
    /// A finding made up of every event of the window.
    pub fn of_all(metric: f64) -> Self {
        Self { metric, chosen: None }
    }
}

/// The type of this name.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.into_iter().find(|kind| kind.name == name)
}

/// The positions and numbers of the events whose value reads as a number.
fn numbers(window: &[Kept]) -> (Vec<usize>, Vec<f64>) {
    let number = |event: &Kept| event.value.as_deref().and_then(|text| text.trim().parse::<f64>().ok());
    window.iter().enumerate().filter_map(|(at, event)| Some((at, number(event)?))).unzip()
}

/// The percentile of numbers by linear interpolation between ranks, as `(n - 1) * p / 100`.
fn percentile(numbers: &mut [f64], percent: f64) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len().checked_sub(1)?;
    let rank = last as f64 * percent.clamp(0.0, 100.0) / 100.0;
    let below = numbers[rank.floor() as usize];
    let above = numbers[rank.ceil() as usize];
    Some(below + (above - below) * rank.fract())
}
