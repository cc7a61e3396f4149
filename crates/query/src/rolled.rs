//! Services, operations and calls put together from roll-ups, and how a service went.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lake::{Cell, Sketch, Snapshot, Wanted, whole_steps};
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

    fn figures(&self, last_seen: UnixNanos) -> Figures {
        let [p50_nanos, p95_nanos] = self.durations.percentiles(SHARES);
        let count = |count: i64| count.max(0) as u64;
        Figures { spans: count(self.spans), errors: count(self.errors), p50_nanos, p95_nanos, last_seen }
    }
}

/// Calls between two services, seen from inside and from the caller's side only.
#[derive(Debug, Clone, Default)]
struct Between {
    all: Sum,
    inside: i64,
}

/// What the roll-ups of a range come to.
#[derive(Debug, Default)]
pub(crate) struct Rolled {
    operations: HashMap<String, HashMap<(String, i8), Sum>>,
    last_seen: BTreeMap<String, UnixNanos>,
    calls: BTreeMap<(String, String), Between>,
}

impl Rolled {
    /// Reads them. Blocking.
    ///
    /// # Errors
    /// [`QueryError::Damaged`], [`QueryError::File`], [`QueryError::Timeout`] past the deadline.
    pub(crate) fn of(snapshot: &Snapshot, range: TimeRange, deadline: Instant) -> Result<Self, QueryError> {
        let mut found = Self::default();
        read(snapshot, &range, Wanted::Figures, deadline, &mut |rollup| found.add(rollup))?;
        Ok(found)
    }

    fn add(&mut self, rollup: &lake::Rollup) {
        for (operation, cells) in rollup.operations.iter() {
            let of_service = entry(&mut self.operations, &operation.service);
            let key = (operation.name.clone(), operation.kind);
            of_service.entry(key).or_default().add(cells, operation.is_error());
        }
        for (service, time) in &rollup.last_seen {
            let latest = self.last_seen.entry(service.clone()).or_insert(*time);
            *latest = (*latest).max(*time);
        }
        for (call, cells) in rollup.calls.iter() {
            let between = self.calls.entry((call.caller.clone(), call.callee.clone())).or_default();
            between.all.add(cells, call.is_error);
            if !call.is_outside {
                between.inside += cells.iter().map(|cell| cell.count).sum::<i64>();
            }
        }
    }

    /// What each service did.
    pub(crate) fn services(&self) -> Vec<(String, Figures)> {
        let of_service = |(service, operations): (&String, &HashMap<(String, i8), Sum>)| {
            let mut sum = Sum::default();
            for operation in operations.values() {
                sum.spans += operation.spans;
                sum.errors += operation.errors;
                sum.durations.merge(&operation.durations);
            }
            let last_seen = self.last_seen.get(service).copied().unwrap_or_default();
            (service.clone(), sum.figures(last_seen))
        };
        self.operations.iter().map(of_service).filter(|(_, figures)| figures.spans > 0).collect()
    }

    /// What each operation of a service did, by name and kind.
    pub(crate) fn operations(&self, service: &str) -> Vec<((String, i8), Figures)> {
        let operations = self.operations.get(service).into_iter().flatten();
        let told = operations.map(|(key, sum)| (key.clone(), sum.figures(UnixNanos::default())));
        told.filter(|(_, figures)| figures.spans > 0).collect()
    }

    /// Who called whom, and whether that is known from the callers' side only.
    pub(crate) fn edges(&self) -> Vec<(MapEdge, bool)> {
        let told = |((caller, callee), between): (&(String, String), &Between)| {
            let Figures { spans, errors, p50_nanos, p95_nanos, .. } = between.all.figures(UnixNanos::default());
            let (caller, callee) = (caller.clone(), callee.clone());
            (MapEdge { caller, callee, calls: spans, errors, p50_nanos, p95_nanos }, between.inside == 0)
        };
        self.calls.iter().map(told).filter(|(edge, _)| edge.calls > 0).collect()
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
    let mut is_late = false;
    let mut take = |rollup: &lake::Rollup| {
        take(rollup);
        is_late = Instant::now() >= deadline;
        !is_late
    };
    let read = snapshot.roll_up(&whole_steps(range), wanted, &mut take);
    if is_late {
        // whoever set the deadline puts the limit in
        return Err(QueryError::Timeout { limit: Duration::ZERO });
    }
    read.map_err(|(file, error)| match file {
        Some(file) => QueryError::of_lake(&file, error),
        None => QueryError::Columns(arrow::error::ArrowError::ExternalError(Box::new(error))),
    })
}

fn entry<'a, V: Default>(map: &'a mut HashMap<String, V>, name: &str) -> &'a mut V {
    if !map.contains_key(name) {
        map.insert(name.to_owned(), V::default());
    }
    map.get_mut(name).expect("inserted above when it was absent")
}
