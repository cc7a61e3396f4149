//! From a trace id to its rows in one batch.

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, RecordBatch};
use model::TraceId;
use model::signal::TRACE_ID;

const END: u32 = u32::MAX;

/// A hash index over the trace ids of a batch: buckets of chained row numbers, about 12 bytes per row.
///
/// Every candidate is compared with the row itself, so a collision costs time and never a wrong row. Ids chosen to
/// collide make a lookup as slow as a scan of one batch, no worse.
#[derive(Debug)]
pub struct TraceIndex {
    heads: Box<[u32]>,
    next: Box<[u32]>,
}

impl TraceIndex {
    pub(crate) fn build(records: &RecordBatch) -> Self {
        let rows = records.num_rows();
        let buckets = buckets_for(rows);
        let mut heads = vec![END; buckets].into_boxed_slice();
        let mut next = vec![END; rows].into_boxed_slice();
        let Some(ids) = trace_ids(records) else { return Self { heads, next } };
        // from the last row to the first, so that each chain is in row order
        for row in (0..rows).rev().filter(|row| ids.is_valid(*row)) {
            let bucket = bucket_of(ids.value(row), buckets);
            next[row] = heads[bucket];
            heads[bucket] = u32::try_from(row).unwrap_or(END);
        }
        Self { heads, next }
    }

    /// Rows of `trace`, ascending. `records` is the batch the index was built from.
    pub(crate) fn rows(&self, records: &RecordBatch, trace: TraceId) -> Vec<u32> {
        let mut found = Vec::new();
        let Some(ids) = trace_ids(records) else { return found };
        let mut row = self.heads[bucket_of(&trace.0, self.heads.len())];
        while row != END {
            if ids.value(row as usize) == trace.0 {
                found.push(row);
            }
            row = self.next[row as usize];
        }
        found
    }

    /// Bytes an index over `rows` rows takes in memory.
    pub(crate) fn expected_bytes(rows: usize) -> u64 {
        ((rows + buckets_for(rows)) * size_of::<u32>()) as u64
    }
}

fn buckets_for(rows: usize) -> usize {
    rows.max(1).next_power_of_two()
}

fn trace_ids(records: &RecordBatch) -> Option<&FixedSizeBinaryArray> {
    records.column_by_name(TRACE_ID)?.as_fixed_size_binary_opt()
}

/// `buckets` is a power of two. Both halves are stirred in: some clients keep one of them constant.
fn bucket_of(id: &[u8], buckets: usize) -> usize {
    let mut mixed = 0_u64;
    for half in id.chunks_exact(8) {
        let word = half.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        mixed = (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    usize::try_from(mixed & (buckets as u64 - 1)).unwrap_or(0)
}
