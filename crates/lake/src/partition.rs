//! Which file an event's own time sends it to.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use model::UnixNanos;
use model::time::NANOS_PER_HOUR;

/// Events further in the future than this are odd.
const FUTURE_ALLOWANCE_HOURS: i64 = 24;

/// The part of a tenant's signal that shares files.
///
/// Odd events have a time that would widen every file they are in: older than retention, more than a day in the
/// future, or of one hour too many in the same flush. They share files of their own, which record their true times,
/// and are kept by the time they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// One whole hour since 1970 of event time.
    Hour(i64),
    /// Everything with an odd time.
    Odd,
}

impl fmt::Display for Partition {
    /// The directory name: `2026-11-22T14` or `odd`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hour(hour) => {
                let start = UnixNanos(hour.saturating_mul(NANOS_PER_HOUR)).to_string();
                f.write_str(start.get(..13).unwrap_or(&start))
            }
            Self::Odd => f.write_str("odd"),
        }
    }
}

/// The hours that are plausible at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plausible {
    first: i64,
    last: i64,
}

impl Plausible {
    pub(crate) fn at(now: UnixNanos, retention: Duration) -> Self {
        let retention_nanos = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
        Self {
            first: UnixNanos(now.0.saturating_sub(retention_nanos)).hour(),
            last: now.hour().saturating_add(FUTURE_ALLOWANCE_HOURS),
        }
    }

    pub(crate) fn partition(self, time: UnixNanos) -> Partition {
        let hour = time.hour();
        if (self.first..=self.last).contains(&hour) { Partition::Hour(hour) } else { Partition::Odd }
    }
}

/// The partition of each row, with at most `max_hours` hours: the ones with most rows, of equal ones the newest. Rows of
/// the other hours are odd, so that a client with scattered times cannot make a flush write a file for each.
pub(crate) fn partitions(times: &[&[i64]], plausible: Plausible, max_hours: usize) -> Vec<Vec<Partition>> {
    let mut found: Vec<Vec<Partition>> = Vec::with_capacity(times.len());
    let mut rows_of: HashMap<i64, u64> = HashMap::new();
    for batch in times {
        let rows: Vec<_> = batch.iter().map(|time| plausible.partition(UnixNanos(*time))).collect();
        for partition in &rows {
            if let Partition::Hour(hour) = partition {
                *rows_of.entry(*hour).or_default() += 1;
            }
        }
        found.push(rows);
    }
    if rows_of.len() <= max_hours {
        return found;
    }
    let mut ranked: Vec<_> = rows_of.into_iter().map(|(hour, rows)| (rows, hour)).collect();
    ranked.sort_unstable_by(|left, right| right.cmp(left));
    let dropped: HashSet<i64> = ranked.into_iter().skip(max_hours).map(|(_, hour)| hour).collect();
    for partition in found.iter_mut().flatten() {
        if matches!(partition, Partition::Hour(hour) if dropped.contains(hour)) {
            *partition = Partition::Odd;
        }
    }
    found
}

#[cfg(test)]
mod tests;
