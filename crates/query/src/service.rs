//! Services, their operations, and who calls whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampNanosecondType};
use datafusion::common::ScalarValue;
use datafusion::prelude::SessionContext;
use lake::Snapshot;
use model::signal::Signal;
use model::time::NANOS_PER_SEC;
use model::view::ViewError;
use model::{TenantId, TimeRange, UnixNanos};

use crate::engine::Collected;
use crate::query::Inner;
use crate::table::{Selectivity, SnapshotTable, time_zone};
use crate::{Query, QueryError};

const COUNTED_ONCE: &str = include_str!("../../../queries/counted_spans_once.sql");
const COUNTED: &str = include_str!("../../../queries/counted_spans.sql");
const SERVICES: &str = include_str!("../../../queries/services.sql");
const OPERATIONS: &str = include_str!("../../../queries/operations.sql");
const CALLS: &str = include_str!("../../../queries/service_calls.sql");

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
            let counted = Counted::new(&inner, &snapshot, range).await?;
            services(&counted.run(SERVICES, bounds(&range)).await?)
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
            let counted = Counted::new(&inner, &snapshot, range).await?;
            let mut parameters = bounds(&range);
            parameters.push(("service", ScalarValue::from(service.as_str())));
            operations(&counted.run(OPERATIONS, parameters).await?)
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
            let counted = Counted::new(&inner, &snapshot, newest).await?;
            let found_nodes = counted.run(SERVICES, bounds(&covered)).await?;
            let found_edges = counted.run(CALLS, bounds(&covered)).await?;
            let truncated = covered != range || found_nodes.truncated || found_edges.truncated;
            let (edges, outside) = edges(&found_edges)?;
            let nodes = nodes(services(&found_nodes)?, &edges, &outside);
            Ok(ServiceMap { nodes, edges, range: covered, truncated })
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

/// A session in which the tables `counted` and `sent` stand for the spans of a range.
struct Counted<'a> {
    inner: &'a Inner,
    session: SessionContext,
}

impl<'a> Counted<'a> {
    async fn new(inner: &'a Inner, snapshot: &Snapshot, range: TimeRange) -> Result<Self, QueryError> {
        let failed = |error| inner.engine.failed(error);
        let session = inner.engine.session()?;
        let table = SnapshotTable::within(snapshot, &range, Selectivity::Wide);
        let counted = if table.rows() <= inner.limits.exact_count_rows { COUNTED_ONCE } else { COUNTED };
        session.register_table(Signal::Spans.as_str(), Arc::new(table)).map_err(failed)?;
        for (name, text) in [("counted", counted), ("sent", COUNTED)] {
            let parameters = vec![("from", time_value(range.start)), ("end", time_value(range.end))];
            let view = session.sql(text).await.and_then(|frame| frame.with_param_values(parameters)).map_err(failed)?;
            session.register_table(name, view.into_view()).map_err(failed)?;
        }
        Ok(Self { inner, session })
    }

    async fn run(&self, text: &str, parameters: Vec<(&'static str, ScalarValue)>) -> Result<Collected, QueryError> {
        let frame = self.session.sql(text).await.and_then(|frame| frame.with_param_values(parameters));
        let engine = &self.inner.engine;
        engine.collect(frame.map_err(|error| engine.failed(error))?, self.inner.limits.list_rows).await
    }
}

fn time_value(time: UnixNanos) -> ScalarValue {
    ScalarValue::TimestampNanosecond(Some(time.0), time_zone())
}

fn bounds(range: &TimeRange) -> Vec<(&'static str, ScalarValue)> {
    vec![("start", time_value(range.start)), ("end", time_value(range.end))]
}

/// The columns of an answer, read row by row whatever width the engine gave them.
struct Answer {
    batch: RecordBatch,
}

impl Answer {
    fn texts(&self, name: &str) -> Result<Vec<String>, QueryError> {
        let texts = self.cast_to(name, &DataType::Utf8)?;
        let texts = texts.as_string_opt::<i32>().ok_or_else(|| ViewError(name.to_owned()))?;
        Ok(texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
    }

    fn numbers(&self, name: &str) -> Result<Vec<i64>, QueryError> {
        let numbers = self.cast_to(name, &DataType::Int64)?;
        let numbers = numbers.as_primitive_opt::<Int64Type>().ok_or_else(|| ViewError(name.to_owned()))?;
        Ok(numbers.iter().map(Option::unwrap_or_default).collect())
    }

    fn counts(&self, name: &str) -> Result<Vec<u64>, QueryError> {
        Ok(self.numbers(name)?.into_iter().map(|count| u64::try_from(count).unwrap_or(0)).collect())
    }

    fn times(&self, name: &str) -> Result<Vec<UnixNanos>, QueryError> {
        let column = self.batch.column_by_name(name).ok_or_else(|| ViewError(name.to_owned()))?;
        let times = column.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(|| ViewError(name.to_owned()))?;
        Ok(times.values().iter().copied().map(UnixNanos).collect())
    }

    fn flags(&self, name: &str) -> Result<Vec<bool>, QueryError> {
        let column = self.batch.column_by_name(name).and_then(|column| column.as_boolean_opt());
        let flags = column.ok_or_else(|| ViewError(name.to_owned()))?;
        Ok(flags.iter().map(Option::unwrap_or_default).collect())
    }

    fn cast_to(&self, name: &str, data_type: &DataType) -> Result<Arc<dyn Array>, QueryError> {
        let column = self.batch.column_by_name(name).ok_or_else(|| ViewError(name.to_owned()))?;
        Ok(cast(column, data_type)?)
    }
}

fn answers(found: &Collected) -> impl Iterator<Item = Answer> {
    found.batches.iter().map(|batch| Answer { batch: batch.clone() })
}

fn services(found: &Collected) -> Result<Vec<ServiceSummary>, QueryError> {
    let mut services = Vec::new();
    for answer in answers(found) {
        let (spans, errors) = (answer.counts("spans")?, answer.counts("errors")?);
        let (p50, p95) = (answer.numbers("p50_nanos")?, answer.numbers("p95_nanos")?);
        let last_seen = answer.times("last_seen")?;
        services.extend(answer.texts("service")?.into_iter().enumerate().map(|(row, name)| ServiceSummary {
            name,
            spans: spans[row],
            errors: errors[row],
            p50_nanos: p50[row],
            p95_nanos: p95[row],
            last_seen: last_seen[row],
        }));
    }
    Ok(services)
}

fn operations(found: &Collected) -> Result<Vec<OperationSummary>, QueryError> {
    let mut operations = Vec::new();
    for answer in answers(found) {
        let (spans, errors) = (answer.counts("spans")?, answer.counts("errors")?);
        let (p50, p95) = (answer.numbers("p50_nanos")?, answer.numbers("p95_nanos")?);
        let kinds = answer.numbers("kind")?;
        operations.extend(answer.texts("name")?.into_iter().enumerate().map(|(row, name)| OperationSummary {
            name,
            kind: i8::try_from(kinds[row]).unwrap_or_default(),
            spans: spans[row],
            errors: errors[row],
            p50_nanos: p50[row],
            p95_nanos: p95[row],
        }));
    }
    Ok(operations)
}

/// The edges, and which of the callees were seen from outside.
fn edges(found: &Collected) -> Result<(Vec<MapEdge>, BTreeSet<String>), QueryError> {
    let (mut edges, mut outside) = (Vec::new(), BTreeSet::new());
    for answer in answers(found) {
        let (calls, errors) = (answer.counts("calls")?, answer.counts("errors")?);
        let (p50, p95) = (answer.numbers("p50_nanos")?, answer.numbers("p95_nanos")?);
        let (callees, is_outside) = (answer.texts("callee")?, answer.flags("is_outside")?);
        for (row, caller) in answer.texts("caller")?.into_iter().enumerate() {
            let callee = callees[row].clone();
            if is_outside[row] {
                outside.insert(callee.clone());
            }
            let (calls, errors) = (calls[row], errors[row]);
            edges.push(MapEdge { caller, callee, calls, errors, p50_nanos: p50[row], p95_nanos: p95[row] });
        }
    }
    Ok((edges, outside))
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
