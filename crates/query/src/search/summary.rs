//! What a list says of each trace it found.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{Int8Type, Int64Type, Schema, SchemaRef, TimestampNanosecondType};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use lake::Snapshot;
use model::signal::{SEQ, SERVICE, SPAN_ID, TRACE_ID, span};
use model::view::{ViewError, text_at};
use model::{Signal, SpanId, UnixNanos};
use tokio::time::Instant;

use super::spans::{Candidate, MatchedSpan, ServiceShare, TraceHit};
use crate::QueryError;
use crate::duplicates;
use crate::lookup::Lookup;
use crate::query::Inner;

/// The columns a summary needs; the search adds those it compares.
const COLUMNS: [&str; 10] = [
    TRACE_ID,
    SPAN_ID,
    span::PARENT_SPAN_ID,
    span::NAME,
    span::KIND,
    span::START_TIME,
    span::DURATION_NANOS,
    span::STATUS_CODE,
    SERVICE,
    SEQ,
];

/// Which traces to summarise.
pub(super) struct Ask {
    pub candidates: Vec<Candidate>,
    /// The whole search, range and log position included.
    pub predicate: Expr,
    /// Traces whose newest match is at or above this were on an earlier page.
    pub shown_from: Option<Candidate>,
    pub deadline: Instant,
}

/// The hits, in the order of the candidates, without those shown earlier. Blocking.
pub(super) fn hits(inner: &Inner, snapshot: &Snapshot, ask: Ask) -> Result<Vec<(Candidate, TraceHit)>, QueryError> {
    let schema = columns_for(&ask.predicate);
    let traces = ask.candidates.iter().map(|candidate| candidate.trace_id).collect();
    let max_rows = inner.limits.summary_rows;
    // the snapshot ends the search; several traces have no gap in common
    let (columns, max_gap_nanos) = (Arc::clone(&schema), i64::MAX);
    let lookup = Lookup { traces, schema: columns, max_rows, max_gap_nanos, deadline: ask.deadline };
    let found = lookup.run(snapshot, &inner.footers)?;
    let spans = duplicates::fold(&schema, &found.batches)?;
    let matches = matching(inner, &spans, ask.predicate)?;
    let columns = Columns::of(&spans)?;
    let mut rows: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for row in 0..spans.num_rows() {
        rows.entry(columns.traces.value(row)).or_default().push(row);
    }
    let mut hits = Vec::with_capacity(ask.candidates.len());
    for candidate in ask.candidates {
        let rows = rows.remove(&candidate.trace_id.0[..]).unwrap_or_default();
        let matched: Vec<usize> = rows.iter().copied().filter(|row| matches.value(*row)).collect();
        let newest = matched.iter().map(|row| columns.starts.value(*row)).max();
        let shown = ask
            .shown_from
            .zip(newest)
            .is_some_and(|(from, newest)| (UnixNanos(newest), candidate.trace_id) >= (from.newest, from.trace_id));
        if !shown {
            hits.push((candidate, columns.summary(&candidate, &rows, &matched, found.truncated)));
        }
    }
    Ok(hits)
}

/// The part of the stored schema that summaries and `predicate` look at.
fn columns_for(predicate: &Expr) -> SchemaRef {
    let mut names: HashSet<&str> = COLUMNS.into_iter().collect();
    names.extend(predicate.column_refs().into_iter().map(|column| column.name.as_str()));
    let stored = Signal::Spans.stored_schema();
    let fields = stored.fields().iter().filter(|field| names.contains(field.name().as_str())).cloned();
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn matching(inner: &Inner, spans: &RecordBatch, predicate: Expr) -> Result<BooleanArray, QueryError> {
    let failed = |error| inner.engine.failed(error);
    let schema = DFSchema::try_from(spans.schema()).map_err(failed)?;
    let physical = inner.engine.session()?.create_physical_expr(predicate, &schema).map_err(failed)?;
    let value = physical.evaluate(spans).and_then(|value| value.into_array(spans.num_rows())).map_err(failed)?;
    let found = value.as_boolean_opt().ok_or_else(|| ViewError("predicate".to_owned()))?;
    // null means no match
    Ok(found.iter().map(|matched| Some(matched == Some(true))).collect())
}

/// The columns of the folded spans, in order of start.
struct Columns<'a> {
    traces: &'a arrow::array::FixedSizeBinaryArray,
    spans: &'a arrow::array::FixedSizeBinaryArray,
    parents: &'a arrow::array::FixedSizeBinaryArray,
    names: &'a ArrayRef,
    services: &'a ArrayRef,
    kinds: &'a arrow::array::Int8Array,
    starts: &'a arrow::array::TimestampNanosecondArray,
    durations: &'a arrow::array::Int64Array,
    statuses: &'a arrow::array::Int8Array,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, ViewError> {
        let missing = |name: &str| ViewError(name.to_owned());
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
        let ids = |name: &str| column(name)?.as_fixed_size_binary_opt().ok_or_else(|| missing(name));
        let codes = |name: &str| column(name)?.as_primitive_opt::<Int8Type>().ok_or_else(|| missing(name));
        let starts = column(span::START_TIME)?.as_primitive_opt::<TimestampNanosecondType>();
        let durations = column(span::DURATION_NANOS)?.as_primitive_opt::<Int64Type>();
        Ok(Self {
            traces: ids(TRACE_ID)?,
            spans: ids(SPAN_ID)?,
            parents: ids(span::PARENT_SPAN_ID)?,
            names: column(span::NAME)?,
            services: column(SERVICE)?,
            kinds: codes(span::KIND)?,
            starts: starts.ok_or_else(|| missing(span::START_TIME))?,
            durations: durations.ok_or_else(|| missing(span::DURATION_NANOS))?,
            statuses: codes(span::STATUS_CODE)?,
        })
    }

    fn summary(&self, candidate: &Candidate, rows: &[usize], matched: &[usize], truncated: bool) -> TraceHit {
        let root = self.root(rows);
        let start = rows.first().map_or(candidate.newest.0, |row| self.starts.value(*row));
        let end = rows.iter().map(|row| self.starts.value(*row).saturating_add(self.durations.value(*row))).max();
        let text = |column: &ArrayRef| root.and_then(|row| text_at(column, row)).unwrap_or_default().to_owned();
        let newest_first = matched.iter().rev().take(TraceHit::MATCHED_SPANS);
        TraceHit {
            trace_id: candidate.trace_id,
            root_service: text(self.services),
            root_name: text(self.names),
            start: UnixNanos(start),
            duration_nanos: end.map_or(0, |end| end.saturating_sub(start)),
            span_count: rows.len() as u64,
            error_count: rows.iter().filter(|row| self.failed(**row)).count() as u64,
            services: self.shares(rows),
            matched_spans: newest_first.filter_map(|row| self.matched(*row)).collect(),
            matched_count: matched.len() as u64,
            truncated,
        }
    }

    fn failed(&self, row: usize) -> bool {
        self.statuses.value(row) == span::STATUS_ERROR
    }

    /// The span without a parent, else the earliest whose parent is not stored, else the earliest.
    fn root(&self, rows: &[usize]) -> Option<usize> {
        let no_parent = rows.iter().copied().find(|row| self.parents.is_null(*row));
        no_parent
            .or_else(|| {
                let known: HashSet<&[u8]> = rows.iter().map(|row| self.spans.value(*row)).collect();
                rows.iter().copied().find(|row| !known.contains(self.parents.value(*row)))
            })
            .or_else(|| rows.first().copied())
    }

    fn shares(&self, rows: &[usize]) -> Vec<ServiceShare> {
        // by the place of the first span, so that the order follows the trace
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut shares: BTreeMap<usize, ServiceShare> = BTreeMap::new();
        for row in rows {
            let name = text_at(self.services, *row).unwrap_or_default();
            let next = places.len();
            let place = *places.entry(name).or_insert(next);
            let share = shares.entry(place);
            let share = share.or_insert_with(|| ServiceShare { name: name.to_owned(), spans: 0, errors: 0 });
            share.spans += 1;
            share.errors += u64::from(self.failed(*row));
        }
        shares.into_values().collect()
    }

    fn matched(&self, row: usize) -> Option<MatchedSpan> {
        Some(MatchedSpan {
            span_id: SpanId::from_slice(self.spans.value(row))?,
            service: text_at(self.services, row).unwrap_or_default().to_owned(),
            name: text_at(self.names, row).unwrap_or_default().to_owned(),
            kind: self.kinds.value(row),
            status: self.statuses.value(row),
            start: UnixNanos(self.starts.value(row)),
            duration_nanos: self.durations.value(row),
        })
    }
}
