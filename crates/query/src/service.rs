//! Services, their operations, and who calls whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::{col, lit};
use futures::TryStreamExt;
use lake::{Snapshot, whole_steps};
use model::signal::Signal;
use model::time::NANOS_PER_SEC;
use model::{TenantId, TimeRange, UnixNanos};

use crate::census::{ByOperation, ByService, Calls, Columns, Copies, Figures};
use crate::query::{Inner, blocking};
use crate::table::{Selectivity, SnapshotTable, time_zone};
use crate::{Query, QueryError, rolled};

const COUNTED: &str = include_str!("../../../queries/counted_spans.sql");

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
    /// The range the map covers: whole steps of ten seconds when it was put together from counts.
    pub range: TimeRange,
    /// Whether the map leaves something out (`Limits::list_rows`).
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
    /// Here and below, up to `Limits::exact_count_rows` spans are read and counted one by one; more are put together from
    /// what was counted when their files were written ([`lake::Rollup`] says what that leaves out).
    ///
    /// # Errors
    /// [`QueryError::Timeout`], [`QueryError::Overloaded`], [`QueryError::Memory`].
    pub async fn services(&self, tenant: &TenantId, range: TimeRange) -> Result<Vec<ServiceSummary>, QueryError> {
        let tenant = tenant.clone();
        self.run("services", move |inner, deadline| async move {
            let snapshot = inner.snapshot(&tenant, Signal::Spans, whole_steps(&range));
            let max_rows = inner.limits.list_rows;
            if snapshot.rows() > inner.limits.exact_count_rows {
                let found = blocking(move || rolled::services(&snapshot, range, deadline)).await?;
                return Ok(services(found, max_rows).0);
            }
            let mut found = ByService::default();
            let mut copies = Copies::default();
            let spans = counted(&inner, &snapshot, range, None).await?;
            for_each(&inner, spans, |columns| found.take(columns, &mut copies)).await?;
            Ok(services(found.figures(), max_rows).0)
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
        self.run("operations", move |inner, deadline| async move {
            let snapshot = inner.snapshot(&tenant, Signal::Spans, whole_steps(&range));
            let max_rows = inner.limits.list_rows;
            if snapshot.rows() > inner.limits.exact_count_rows {
                let found = blocking(move || rolled::operations(&snapshot, &service, range, deadline)).await?;
                return Ok(operations(found, max_rows));
            }
            let mut found = ByOperation::default();
            let mut copies = Copies::default();
            let spans = counted(&inner, &snapshot, range, Some(&service)).await?;
            for_each(&inner, spans, |columns| found.take(columns, &mut copies)).await?;
            Ok(operations(found.figures(), max_rows))
        })
        .await
    }

    /// Who calls whom in the range, from parent and child spans and from what client spans say of their other side.
    ///
    /// # Errors
    /// [`QueryError::Timeout`], [`QueryError::Overloaded`], [`QueryError::Memory`].
    pub async fn service_map(&self, tenant: &TenantId, range: TimeRange) -> Result<ServiceMap, QueryError> {
        let tenant = tenant.clone();
        self.run("service_map", move |inner, deadline| async move {
            let with_parents = TimeRange { start: range.start.plus(-PARENT_NANOS), end: range.end };
            let snapshot = inner.snapshot(&tenant, Signal::Spans, whole_steps(&with_parents));
            let max_rows = inner.limits.list_rows;
            if snapshot.rows() > inner.limits.exact_count_rows {
                let (services, edges) = blocking(move || rolled::map(&snapshot, range, deadline)).await?;
                return Ok(map(services, edges, whole_steps(&range), max_rows));
            }
            let mut calls = Calls::new(range.start);
            let mut copies = Copies::default();
            let spans = counted(&inner, &snapshot, with_parents, None).await?;
            for_each(&inner, spans, |columns| calls.take(columns, &mut copies)).await?;
            let edges: Vec<_> = calls.edges().into_iter().map(|(names, edge)| edge.told(names)).collect();
            Ok(map(calls.services.figures(), edges, range, max_rows))
        })
        .await
    }
}

fn map(
    of_services: Vec<(String, Figures)>,
    mut edges: Vec<(MapEdge, bool)>,
    range: TimeRange,
    max_rows: usize,
) -> ServiceMap {
    let (services, all_services) = services(of_services, max_rows);
    edges.sort_by(|(a, _), (b, _)| (b.calls, &a.caller, &a.callee).cmp(&(a.calls, &b.caller, &b.callee)));
    let truncated = edges.len() > max_rows || !all_services;
    edges.truncate(max_rows);
    let outside = edges.iter().filter(|(_, is_outside)| *is_outside).map(|(edge, _)| edge.callee.clone()).collect();
    let edges: Vec<MapEdge> = edges.into_iter().map(|(edge, _)| edge).collect();
    ServiceMap { nodes: nodes(services, &edges, &outside), edges, range, truncated }
}

/// The spans of a range that can be counted, of one service when it is named.
async fn counted(
    inner: &Inner,
    snapshot: &Snapshot,
    range: TimeRange,
    service: Option<&str>,
) -> Result<DataFrame, QueryError> {
    let frame = spans_of(inner, snapshot, range, COUNTED).await?;
    match service {
        Some(service) => frame.filter(col("service").eq(lit(service))).map_err(|error| inner.engine.failed(error)),
        None => Ok(frame),
    }
}

/// What a named query over spans with the parameters `$from` and `$end` brings.
pub(crate) async fn spans_of(
    inner: &Inner,
    snapshot: &Snapshot,
    range: TimeRange,
    sql: &str,
) -> Result<DataFrame, QueryError> {
    let failed = |error| inner.engine.failed(error);
    let session = inner.engine.session()?;
    let table = SnapshotTable::within(snapshot, &range, Selectivity::Wide);
    session.register_table(Signal::Spans.as_str(), Arc::new(table)).map_err(failed)?;
    let parameters = vec![("from", time_value(range.start)), ("end", time_value(range.end))];
    session.sql(sql).await.and_then(|frame| frame.with_param_values(parameters)).map_err(failed)
}

/// Hands batch after batch to `take`.
async fn for_each(inner: &Inner, frame: DataFrame, mut take: impl FnMut(&Columns<'_>)) -> Result<(), QueryError> {
    let failed = |error| inner.engine.failed(error);
    let mut stream = frame.execute_stream().await.map_err(failed)?;
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        take(&Columns::new(&batch)?);
    }
    Ok(())
}

fn time_value(time: UnixNanos) -> ScalarValue {
    ScalarValue::TimestampNanosecond(Some(time.0), time_zone())
}

/// Services, most spans first, then by name, at most `max_rows`; and whether that is all.
fn services(found: Vec<(String, Figures)>, max_rows: usize) -> (Vec<ServiceSummary>, bool) {
    let told = |(name, Figures { spans, errors, p50_nanos, p95_nanos, last_seen })| ServiceSummary {
        name,
        spans,
        errors,
        p50_nanos,
        p95_nanos,
        last_seen,
    };
    let mut services: Vec<ServiceSummary> = found.into_iter().map(told).collect();
    services.sort_by(|a, b| (b.spans, &a.name).cmp(&(a.spans, &b.name)));
    let is_all = services.len() <= max_rows;
    services.truncate(max_rows);
    (services, is_all)
}

/// Operations, most spans first, then by name and kind, at most `max_rows`.
fn operations(found: Vec<((String, i8), Figures)>, max_rows: usize) -> Vec<OperationSummary> {
    let told = |((name, kind), Figures { spans, errors, p50_nanos, p95_nanos, .. })| OperationSummary {
        name,
        kind,
        spans,
        errors,
        p50_nanos,
        p95_nanos,
    };
    let mut operations: Vec<OperationSummary> = found.into_iter().map(told).collect();
    operations.sort_by(|a, b| (b.spans, &a.name, a.kind).cmp(&(a.spans, &b.name, b.kind)));
    operations.truncate(max_rows);
    operations
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
