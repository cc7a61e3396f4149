//! Rows of a window in order of time, in batches that rules take.

use std::ops::Range;

use arrow::array::{AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use model::signal::{ROW, SEQ, span};
use model::view::ViewError;
use model::{EventBatch, Lsn, Signal, TenantId, UnixNanos, join};

use super::ReplayAsk;
use crate::QueryError;

/// The rows of one signal, and their places in order of time.
struct Sorted {
    signal: Signal,
    records: RecordBatch,
    /// Time and row.
    order: Vec<(i64, u32)>,
    next: usize,
}

/// Batches in order of time. Rows of one signal are in order throughout, with the log's order where times are equal;
/// between signals events lie apart no further than a batch may.
pub(crate) fn in_order(
    tenant: &TenantId,
    found: Vec<(Signal, Vec<RecordBatch>)>,
    ask: &ReplayAsk,
) -> Result<Vec<EventBatch>, QueryError> {
    let mut parts = Vec::new();
    for (signal, batches) in found {
        if !batches.is_empty() {
            parts.push(Sorted::new(signal, &batches)?);
        }
    }
    let mut made = Vec::new();
    while let Some(first) = parts.iter().filter_map(Sorted::time).min() {
        let mut until = first.saturating_add(ask.batch_nanos.max(1));
        // whoever has more rows than fit into a batch says where the others stop as well
        for part in &parts {
            let over = part.order.get(part.next.saturating_add(ask.batch_rows.max(1))).map(|(time, _)| *time);
            until = over.map_or(until, |over| over.min(until)).max(first.saturating_add(1));
        }
        for part in &mut parts {
            let rows = part.pass(until);
            for piece in part.order[rows].chunks(ask.batch_rows.max(1)) {
                let indices = UInt32Array::from_iter_values(piece.iter().map(|(_, row)| *row));
                made.push(EventBatch {
                    tenant: tenant.clone(),
                    signal: part.signal,
                    received_at: UnixNanos(until),
                    lsn: Lsn(0),
                    records: take_record_batch(&part.records, &indices)?,
                });
            }
        }
    }
    Ok(made)
}

impl Sorted {
    fn new(signal: Signal, batches: &[RecordBatch]) -> Result<Self, QueryError> {
        let records = join(&signal.stored_schema(), batches)?;
        let missing = |name: &str| ViewError(name.to_owned());
        let column = |name: &str| records.column_by_name(name).ok_or_else(|| missing(name));
        let times = column(signal.time_column())?.as_primitive_opt::<TimestampNanosecondType>();
        let times = times.ok_or_else(|| missing(signal.time_column()))?;
        let lasted: Option<&Int64Array> = match signal {
            Signal::Logs => None,
            Signal::Spans => Some(
                column(span::DURATION_NANOS)?
                    .as_primitive_opt::<Int64Type>()
                    .ok_or_else(|| missing(span::DURATION_NANOS))?,
            ),
        };
        let seqs = column(SEQ)?.as_primitive_opt::<UInt64Type>().ok_or_else(|| missing(SEQ))?;
        let rows = column(ROW)?.as_primitive_opt::<UInt32Type>().ok_or_else(|| missing(ROW))?;
        let time = |row: usize| times.value(row).saturating_add(lasted.map_or(0, |lasted| lasted.value(row)));
        let mut order: Vec<(i64, u32)> = (0..).zip(0..records.num_rows()).map(|(row, at)| (time(at), row)).collect();
        order.sort_unstable_by_key(|(time, row)| (*time, seqs.value(*row as usize), rows.value(*row as usize)));
        Ok(Self { signal, records, order, next: 0 })
    }

    /// Time of the next row.
    fn time(&self) -> Option<i64> {
        self.order.get(self.next).map(|(time, _)| *time)
    }

    /// Goes on to a moment; the places of the rows that lie behind now.
    fn pass(&mut self, until: i64) -> Range<usize> {
        let from = self.next;
        self.next += self.order[from..].partition_point(|(time, _)| *time < until);
        from..self.next
    }
}
