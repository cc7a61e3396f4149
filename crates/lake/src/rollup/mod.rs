//! Counts of spans, made when a file is written: by operation and by caller and callee, in steps of ten seconds.
//!
//! Service lists, the service map and the course of rate, errors and durations are read from these instead of from the
//! spans. They stand in the sidecar of a file ([`wire`]); those of merged files are added up, not counted again, because a
//! call whose two sides came in different flushes ([`callers`]) is counted with the one that came later.
//!
//! What they say is exact but for three things: durations are known to [`sketch`]'s 4.5 %, times to [`STEP_NANOS`], and a
//! span that was sent again in another flush counts again.

mod callers;
mod cells;
mod columns;
mod count;
mod reading;
mod sketch;
mod wire;

use std::collections::BTreeMap;

use model::signal::span::STATUS_ERROR;
use model::time::NANOS_PER_SEC;
use model::{TimeRange, UnixNanos};

pub use cells::{Cell, Table};
pub use reading::Wanted;
pub use sketch::Sketch;

pub(crate) use callers::{Callers, Remembered};
pub(crate) use count::count;
pub(crate) use reading::{as_written, check, of_inputs};
pub(crate) use wire::{STEPS, TOTALS, sections};

/// Length of a step in nanoseconds: ten seconds.
pub const STEP_NANOS: i64 = 10 * NANOS_PER_SEC;
/// Stands for the operations, services and peers past [`MAX_KEYS`] and [`MAX_SERVICES`].
pub const OTHER: &str = "(other)";
/// Operations, and calls, told apart in one file at most.
pub(crate) const MAX_KEYS: usize = 4_096;
/// Services told apart in one file at most.
pub(crate) const MAX_SERVICES: usize = 1_024;

/// What spans of one kind and outcome are counted under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// The service.
    pub service: String,
    /// Span name.
    pub name: String,
    /// OTLP span kind.
    pub kind: i8,
    /// OTLP status code.
    pub status: i8,
}

impl Operation {
    /// Whether the spans have an error status.
    pub fn is_error(&self) -> bool {
        self.status == STATUS_ERROR
    }
}

/// What calls from one service to another are counted under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// Who calls.
    pub caller: String,
    /// Who is called: a service, or what its caller calls it.
    pub callee: String,
    /// Known from the caller's side only.
    pub is_outside: bool,
    /// Whether the calls have an error status.
    pub is_error: bool,
}

/// What the spans of a file, or of several, come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollup {
    /// Spans by operation.
    pub operations: Table<Operation>,
    /// Calls between services. A call known from its caller's side only, and found to have another side in a later
    /// file, is taken back there: its count is negative.
    pub calls: Table<Call>,
    /// Latest start of a span, by service.
    pub last_seen: BTreeMap<String, UnixNanos>,
}

impl Rollup {
    /// The sum of several.
    pub(crate) fn sum(parts: Vec<Self>) -> Self {
        let mut last_seen: BTreeMap<String, UnixNanos> = BTreeMap::new();
        let (mut operations, mut calls) = (Vec::new(), Vec::new());
        for part in parts {
            for (service, time) in part.last_seen {
                let latest = last_seen.entry(service).or_insert(time);
                *latest = time.max(*latest);
            }
            operations.push(part.operations);
            calls.push(part.calls);
        }
        while last_seen.len() > MAX_SERVICES
            && let Some((_, time)) = last_seen.pop_last()
        {
            let latest = last_seen.entry(OTHER.to_owned()).or_insert(time);
            *latest = time.max(*latest);
        }
        Self { operations: Table::sum(operations), calls: Table::sum(calls), last_seen }
    }

    /// Only the steps that touch `range`.
    pub(crate) fn within(mut self, range: &TimeRange) -> Self {
        let steps = steps_of(range);
        self.operations.keep_steps(&steps);
        self.calls.keep_steps(&steps);
        for time in self.last_seen.values_mut() {
            *time = (*time).min(range.end.plus(-1));
        }
        self
    }
}

/// The step a time lies in.
pub(crate) fn step_of(time: UnixNanos) -> i32 {
    // 2^63 nanoseconds are fewer than 2^31 steps
    time.0.div_euclid(STEP_NANOS) as i32
}

/// The steps that a range touches.
pub(crate) fn steps_of(range: &TimeRange) -> std::ops::RangeInclusive<i32> {
    step_of(range.start)..=step_of(range.end.plus(-1))
}

/// The range of whole steps around `range`: what is answered when this is asked.
pub fn whole_steps(range: &TimeRange) -> TimeRange {
    let steps = steps_of(range);
    let at = |step: i64| UnixNanos(step.saturating_mul(STEP_NANOS));
    TimeRange { start: at(i64::from(*steps.start())), end: at(i64::from(*steps.end()) + 1) }
}

#[cfg(test)]
mod tests;
