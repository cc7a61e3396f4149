//! Services, operations and calls put together from roll-ups, and how a service went.

use std::collections::BTreeMap;
use std::time::Duration;

use lake::{Cell, OTHER, Sketch, Snapshot, Wanted, whole_steps};
use model::{TimeRange, UnixNanos};
use tokio::time::Instant;

use crate::census::{Figures, SHARES};
use crate::{MapEdge, QueryError};

/// Counts that were added up.
#[derive(Debug, Clone, Default)]
struct Sum {
    /// Below 0 while a part that takes spans back came before the part that has them.
    spans: i64,
    errors: i64,
    durations: Sketch,
}

impl Sum {
    fn add(&mut self, cells: &[Cell], is_error: bool) {
        for cell in cells {
            self.durations.add(cell.class, cell.count);
            self.spans += cell.count;
            self.errors += if is_error { cell.count } else { 0 };
        }
    }

    fn merge(&mut self, other: &Self) {
        self.spans += other.spans;
        self.errors += other.errors;
        self.durations.merge(&other.durations);
    }

    fn figures(&self, last_seen: UnixNanos) -> Figures {
        let [p50_nanos, p95_nanos] = self.durations.percentiles(SHARES);
        let count = |count: i64| count.max(0) as u64;
        Figures { spans: count(self.spans), errors: count(self.errors), p50_nanos, p95_nanos, last_seen }
    }
}

/// Groups of one kind told apart at most; what is beyond goes to [`OTHER`].
const MAX_GROUPS: usize = 4_096;

/// Calls between two services.
#[derive(Debug, Clone, Default)]
struct Between {
    inside: Sum,
    /// Seen from the caller's side only. Below 0 where a range has what is taken back and not what was counted.
    outside: Sum,
}

/// What the spans of each service come to, in a range. Blocking, as are the others here.
///
/// # Errors
/// [`QueryError::Damaged`], [`QueryError::File`], [`QueryError::Unreachable`], [`QueryError::Timeout`] past the deadline.
pub(crate) fn services(
    snapshot: &Snapshot,
    range: TimeRange,
    deadline: Instant,
) -> Result<Vec<(String, Figures)>, QueryError> {
    let mut found = Services::default();
    read(snapshot, &range, Wanted::Figures, deadline, &mut |rollup| found.add(rollup))?;
    Ok(found.figures())
}

/// What the spans of each operation of a service come to, by name and kind.
///
/// # Errors
/// As [`services`].
pub(crate) fn operations(
    snapshot: &Snapshot,
    service: &str,
    range: TimeRange,
    deadline: Instant,
) -> Result<Vec<((String, i8), Figures)>, QueryError> {
    let mut found: BTreeMap<(String, i8), Sum> = BTreeMap::new();
    read(snapshot, &range, Wanted::Figures, deadline, &mut |rollup| {
        for (operation, cells) in rollup.operations.iter().filter(|(key, _)| key.service == service) {
            let key = (operation.name.clone(), operation.kind);
            group(&mut found, key, (OTHER.to_owned(), 0)).add(cells, operation.is_error());
        }
    })?;
    let told = found.into_iter().map(|(key, sum)| (key, sum.figures(UnixNanos::default())));
    Ok(told.filter(|(_, figures)| figures.spans > 0).collect())
}

/// What each service did, who called whom, and whether that is known from the callers' side only.
///
/// # Errors
/// As [`services`].
pub(crate) fn map(
    snapshot: &Snapshot,
    range: TimeRange,
    deadline: Instant,
) -> Result<(Vec<(String, Figures)>, Vec<(MapEdge, bool)>), QueryError> {
    let mut found = Services::default();
    let mut calls: BTreeMap<(String, String), Between> = BTreeMap::new();
    read(snapshot, &range, Wanted::Figures, deadline, &mut |rollup| {
        found.add(rollup);
        for (call, cells) in rollup.calls.iter() {
            let other = (OTHER.to_owned(), OTHER.to_owned());
            let between = group(&mut calls, (call.caller.clone(), call.callee.clone()), other);
            let side = if call.is_outside { &mut between.outside } else { &mut between.inside };
            side.add(cells, call.is_error);
        }
    })?;
    let edges = calls.into_iter().map(|(names, between)| between.told(names));
    Ok((found.figures(), edges.filter(|(edge, _)| edge.calls > 0).collect()))
}

impl Between {
    fn told(self, (caller, callee): (String, String)) -> (MapEdge, bool) {
        let is_outside = self.inside.spans <= 0;
        let mut all = self.inside;
        if self.outside.spans > 0 {
            all.merge(&self.outside);
        }
        let Figures { spans, errors, p50_nanos, p95_nanos, .. } = all.figures(UnixNanos::default());
        (MapEdge { caller, callee, calls: spans, errors, p50_nanos, p95_nanos }, is_outside)
    }
}

/// Sums by service.
#[derive(Debug, Default)]
struct Services {
    sums: BTreeMap<String, Sum>,
    last_seen: BTreeMap<String, UnixNanos>,
}

impl Services {
    fn add(&mut self, rollup: &lake::Rollup) {
        for (operation, cells) in rollup.operations.iter() {
            let sum = group(&mut self.sums, operation.service.clone(), OTHER.to_owned());
            sum.add(cells, operation.is_error());
        }
        for (service, time) in &rollup.last_seen {
            let latest = group(&mut self.last_seen, service.clone(), OTHER.to_owned());
            *latest = (*latest).max(*time);
        }
    }

    fn figures(self) -> Vec<(String, Figures)> {
        let others = self.last_seen.get(OTHER).copied().unwrap_or_default();
        let last_seen = |service: &String| self.last_seen.get(service).copied().unwrap_or(others);
        let told = self.sums.iter().map(|(service, sum)| (service.clone(), sum.figures(last_seen(service))));
        told.filter(|(_, figures)| figures.spans > 0).collect()
    }
}

/// Hands each roll-up of the range to `take`; blocking.
pub(crate) fn read(
    snapshot: &Snapshot,
    range: &TimeRange,
    wanted: Wanted<'_>,
    deadline: Instant,
    take: &mut dyn FnMut(&lake::Rollup),
) -> Result<(), QueryError> {
    let goes_on = || Instant::now() < deadline;
    let mut take = |rollup: &lake::Rollup| {
        take(rollup);
        goes_on()
    };
    let read = snapshot.roll_up(&whole_steps(range), wanted, &goes_on, &mut take);
    if !goes_on() {
        // whoever set the deadline puts the limit in
        return Err(QueryError::Timeout { limit: Duration::ZERO });
    }
    read.map_err(|(file, error)| match file {
        Some(file) => QueryError::of_lake(&file, error),
        None => QueryError::Columns(arrow::error::ArrowError::ExternalError(Box::new(error))),
    })
}

/// The group of a key, or that of the others when there are too many.
fn group<K: Ord, V: Default>(groups: &mut BTreeMap<K, V>, key: K, other: K) -> &mut V {
    let key = if groups.len() < MAX_GROUPS || groups.contains_key(&key) { key } else { other };
    groups.entry(key).or_default()
}
