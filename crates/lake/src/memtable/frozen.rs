//! A batch in memory that does not change any more.

use std::sync::OnceLock;

use arrow::array::RecordBatch;
use model::{Signal, TimeRange, TraceId, UnixNanos, column};

use super::TraceIndex;
use crate::zone::time_bounds;

/// Rows in memory with their time bounds and, from the first lookup on, their trace index.
#[derive(Debug)]
pub struct FrozenBatch {
    records: RecordBatch,
    times: Option<(UnixNanos, UnixNanos)>,
    memory_bytes: u64,
    trace_index: OnceLock<TraceIndex>,
}

impl FrozenBatch {
    pub(crate) fn new(signal: Signal, records: RecordBatch) -> Self {
        let times = time_bounds(signal, &records);
        let memory_bytes = column::memory_bytes(&records) + TraceIndex::expected_bytes(records.num_rows());
        Self { records, times, memory_bytes, trace_index: OnceLock::new() }
    }

    /// The rows, with the stored schema of their signal.
    pub fn records(&self) -> &RecordBatch {
        &self.records
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.records.num_rows()
    }

    /// Bytes it takes in memory, index included.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Whether any row may lie in `range`.
    pub fn overlaps(&self, range: &TimeRange) -> bool {
        self.times.is_some_and(|(min, max)| range.overlaps(min, max))
    }

    /// The earliest and the latest event; `None` without any.
    pub fn bounds(&self) -> Option<(UnixNanos, UnixNanos)> {
        self.times
    }

    /// Rows of a trace, ascending.
    pub fn rows_of_trace(&self, trace: TraceId) -> Vec<u32> {
        self.trace_index().rows(&self.records, trace)
    }

    /// The index; a batch frozen on schedule has it already, one caught by a snapshot makes it when first asked.
    pub fn trace_index(&self) -> &TraceIndex {
        self.trace_index.get_or_init(|| TraceIndex::build(&self.records))
    }
}
