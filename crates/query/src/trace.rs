//! One whole trace.

use std::sync::Arc;

use arrow::array::RecordBatch;
use model::time::NANOS_PER_HOUR;
use model::{Signal, TenantId, TimeRange, TraceId};

use crate::duplicates;
use crate::lookup::Lookup;
use crate::query::blocking;
use crate::{Query, QueryError};

/// A trace that rests for longer than this is taken to have begun afterwards.
const MAX_GAP_NANOS: i64 = 24 * NANOS_PER_HOUR;

/// A trace: its spans from memory and files, resent copies folded.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Which trace.
    pub trace_id: TraceId,
    /// The spans with the stored schema, in order of start time; at least one.
    pub batches: Vec<RecordBatch>,
    /// The trace has more spans than one answer may hold (`Limits::trace_rows`).
    pub truncated: bool,
}

impl Trace {
    /// Number of spans in the answer.
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether there is no span, which the answer of [`Query::trace`] never is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Query {
    /// The spans of a trace, whenever they happened; `None` when the tenant has no span of it. Looks back from its newest
    /// span until a day without any: what lies further back than that gap is left out.
    ///
    /// # Errors
    /// [`QueryError::Timeout`], [`QueryError::Overloaded`], or a fault of stored data (`Internal`).
    pub async fn trace(&self, tenant: &TenantId, trace_id: TraceId) -> Result<Option<Trace>, QueryError> {
        let tenant = tenant.clone();
        self.run("trace", |inner, deadline| {
            blocking(move || {
                let snapshot = inner.snapshot(&tenant, Signal::Spans, TimeRange::ALL);
                let max_rows = inner.limits.trace_rows;
                let (schema, max_gap_nanos) = (Signal::Spans.stored_schema(), MAX_GAP_NANOS);
                let (traces, columns) = (vec![trace_id], Arc::clone(&schema));
                let lookup = Lookup { traces, schema: columns, max_rows, max_gap_nanos, deadline };
                let found = lookup.run(&snapshot, &inner.footers)?;
                let spans = duplicates::fold(&schema, &found.batches)?;
                let trace = Trace { trace_id, batches: vec![spans], truncated: found.truncated };
                Ok((!trace.is_empty()).then_some(trace))
            })
        })
        .await
    }
}
