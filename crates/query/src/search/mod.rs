//! Searches that answer in pages.

pub(crate) mod logs;
pub(crate) mod spans;
mod summary;
mod windows;

pub(crate) use windows::Windows;

pub use logs::{LogHit, LogSearch, Order};
pub use spans::{MatchedSpan, ServiceShare, SpanSearch, TraceHit};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use lake::Snapshot;
use model::signal::SEQ;
use model::{Lsn, Signal, TimeRange, UnixNanos};

use crate::filter::column;
use crate::table::time_zone;
use crate::{AttributeFilter, Limits, QueryError};

/// A moment as the stored time columns compare with it.
pub(crate) fn time_literal(time: UnixNanos) -> Expr {
    lit(ScalarValue::TimestampNanosecond(Some(time.0), time_zone()))
}

/// Rows whose own time lies in `range`.
pub(crate) fn in_range(signal: Signal, range: &TimeRange) -> Expr {
    let time = || column(signal.time_column());
    time().gt_eq(time_literal(range.start)).and(time().lt(time_literal(range.end)))
}

/// Rows that came no later than `through`.
pub(crate) fn came_by(through: Lsn) -> Expr {
    column(SEQ).lt_eq(lit(through.0))
}

/// Checks what every search has and turns the attribute filters into expressions.
fn filters_of(
    filters: &[AttributeFilter],
    signal: Signal,
    range: &TimeRange,
    limit: usize,
    limits: &Limits,
) -> Result<Vec<Expr>, QueryError> {
    if range.start > range.end {
        let reason = format!("{} lies after {}", range.start, range.end);
        return Err(QueryError::Invalid { field: "start", reason });
    }
    if limit == 0 || limit > limits.max_items {
        let reason = format!("must be 1 to {}, got {limit}", limits.max_items);
        return Err(QueryError::Invalid { field: "limit", reason });
    }
    if filters.len() > limits.max_filters {
        let reason = format!("at most {} filters are allowed, got {}", limits.max_filters, filters.len());
        return Err(QueryError::Invalid { field: "filter", reason });
    }
    filters.iter().map(|filter| filter.to_expr(signal)).collect()
}

pub(crate) fn all(conditions: Vec<Expr>) -> Expr {
    conditions.into_iter().reduce(Expr::and).unwrap_or_else(|| lit(true))
}

/// The newest log position a snapshot can see: rows that come later have a greater one.
pub(crate) fn newest_lsn(snapshot: &Snapshot) -> Lsn {
    let of_batch = |batch: &RecordBatch| {
        let seqs = batch.column_by_name(SEQ).and_then(|column| column.as_primitive_opt::<UInt64Type>());
        seqs.and_then(arrow::compute::max).unwrap_or(0)
    };
    let in_memory = snapshot.batches.iter().map(of_batch).max().unwrap_or(0);
    let in_files = snapshot.files.iter().map(|file| file.max_lsn.0).max().unwrap_or(0);
    Lsn(in_memory.max(in_files))
}
