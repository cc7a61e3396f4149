//! A batch as the engine sees it: rows with a time and an identity.

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, RecordBatch};
use arrow::datatypes::{TimestampNanosecondType, UInt32Type, UInt64Type};
use model::{EventBatch, EventId, LogId, Lsn, Signal, SpanId, TraceId, signal};

/// Rows of one batch.
#[derive(Debug)]
pub struct Events<'b> {
    /// The columns.
    pub records: &'b RecordBatch,
    /// What kind of events; `None` offline, where every rule applies.
    pub signal: Option<Signal>,
    times: &'b [i64],
    lsn: Lsn,
    first_line: usize,
}

impl<'b> Events<'b> {
    /// Events of the store; `None` when the batch lacks its time column.
    pub fn stored(batch: &'b EventBatch) -> Option<Self> {
        let column = batch.records.column_by_name(batch.signal.time_column())?;
        let times = column.as_primitive_opt::<TimestampNanosecondType>()?.values();
        Some(Self { records: &batch.records, signal: Some(batch.signal), times, lsn: batch.lsn, first_line: 0 })
    }

    /// Events from elsewhere, named by their position after `first_line`.
    pub fn external(records: &'b RecordBatch, times: &'b [i64], first_line: usize) -> Self {
        Self { records, signal: None, times, lsn: Lsn(0), first_line }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.times.len().min(self.records.num_rows())
    }

    /// Event time of a row, in nanoseconds.
    pub fn time(&self, row: usize) -> i64 {
        self.times[row]
    }

    /// The latest event time.
    pub fn newest(&self) -> Option<i64> {
        self.times.iter().copied().max()
    }

    /// The identity of a row.
    pub fn id(&self, row: usize) -> EventId {
        let trace = self.bytes(signal::TRACE_ID, row).and_then(TraceId::from_slice);
        match self.signal {
            None => EventId::External((self.first_line + row).to_string()),
            Some(Signal::Spans) => {
                let span = self.bytes(signal::SPAN_ID, row).and_then(SpanId::from_slice);
                match (trace, span) {
                    (Some(trace), Some(span)) => EventId::Span(trace, span),
                    _ => EventId::External(self.log_id(row).to_string()),
                }
            }
            Some(Signal::Logs) => EventId::Log(self.log_id(row), trace),
        }
    }

    fn bytes(&self, name: &str, row: usize) -> Option<&'b [u8]> {
        let column: &FixedSizeBinaryArray = self.records.column_by_name(name)?.as_fixed_size_binary_opt()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn log_id(&self, row: usize) -> LogId {
        let seq = self.records.column_by_name(signal::SEQ).and_then(|column| column.as_primitive_opt::<UInt64Type>());
        let rows = self.records.column_by_name(signal::ROW).and_then(|column| column.as_primitive_opt::<UInt32Type>());
        LogId {
            lsn: seq.map_or(self.lsn, |seq| Lsn(seq.value(row))),
            row: rows.map_or(u32::try_from(row).unwrap_or(u32::MAX), |rows| rows.value(row)),
        }
    }
}
