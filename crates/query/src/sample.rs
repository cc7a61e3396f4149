//! Some events of each part of a range, to see what there is without reading it all; and the events of one trace.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use model::signal::TRACE_ID;
use model::time::{NANOS_PER_HOUR, NANOS_PER_SEC};
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, TraceId, UnixNanos};
use rules::RuleSet;
use rules::coverage::Seen;

use crate::filter::column;
use crate::query::{Inner, blocking};
use crate::replay::in_order;
use crate::search::{Windows, all, in_range};
use crate::table::{Selectivity, SnapshotTable};
use crate::{Query, QueryError, ReplayAsk};

/// Parts of the range that events are taken from.
const PARTS: i64 = 24;
/// Log records of one trace that are read.
const LOGS_OF_TRACE: usize = 10_000;

/// What some events of a range have.
#[derive(Debug)]
pub struct Sampled {
    /// Fields and services.
    pub seen: Seen,
    /// Events that may lie in the range, by what the catalog says.
    pub events: u64,
    /// Files with events of the range that are damaged or gone.
    pub missing_files: Vec<String>,
}

impl Query {
    /// Looks at some `rows` events of each signal, spread over the range, for the fields that rules ask for.
    ///
    /// # Errors
    /// [`QueryError::Timeout`], [`QueryError::Overloaded`], or a fault of stored data.
    pub async fn sample(
        &self,
        tenant: &TenantId,
        set: &Arc<RuleSet>,
        range: TimeRange,
        rows: usize,
    ) -> Result<Sampled, QueryError> {
        let mut sampled = Sampled { seen: Seen::new(set), events: 0, missing_files: Vec::new() };
        for signal in Signal::ALL {
            sampled.missing_files.extend(self.missing(tenant, signal, &range));
            let snapshot = self.inner().snapshot(tenant, signal, range);
            sampled.events += snapshot.rows();
            let bounds = Windows::over(&snapshot, &range, false).at_once().next();
            drop(snapshot);
            for part in bounds.into_iter().flat_map(parts) {
                let wanted = rows / PARTS as usize + 1;
                let batches = self.some(tenant, signal, part, wanted).await?;
                let (mut seen, set) = (sampled.seen, Arc::clone(set));
                sampled.seen = blocking(move || {
                    batches.iter().for_each(|batch| seen.take(&set, batch));
                    Ok(seen)
                })
                .await?;
            }
        }
        Ok(sampled)
    }

    /// Services that sent spans in the time of the same length before the range, and none in it.
    ///
    /// # Errors
    /// As [`Query::services`].
    pub async fn silent_services(&self, tenant: &TenantId, range: TimeRange) -> Result<Vec<String>, QueryError> {
        let length = range.end.0.saturating_sub(range.start.0);
        let before = TimeRange { start: range.start.plus(-length), end: range.start };
        let now = self.services(tenant, range).await?;
        let before = self.services(tenant, before).await?;
        let is_silent = |name: &String| !now.iter().any(|service| service.name == *name);
        Ok(before.into_iter().map(|service| service.name).filter(is_silent).collect())
    }

    async fn some(
        &self,
        tenant: &TenantId,
        signal: Signal,
        part: TimeRange,
        wanted: usize,
    ) -> Result<Vec<EventBatch>, QueryError> {
        let tenant = tenant.clone();
        self.run("sample", move |inner, _| async move {
            let rows = matching(&inner, &tenant, signal, part, in_range(signal, &part), wanted).await?;
            Ok(rows.into_iter().map(|records| placed(&tenant, signal, records)).collect())
        })
        .await
    }

    /// The spans and log records of a trace, in the order in which rules see them; `None` when there is no span of it.
    ///
    /// # Errors
    /// As [`Query::trace`].
    pub async fn events_of_trace(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<Option<Vec<EventBatch>>, QueryError> {
        let Some(trace) = self.trace(tenant, trace_id).await? else { return Ok(None) };
        let range = around(&trace.batches);
        let tenant = tenant.clone();
        let found = self.run("trace", move |inner, _| async move {
            let id = lit(ScalarValue::FixedSizeBinary(16, Some(trace_id.0.to_vec())));
            let condition = all(vec![column(TRACE_ID).eq(id), in_range(Signal::Logs, &range)]);
            let logs = matching(&inner, &tenant, Signal::Logs, range, condition, LOGS_OF_TRACE).await?;
            let ask = ReplayAsk {
                range: TimeRange::ALL,
                window_rows: usize::MAX,
                window_bytes: u64::MAX,
                batch_rows: usize::MAX,
                batch_nanos: NANOS_PER_SEC,
            };
            let found = vec![(Signal::Spans, trace.batches), (Signal::Logs, logs)];
            blocking(move || in_order(&tenant, found, &ask)).await
        });
        found.await.map(Some)
    }
}

/// Rows that meet a condition, at most `wanted`, whichever are found first.
async fn matching(
    inner: &Inner,
    tenant: &TenantId,
    signal: Signal,
    range: TimeRange,
    condition: Expr,
    wanted: usize,
) -> Result<Vec<RecordBatch>, QueryError> {
    let snapshot = inner.snapshot(tenant, signal, range);
    let table = SnapshotTable::within(&snapshot, &range, Selectivity::Selective);
    if table.is_empty() {
        return Ok(Vec::new());
    }
    let engine = &inner.engine;
    let frame = engine.session()?.read_table(Arc::new(table));
    let frame = frame.and_then(|frame| frame.filter(condition)?.limit(0, Some(wanted)));
    Ok(engine.collect(frame.map_err(|error| engine.failed(error))?, wanted).await?.batches)
}

fn placed(tenant: &TenantId, signal: Signal, records: RecordBatch) -> EventBatch {
    EventBatch { tenant: tenant.clone(), signal, received_at: UnixNanos::default(), lsn: Lsn(0), records }
}

/// The range in equal parts.
fn parts(range: TimeRange) -> impl Iterator<Item = TimeRange> {
    let length = (range.end.0.saturating_sub(range.start.0) / PARTS).max(1);
    let part = move |number: i64| {
        let start = range.start.plus(number.saturating_mul(length));
        let end = if number + 1 == PARTS { range.end } else { start.plus(length).min(range.end) };
        TimeRange { start, end }
    };
    (0..PARTS).map(part).filter(|part| part.start < part.end)
}

/// The time of some spans, and an hour on both sides.
fn around(spans: &[RecordBatch]) -> TimeRange {
    let mut range = TimeRange { start: UnixNanos(i64::MAX), end: UnixNanos(i64::MIN) };
    for batch in spans {
        let Ok(spans) = model::view::Spans::new(batch) else { continue };
        for row in 0..spans.len() {
            let start = spans.start(row);
            range.start = range.start.min(start);
            range.end = range.end.max(start.plus(spans.duration_nanos(row)));
        }
    }
    TimeRange { start: range.start.plus(-NANOS_PER_HOUR), end: range.end.plus(NANOS_PER_HOUR) }
}
