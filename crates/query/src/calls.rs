//! Who called whom and for what, for a policy: from spans as far as they are read, from counts beyond.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use model::signal::Signal;
use model::time::{NANOS_PER_HOUR, NANOS_PER_SEC};
use model::{EventBatch, Lsn, TenantId, TimeRange, UnixNanos};
use rules::policy::{Graph, Learner, Seen};
use tokio::time::Instant;

use crate::query::{Inner, blocking};
use crate::service::spans_of;
use crate::{MapEdge, MapNode, Query, QueryError};

const CALL_SPANS: &str = include_str!("../../../queries/call_spans.sql");

/// Spans read at once, about.
const SLICE_ROWS: u64 = 200_000;
/// The shortest and the longest time read at once.
const SLICE_NANOS: (i64, i64) = (10 * NANOS_PER_SEC, NANOS_PER_HOUR);

/// Who called whom in a range.
#[derive(Debug)]
pub struct LearnedCalls {
    /// The calls.
    pub graph: Graph,
    /// The part of the range asked for in which anything is stored.
    pub range: TimeRange,
    /// From when on spans were read one by one; before, pairs of services are known from counts, and not what was asked.
    pub read_from: UnixNanos,
}

impl LearnedCalls {
    /// What should be said when not all of the range was read span by span.
    pub fn notes(&self) -> Option<String> {
        (self.read_from > self.range.start).then(|| {
            let from = self.read_from;
            format!(
                "Spans were read from {from} on; before, pairs of services are known from counts, and no operations."
            )
        })
    }
}

impl Query {
    /// Who called whom in the range, and for what. The newest `max_spans` spans are read, about; of what lies before, pairs
    /// of services that are on the service map join them.
    ///
    /// # Errors
    /// [`QueryError::Timeout`], [`QueryError::Overloaded`], [`QueryError::Memory`].
    pub async fn calls(&self, tenant: &TenantId, range: TimeRange, max_spans: u64) -> Result<LearnedCalls, QueryError> {
        let name = tenant.clone();
        let mut learned =
            self.run("calls", move |inner, deadline| learn(inner, name, range, max_spans, deadline)).await?;
        if learned.read_from > learned.range.start {
            let map = self.service_map(tenant, learned.range).await?;
            add_counted(&mut learned.graph, &map.edges, &map.nodes, learned.range);
        }
        Ok(learned)
    }
}

async fn learn(
    inner: std::sync::Arc<Inner>,
    tenant: TenantId,
    range: TimeRange,
    max_spans: u64,
    deadline: Instant,
) -> Result<LearnedCalls, QueryError> {
    let snapshot = inner.snapshot(&tenant, Signal::Spans, range);
    let stored = snapshot.rows();
    let range = within_store(&snapshot, range);
    let length = range.end.0.saturating_sub(range.start.0).max(0);
    let read_nanos = share(length, max_spans, stored);
    let read_from = UnixNanos(range.end.0.saturating_sub(read_nanos));
    let slice_nanos = share(length, SLICE_ROWS, stored).clamp(SLICE_NANOS.0, SLICE_NANOS.1);
    let mut learner = Learner::default();
    let mut from = read_from;
    while from < range.end {
        if Instant::now() >= deadline {
            // whoever set the deadline puts the limit in
            return Err(QueryError::Timeout { limit: std::time::Duration::ZERO });
        }
        let slice = TimeRange { start: from, end: from.plus(slice_nanos).min(range.end) };
        let frame = spans_of(&inner, &snapshot, slice, CALL_SPANS).await?;
        let mut stream = frame.execute_stream().await.map_err(|error| inner.engine.failed(error))?;
        while let Some(records) = stream.try_next().await.map_err(|error| inner.engine.failed(error))? {
            let tenant = tenant.clone();
            let batch = EventBatch { tenant, signal: Signal::Spans, received_at: slice.end, lsn: Lsn(0), records };
            learner = blocking(move || {
                learner.take(&batch);
                Ok(learner)
            })
            .await?;
        }
        learner.settle(slice.end);
        from = slice.end;
    }
    Ok(LearnedCalls { graph: learner.finish(), range, read_from })
}

/// The part of a range in which anything is stored, so that an open range is not walked from the beginning of time.
fn within_store(snapshot: &lake::Snapshot, range: TimeRange) -> TimeRange {
    let Some((first, last)) = snapshot.bounds() else { return TimeRange { start: range.end, end: range.end } };
    TimeRange { start: range.start.max(first), end: range.end.min(last.plus(1)) }
}

/// The part of a length that holds so many of all rows, were they spread evenly.
fn share(length: i64, rows: u64, of_rows: u64) -> i64 {
    if rows >= of_rows {
        return length;
    }
    (length as f64 * (rows as f64 / of_rows as f64)) as i64
}

/// Pairs of services that are known from counts alone.
fn add_counted(graph: &mut Graph, edges: &[MapEdge], nodes: &[MapNode], range: TimeRange) {
    let services: BTreeSet<&str> =
        nodes.iter().filter(|node| !node.is_outside).map(|node| node.name.as_str()).collect();
    let is_service = |name: &String| services.contains(name.as_str());
    for edge in edges.iter().filter(|edge| is_service(&edge.caller) && is_service(&edge.callee)) {
        let seen = Seen { calls: edge.calls, first: range.start, last: range.end };
        graph.add_counted(&edge.caller, &edge.callee, seen);
    }
}
