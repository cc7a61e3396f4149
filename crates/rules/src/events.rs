//! A batch as the engine sees it: rows with a time and an identity.
//!
//! The time of a span is its end. Only then is known what came of it, only then does its sender let go of it, and so no
//! span is late for having taken long: a bound on lateness says how long an event may be on its way, and nothing of how
//! long it lasted. A span that ends before it starts, or never, stands at its start.

use std::borrow::Cow;

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use model::{EventBatch, EventId, LogId, Lsn, Signal, SpanId, TraceId, signal};

/// Rows of one batch, its columns found once.
#[derive(Debug)]
pub struct Events<'b> {
    /// The columns.
    pub records: &'b RecordBatch,
    /// What kind of events; `None` offline, where every rule applies.
    pub signal: Option<Signal>,
    times: Cow<'b, [i64]>,
    lsn: Lsn,
    first_line: usize,
    trace_ids: Option<&'b FixedSizeBinaryArray>,
    span_ids: Option<&'b FixedSizeBinaryArray>,
    parent_ids: Option<&'b FixedSizeBinaryArray>,
    seqs: Option<&'b UInt64Array>,
    rows: Option<&'b UInt32Array>,
}

impl<'b> Events<'b> {
    /// Events of the store; `None` when the batch lacks its time column.
    pub fn stored(batch: &'b EventBatch) -> Option<Self> {
        let records = &batch.records;
        let column = records.column_by_name(batch.signal.time_column())?;
        let times = column.as_primitive_opt::<TimestampNanosecondType>()?.values();
        let times = match batch.signal {
            Signal::Spans => ends(times, records).map_or(Cow::Borrowed(&**times), Cow::Owned),
            Signal::Logs => Cow::Borrowed(&**times),
        };
        let ids = |name: &str| records.column_by_name(name).and_then(|column| column.as_fixed_size_binary_opt());
        Some(Self {
            trace_ids: ids(signal::TRACE_ID),
            span_ids: ids(signal::SPAN_ID),
            parent_ids: ids(signal::span::PARENT_SPAN_ID),
            seqs: records.column_by_name(signal::SEQ).and_then(|column| column.as_primitive_opt::<UInt64Type>()),
            rows: records.column_by_name(signal::ROW).and_then(|column| column.as_primitive_opt::<UInt32Type>()),
            signal: Some(batch.signal),
            lsn: batch.lsn,
            times,
            ..Self::external(records, &[], 0)
        })
    }

    /// Events from elsewhere, named by their position after `first_line`.
    pub fn external(records: &'b RecordBatch, times: &'b [i64], first_line: usize) -> Self {
        Self {
            records,
            signal: None,
            times: Cow::Borrowed(times),
            lsn: Lsn(0),
            first_line,
            trace_ids: None,
            span_ids: None,
            parent_ids: None,
            seqs: None,
            rows: None,
        }
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
        let trace = self.trace_id(row);
        match self.signal {
            None => EventId::External((self.first_line + row).to_string()),
            Some(Signal::Spans) => match (trace, self.span_id(row)) {
                (Some(trace), Some(span)) => EventId::Span(trace, span),
                _ => EventId::External(self.log_id(row).to_string()),
            },
            Some(Signal::Logs) => EventId::Log(self.log_id(row), trace),
        }
    }

    /// The trace of a row.
    pub fn trace_id(&self, row: usize) -> Option<TraceId> {
        bytes(self.trace_ids, row).and_then(TraceId::from_slice)
    }

    /// The span that a row is.
    pub fn span_id(&self, row: usize) -> Option<SpanId> {
        bytes(self.span_ids, row).and_then(SpanId::from_slice)
    }

    /// The span above a row; `None` for a root.
    pub fn parent_id(&self, row: usize) -> Option<SpanId> {
        bytes(self.parent_ids, row).and_then(SpanId::from_slice)
    }

    /// The place of a row in the log, or in its file.
    pub fn order(&self, row: usize) -> (u64, u32) {
        let id = self.log_id(self.first_line + row);
        (id.lsn.0, id.row)
    }

    fn log_id(&self, row: usize) -> LogId {
        LogId {
            lsn: self.seqs.map_or(self.lsn, |seqs| Lsn(seqs.value(row))),
            row: self.rows.map_or(u32::try_from(row).unwrap_or(u32::MAX), |rows| rows.value(row)),
        }
    }
}

/// Where spans that begin at `starts` end.
fn ends(starts: &[i64], records: &RecordBatch) -> Option<Vec<i64>> {
    let durations = records.column_by_name(signal::span::DURATION_NANOS)?.as_primitive_opt::<Int64Type>()?.values();
    Some(starts.iter().zip(durations.iter()).map(|(start, duration)| start.saturating_add(*duration)).collect())
}

fn bytes(column: Option<&FixedSizeBinaryArray>, row: usize) -> Option<&[u8]> {
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
}
