//! Traces with a span that matches, newest first.
//!
//! A trace takes its place by its newest matching span. The search walks the range in windows from the newest to the
//! oldest, asks each for its traces in that order, and stops when the page is full. Then the page's traces are read
//! whole, which gives their summaries and tells which of them an earlier page has shown already (a long trace matches
//! again further down).

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampNanosecondType;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{Expr, lit};
use lake::Snapshot;
use model::signal::{self, TRACE_ID, span};
use model::time::NANOS_PER_HOUR;
use model::{Signal, SpanId, TenantId, TimeRange, TraceId, UnixNanos};
use tokio::time::Instant;

use super::summary::{self, Ask};
use super::windows::Windows;
use super::{all, came_by, filters_of, in_range, newest_lsn, time_literal};
use crate::filter::{column, needs_of};
use crate::narrowing::{Slices, narrow};
use crate::page::{Frame, TraceCursor};
use crate::query::{Inner, blocking};
use crate::table::{Selectivity, SnapshotTable};
use crate::{AttributeFilter, Page, Query, QueryError};

/// How far before and after its matching spans a trace is looked for when it is summarised.
const AROUND_NANOS: i64 = NANOS_PER_HOUR;
/// Candidates asked for beyond a later page: some may have been shown on an earlier one.
const SPARE: usize = 8;

/// Which traces to find: those with at least one span that meets every condition.
#[derive(Debug, Clone)]
pub struct SpanSearch {
    /// Service that emitted the span.
    pub service: Option<String>,
    /// Span name.
    pub operation: Option<String>,
    /// Conditions on attributes, at most `Limits::max_filters`.
    pub filters: Vec<AttributeFilter>,
    /// Shortest duration, included.
    pub min_duration_nanos: Option<i64>,
    /// Longest duration, included.
    pub max_duration_nanos: Option<i64>,
    /// OTLP status code.
    pub status: Option<i8>,
    /// OTLP span kind.
    pub kind: Option<i8>,
    /// Range of the span's start. With a cursor, the range of the first page counts instead.
    pub range: TimeRange,
    /// Traces per page, 1 to `Limits::max_items`.
    pub limit: usize,
    /// Where the page starts; from [`Page::next_cursor`].
    pub cursor: Option<String>,
}

impl SpanSearch {
    /// Every trace of a range.
    pub fn in_range(range: TimeRange, limit: usize) -> Self {
        Self {
            service: None,
            operation: None,
            filters: Vec::new(),
            min_duration_nanos: None,
            max_duration_nanos: None,
            status: None,
            kind: None,
            range,
            limit,
            cursor: None,
        }
    }
}

/// One trace that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHit {
    /// Which trace.
    pub trace_id: TraceId,
    /// Service of the root span; of the earliest span when the root is not stored.
    pub root_service: String,
    /// Name of that span.
    pub root_name: String,
    /// Start of the earliest span.
    pub start: UnixNanos,
    /// From the earliest start to the latest end.
    pub duration_nanos: i64,
    /// Spans of the trace.
    pub span_count: u64,
    /// Spans with an error status.
    pub error_count: u64,
    /// The services, the one with the earliest span first.
    pub services: Vec<ServiceShare>,
    /// The newest matching spans, at most [`TraceHit::MATCHED_SPANS`].
    pub matched_spans: Vec<MatchedSpan>,
    /// All matching spans.
    pub matched_count: u64,
    /// Not all spans could be read (`Limits::summary_rows`): counts and duration are lower bounds.
    pub truncated: bool,
}

impl TraceHit {
    /// Matching spans listed per trace.
    pub const MATCHED_SPANS: usize = 5;
}

/// What one service has in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceShare {
    /// The service.
    pub name: String,
    /// Its spans.
    pub spans: u64,
    /// Its spans with an error status.
    pub errors: u64,
}

/// A span that meets the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedSpan {
    /// Which span.
    pub span_id: SpanId,
    /// Who emitted it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// OTLP span kind.
    pub kind: i8,
    /// OTLP status code.
    pub status: i8,
    /// Its start.
    pub start: UnixNanos,
    /// Its duration.
    pub duration_nanos: i64,
}

/// A trace with its newest matching span below the cursor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub trace_id: TraceId,
    pub newest: UnixNanos,
}

impl Query {
    /// Traces with a span that meets the search, newest first.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] and [`QueryError::Cursor`] for a wrong search; [`QueryError::Timeout`],
    /// [`QueryError::Overloaded`] and [`QueryError::Memory`] when it is too heavy.
    pub async fn search_traces(&self, tenant: &TenantId, search: SpanSearch) -> Result<Page<TraceHit>, QueryError> {
        let cursor = search.cursor.as_deref().map(TraceCursor::decode).transpose()?;
        let range = cursor.map_or(search.range, |cursor| cursor.frame.range);
        let conditions = conditions(&search, &range, self.limits())?;
        let tenant = tenant.clone();
        self.run("traces", move |inner, deadline| async move {
            let snapshot = inner.snapshot(&tenant, Signal::Spans, range);
            let through = cursor.map_or_else(|| newest_lsn(&snapshot), |cursor| cursor.frame.through);
            let predicate = all([conditions, vec![in_range(Signal::Spans, &range), came_by(through)]].concat());
            let frame = Frame { range, through };
            let (snapshot, slices) =
                narrow(&inner, snapshot, needs_of(&search.filters, Signal::Spans)?, deadline).await?;
            let snapshot = Arc::new(snapshot);
            let limit = search.limit;
            let walk = Walk { inner, tenant, snapshot, slices, predicate, frame, cursor, limit, deadline };
            walk.page().await
        })
        .await
    }
}

fn conditions(search: &SpanSearch, range: &TimeRange, limits: &crate::Limits) -> Result<Vec<Expr>, QueryError> {
    let mut conditions = Vec::new();
    if let Some(service) = &search.service {
        conditions.push(column(signal::SERVICE).eq(lit(service.as_str())));
    }
    if let Some(operation) = &search.operation {
        conditions.push(column(span::NAME).eq(lit(operation.as_str())));
    }
    conditions.extend(search.status.map(|status| column(span::STATUS_CODE).eq(lit(status))));
    conditions.extend(search.kind.map(|kind| column(span::KIND).eq(lit(kind))));
    conditions.extend(search.min_duration_nanos.map(|nanos| column(span::DURATION_NANOS).gt_eq(lit(nanos))));
    conditions.extend(search.max_duration_nanos.map(|nanos| column(span::DURATION_NANOS).lt_eq(lit(nanos))));
    conditions.extend(filters_of(&search.filters, Signal::Spans, range, search.limit, limits)?);
    Ok(conditions)
}

/// One page in the making.
struct Walk {
    inner: Arc<Inner>,
    tenant: TenantId,
    snapshot: Arc<Snapshot>,
    slices: Slices,
    predicate: Expr,
    frame: Frame,
    cursor: Option<TraceCursor>,
    limit: usize,
    deadline: Instant,
}

impl Walk {
    async fn page(self) -> Result<Page<TraceHit>, QueryError> {
        let below = self.cursor.map_or(self.frame.range.end, |cursor| cursor.time.plus(1));
        let range = TimeRange { start: self.frame.range.start, end: below.min(self.frame.range.end) };
        let mut seen = HashSet::new();
        let mut hits: Vec<(Candidate, TraceHit)> = Vec::new();
        let mut position = self.cursor.map(|cursor| Candidate { trace_id: cursor.trace_id, newest: cursor.time });
        let spare = if self.cursor.is_some() { SPARE } else { 0 };
        let mut windows = Windows::over(&self.snapshot, &range, true);
        'windows: while let Some(window) = windows.next() {
            let before = hits.len();
            loop {
                // one more than the page holds tells whether there is a next page
                let wanted = self.limit + 1 - hits.len() + spare;
                let candidates = self.candidates(&window, position, wanted).await?;
                let more_in_window = candidates.len() == wanted;
                let last = candidates.last().copied();
                let fresh: Vec<Candidate> =
                    candidates.into_iter().filter(|candidate| seen.insert(candidate.trace_id)).collect();
                hits.extend(self.summaries(fresh).await?);
                if hits.len() > self.limit {
                    break 'windows;
                }
                if !more_in_window {
                    break;
                }
                position = last;
            }
            if hits.len() > before {
                windows.pace(hits.len(), self.limit + 1 - hits.len());
            }
        }
        let more = hits.len() > self.limit;
        hits.truncate(self.limit);
        let next_cursor = match hits.last() {
            Some((last, _)) if more => {
                Some(TraceCursor { frame: self.frame, time: last.newest, trace_id: last.trace_id }.encode())
            }
            _ => None,
        };
        Ok(Page { items: hits.into_iter().map(|(_, hit)| hit).collect(), next_cursor })
    }

    /// The traces of one window below a position, by their newest matching span in it, at most `wanted`.
    async fn candidates(
        &self,
        window: &TimeRange,
        position: Option<Candidate>,
        wanted: usize,
    ) -> Result<Vec<Candidate>, QueryError> {
        let table = SnapshotTable::within(&self.snapshot, window, Selectivity::Selective).of_slices(&self.slices);
        if table.is_empty() {
            return Ok(Vec::new());
        }
        let engine = &self.inner.engine;
        let mut predicate = self.predicate.clone().and(in_range(Signal::Spans, window));
        if let Some(position) = position {
            let time = || column(span::START_TIME);
            let trace = lit(ScalarValue::FixedSizeBinary(16, Some(position.trace_id.0.to_vec())));
            let at = time().eq(time_literal(position.newest)).and(column(TRACE_ID).lt(trace));
            predicate = predicate.and(time().lt(time_literal(position.newest)).or(at));
        }
        let newest = "newest";
        let frame = engine.session()?.read_table(Arc::new(table)).and_then(|frame| {
            let order = vec![column(newest).sort(false, false), column(TRACE_ID).sort(false, false)];
            frame
                .filter(predicate)?
                .aggregate(vec![column(TRACE_ID)], vec![max(column(span::START_TIME)).alias(newest)])?
                .sort(order)?
                .limit(0, Some(wanted))
        });
        let found = engine.collect(frame.map_err(|error| engine.failed(error))?, wanted).await?;
        let mut candidates = Vec::new();
        for batch in &found.batches {
            let traces = batch.column(0).as_fixed_size_binary_opt();
            let newest = batch.column(1).as_primitive_opt::<TimestampNanosecondType>();
            let (Some(traces), Some(newest)) = (traces, newest) else { continue };
            candidates.extend((0..batch.num_rows()).filter_map(|row| {
                let trace_id = TraceId::from_slice(traces.value(row))?;
                Some(Candidate { trace_id, newest: UnixNanos(newest.value(row)) })
            }));
        }
        Ok(candidates)
    }

    /// Summaries of the candidates that no earlier page has shown, in their order.
    async fn summaries(&self, candidates: Vec<Candidate>) -> Result<Vec<(Candidate, TraceHit)>, QueryError> {
        let times = candidates.iter().map(|candidate| candidate.newest);
        let (Some(oldest), Some(newest)) = (times.clone().min(), times.max()) else { return Ok(Vec::new()) };
        // on a later page, what an earlier one has shown may lie anywhere above the cursor
        let above = if self.cursor.is_some() { self.frame.range.end } else { newest };
        let range = TimeRange { start: oldest.plus(-AROUND_NANOS), end: above.max(newest).plus(AROUND_NANOS) };
        let ask = Ask {
            candidates,
            predicate: self.predicate.clone(),
            shown_from: self.cursor.map(|cursor| Candidate { trace_id: cursor.trace_id, newest: cursor.time }),
            deadline: self.deadline,
        };
        let (inner, tenant) = (Arc::clone(&self.inner), self.tenant.clone());
        blocking(move || {
            let snapshot = inner.snapshot(&tenant, Signal::Spans, range);
            summary::hits(&inner, &snapshot, ask)
        })
        .await
    }
}
