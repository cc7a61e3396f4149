//! Services, their operations, and who calls whom.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::{col, lit};
use futures::TryStreamExt;
use lake::Snapshot;
use model::signal::Signal;
use model::time::NANOS_PER_SEC;
use model::{TenantId, TimeRange, UnixNanos};

use crate::census::{ByOperation, ByService, Calls, Columns, Copies};
use crate::query::Inner;
use crate::table::{Selectivity, SnapshotTable, time_zone};
use crate::{Query, QueryError};

const COUNTED: &str = include_str!("../../../queries/counted_spans.sql");

/// The percentiles that are told.
const SHARES: [f64; 2] = [0.5, 0.95];

/// How long before its child a parent may have started and still be found by the service map.
const PARENT_NANOS: i64 = 600 * NANOS_PER_SEC;

/// What one service did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSummary {
    /// The service.
    pub name: String,
    /// Its spans.
    pub spans: u64,
    /// Its spans with an error status.
    pub errors: u64,
    /// Half of its spans took at most this long.
    pub p50_nanos: i64,
    /// 95 % of its spans took at most this long.
    pub p95_nanos: i64,
    /// Latest start of a span.
    pub last_seen: UnixNanos,
}

/// What one operation of a service did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationSummary {
    /// Span name.
    pub name: String,
    /// OTLP span kind.
    pub kind: i8,
    /// Its spans.
    pub spans: u64,
    /// Its spans with an error status.
    pub errors: u64,
    /// Half of its spans took at most this long.
    pub p50_nanos: i64,
    /// 95 % of its spans took at most this long.
    pub p95_nanos: i64,
}

/// Who calls whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceMap {
    /// Services, most spans first, then what they call outside.
    pub nodes: Vec<MapNode>,
    /// Calls, most frequent first.
    pub edges: Vec<MapEdge>,
    /// The range the map covers: shorter than asked for when there was too much.
    pub range: TimeRange,
    /// Whether the map leaves something out (`Limits::map_rows`, `Limits::list_rows`).
    pub truncated: bool,
}

/// A service on the map, or something that services call and that sends no spans itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapNode {
    /// The service, or what its callers call it.
    pub name: String,
    /// Whether it is known from its callers only; the counts are then those of calls to it.
    pub is_outside: bool,
    /// Spans.
    pub spans: u64,
    /// Spans with an error status.
    pub errors: u64,
    /// Half of the spans took at most this long; the slowest caller's figure when outside.
    pub p50_nanos: i64,
    /// 95 % of the spans took at most this long; the slowest caller's figure when outside.
    pub p95_nanos: i64,
}

/// Calls from one service to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapEdge {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// How often.
    pub calls: u64,
    /// How often with an error status.
    pub errors: u64,
    /// Half of the calls took at most this long, as measured by the callee when it is instrumented.
    pub p50_nanos: i64,
    /// 95 % of the calls took at most this long.
    pub p95_nanos: i64,
}

impl Query {
    /// The services with a span in the range, most spans first; at most `Limits::list_rows`.
    ///
    /// # Errors
    /// [`QueryError::Timeout`], [`QueryError::Overloaded`], [`QueryError::Memory`].
    pub async fn services(&self, tenant: &TenantId, range: TimeRange) -> Result<Vec<ServiceSummary>, QueryError> {
        let tenant = tenant.clone();
        self.run("services", move |inner, _deadline| async move {
            let snapshot = inner.snapshot(&tenant, Signal::Spans, range);
            let mut found = ByService::default();
            let mut copies = Copies::new(inner.limits.exact_count_rows);
            let spans = counted(&inner, &snapshot, range, None).await?;
            for_each(&inner, spans, |columns| {
                found.take(columns, &mut copies);
                true
            })
            .await?;
            Ok(services(&found, inner.limits.list_rows).0)
        })
        .await
    }

    /// The operations of a service in the range, most spans first; at most `Limits::list_rows`.
    ///
    /// # Errors
    /// [`QueryError::Timeout`], [`QueryError::Overloaded`], [`QueryError::Memory`].
    pub async fn operations(
        &self,
        tenant: &TenantId,
        service: &str,
        range: TimeRange,
    ) -> Result<Vec<OperationSummary>, QueryError> {
        let (tenant, service) = (tenant.clone(), service.to_owned());
        self.run("operations", move |inner, _deadline| async move {
            let snapshot = inner.snapshot(&tenant, Signal::Spans, range);
            let mut found = ByOperation::default();
            let mut copies = Copies::new(inner.limits.exact_count_rows);
            let spans = counted(&inner, &snapshot, range, Some(&service)).await?;
            for_each(&inner, spans, |columns| {
                found.take(columns, &mut copies);
                true
            })
            .await?;
            Ok(operations(&found, inner.limits.list_rows))
        })
        .await
    }

    /// Who calls whom in the range, from parent and child spans and from what client spans say of their other side.
    /// Covers the newest `Limits::map_rows` spans, about: the answer says which range that is.
    ///
    /// # Errors
    /// [`QueryError::Timeout`], [`QueryError::Overloaded`], [`QueryError::Memory`].
    pub async fn service_map(&self, tenant: &TenantId, range: TimeRange) -> Result<ServiceMap, QueryError> {
        let tenant = tenant.clone();
        self.run("service_map", move |inner, _deadline| async move {
            let with_parents = TimeRange { start: range.start.plus(-PARENT_NANOS), end: range.end };
            let snapshot = inner.snapshot(&tenant, Signal::Spans, with_parents);
            let newest = newest_part(&snapshot, with_parents, inner.limits.map_rows);
            let covered = TimeRange { start: range.start.max(newest.start), end: range.end };
            let mut calls = Calls::new(covered.start);
            let mut copies = Copies::new(inner.limits.exact_count_rows);
            let most = usize::try_from(inner.limits.map_rows).unwrap_or(usize::MAX).saturating_mul(2);
            let spans = counted(&inner, &snapshot, newest, None).await?;
            let read_all = for_each(&inner, spans, |columns| {
                calls.take(columns, &mut copies);
                calls.len() < most
            })
            .await?;
            let list_rows = inner.limits.list_rows;
            let (edges, outside, all_edges) = edges(&calls, list_rows);
            let (services, all_services) = services(&calls.services, list_rows);
            let truncated = covered != range || !read_all || !all_edges || !all_services;
            Ok(ServiceMap { nodes: nodes(services, &edges, &outside), edges, range: covered, truncated })
        })
        .await
    }
}

/// The newest part of `range` that has about `max_rows` rows in files. Files are as fine as it gets: at least one is in.
fn newest_part(snapshot: &Snapshot, range: TimeRange, max_rows: u64) -> TimeRange {
    let in_memory: u64 = snapshot.batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let mut rows = in_memory;
    // the snapshot has the file with the latest event first
    for (index, file) in snapshot.files.iter().enumerate() {
        rows += file.zone.rows;
        if index > 0 && rows > max_rows {
            return TimeRange { start: range.start.max(file.zone.max_time.plus(1)), end: range.end };
        }
    }
    range
}

/// The spans of a range that can be counted, of one service when it is named.
async fn counted(
    inner: &Inner,
    snapshot: &Snapshot,
    range: TimeRange,
    service: Option<&str>,
) -> Result<DataFrame, QueryError> {
    let failed = |error| inner.engine.failed(error);
    let session = inner.engine.session()?;
    let table = SnapshotTable::within(snapshot, &range, Selectivity::Wide);
    session.register_table(Signal::Spans.as_str(), Arc::new(table)).map_err(failed)?;
    let parameters = vec![("from", time_value(range.start)), ("end", time_value(range.end))];
    let frame = session.sql(COUNTED).await.and_then(|frame| frame.with_param_values(parameters)).map_err(failed)?;
    match service {
        Some(service) => frame.filter(col("service").eq(lit(service))).map_err(failed),
        None => Ok(frame),
    }
}

/// Hands batch after batch to `take` until it says no; whether it took all.
async fn for_each(
    inner: &Inner,
    frame: DataFrame,
    mut take: impl FnMut(&Columns<'_>) -> bool,
) -> Result<bool, QueryError> {
    let failed = |error| inner.engine.failed(error);
    let mut stream = frame.execute_stream().await.map_err(failed)?;
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        if !take(&Columns::new(&batch)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn time_value(time: UnixNanos) -> ScalarValue {
    ScalarValue::TimestampNanosecond(Some(time.0), time_zone())
}

/// Services, most spans first, then by name, at most `max_rows`; and whether that is all.
fn services(found: &ByService, max_rows: usize) -> (Vec<ServiceSummary>, bool) {
    let mut services: Vec<_> = found
        .0
        .iter()
        .map(|(name, tally)| {
            let [p50_nanos, p95_nanos] = tally.percentiles(SHARES);
            let (spans, errors, last_seen) = (tally.spans, tally.errors, tally.last_seen);
            ServiceSummary { name: name.clone(), spans, errors, p50_nanos, p95_nanos, last_seen }
        })
        .collect();
    services.sort_by_key(|service| Reverse(service.spans));
    let is_all = services.len() <= max_rows;
    services.truncate(max_rows);
    (services, is_all)
}

/// Operations, most spans first, then by name and kind, at most `max_rows`.
fn operations(found: &ByOperation, max_rows: usize) -> Vec<OperationSummary> {
    let mut operations = Vec::new();
    for (kind, names) in &found.0 {
        operations.extend(names.iter().map(|(name, tally)| {
            let [p50_nanos, p95_nanos] = tally.percentiles(SHARES);
            let (spans, errors) = (tally.spans, tally.errors);
            OperationSummary { name: name.clone(), kind: *kind, spans, errors, p50_nanos, p95_nanos }
        }));
    }
    operations.sort_by(|a, b| (b.spans, &a.name, a.kind).cmp(&(a.spans, &b.name, b.kind)));
    operations.truncate(max_rows);
    operations
}

/// Edges, most calls first, at most `max_rows`; which callees were seen from outside; and whether those are all edges.
fn edges(calls: &Calls, max_rows: usize) -> (Vec<MapEdge>, BTreeSet<String>, bool) {
    let mut outside = BTreeSet::new();
    let mut edges = Vec::new();
    for ((caller, callee), edge) in calls.edges() {
        if edge.is_outside {
            outside.insert(callee.to_owned());
        }
        let [p50_nanos, p95_nanos] = edge.tally.percentiles(SHARES);
        let (calls, errors) = (edge.tally.spans, edge.tally.errors);
        let (caller, callee) = (caller.to_owned(), callee.to_owned());
        edges.push(MapEdge { caller, callee, calls, errors, p50_nanos, p95_nanos });
    }
    edges.sort_by_key(|edge| Reverse(edge.calls));
    let is_all = edges.len() <= max_rows;
    edges.truncate(max_rows);
    (edges, outside, is_all)
}

fn nodes(services: Vec<ServiceSummary>, edges: &[MapEdge], outside: &BTreeSet<String>) -> Vec<MapNode> {
    let known: BTreeSet<String> = services.iter().map(|service| service.name.clone()).collect();
    let mut nodes: Vec<MapNode> = services
        .into_iter()
        .map(|service| MapNode {
            name: service.name,
            is_outside: false,
            spans: service.spans,
            errors: service.errors,
            p50_nanos: service.p50_nanos,
            p95_nanos: service.p95_nanos,
        })
        .collect();
    for name in outside.difference(&known) {
        let calls = || edges.iter().filter(|edge| edge.callee == *name);
        nodes.push(MapNode {
            name: name.clone(),
            is_outside: true,
            spans: calls().map(|edge| edge.calls).sum(),
            errors: calls().map(|edge| edge.errors).sum(),
            p50_nanos: calls().map(|edge| edge.p50_nanos).max().unwrap_or(0),
            p95_nanos: calls().map(|edge| edge.p95_nanos).max().unwrap_or(0),
        });
    }
    nodes
}
