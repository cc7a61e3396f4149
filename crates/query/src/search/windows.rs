//! The range of a search, cut into windows that grow.
//!
//! Most searches find a page of rows in the newest minutes; the first window is short so that they read little, and
//! each next one is four times as wide so that a rare match months ago takes a dozen steps, not thousands. What was found
//! tells how much further the rest of the page lies: the next window need not be wider than that.

use arrow::array::AsArray;
use arrow::datatypes::TimestampNanosecondType;
use lake::Snapshot;
use model::time::NANOS_PER_SEC;
use model::{TimeRange, UnixNanos};

const FIRST_NANOS: i64 = 15 * NANOS_PER_SEC;
const GROWTH: i64 = 4;

/// Windows from the end of a range to its start, or the other way round. Together they cover it without overlap.
#[derive(Debug)]
pub(crate) struct Windows {
    left: TimeRange,
    width_nanos: i64,
    passed_nanos: i64,
    newest_first: bool,
}

impl Windows {
    /// Over the part of `range` in which the snapshot has rows at all.
    pub(crate) fn over(snapshot: &Snapshot, range: &TimeRange, newest_first: bool) -> Self {
        let bounds = bounds(snapshot);
        let left = TimeRange { start: range.start.max(bounds.start), end: range.end.min(bounds.end) };
        Self { left, width_nanos: FIRST_NANOS, passed_nanos: 0, newest_first }
    }

    /// One window, where so little is left to read that planning several would cost more.
    pub(crate) fn at_once(self) -> Self {
        Self { width_nanos: i64::MAX, ..self }
    }

    /// After a window in which something was found: the next is no wider than twice what `missing` more would take at
    /// the rate of the `found`.
    pub(crate) fn pace(&mut self, found: usize, missing: usize) {
        let reach = i128::from(self.passed_nanos) * 2 * missing as i128 / (found as i128).max(1);
        let reach = i64::try_from(reach).unwrap_or(i64::MAX).max(FIRST_NANOS);
        self.width_nanos = self.width_nanos.min(reach);
    }
}

impl Iterator for Windows {
    type Item = TimeRange;

    fn next(&mut self) -> Option<TimeRange> {
        let TimeRange { start, end } = self.left;
        if start >= end {
            return None;
        }
        let window = if self.newest_first {
            TimeRange { start: end.plus(-self.width_nanos).max(start), end }
        } else {
            TimeRange { start, end: start.plus(self.width_nanos).min(end) }
        };
        self.passed_nanos = self.passed_nanos.saturating_add(window.end.0.saturating_sub(window.start.0));
        self.width_nanos = self.width_nanos.saturating_mul(GROWTH);
        if self.newest_first {
            self.left.end = window.start;
        } else {
            self.left.start = window.end;
        }
        Some(window)
    }
}

/// The range that holds every row of the snapshot; empty when it has none.
fn bounds(snapshot: &Snapshot) -> TimeRange {
    let mut bounds = TimeRange { start: UnixNanos(i64::MAX), end: UnixNanos(i64::MIN) };
    let mut widen = |min: UnixNanos, max: UnixNanos| {
        bounds.start = bounds.start.min(min);
        bounds.end = bounds.end.max(max.plus(1));
    };
    for file in &snapshot.files {
        widen(file.zone.min_time, file.zone.max_time);
    }
    for batch in &snapshot.batches {
        let times = batch.column_by_name(snapshot.signal.time_column());
        if let Some(times) = times.and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>())
            && let (Some(min), Some(max)) = (arrow::compute::min(times), arrow::compute::max(times))
        {
            widen(UnixNanos(min), UnixNanos(max));
        }
    }
    bounds
}

#[cfg(test)]
mod tests;
