//! The order of rows inside a file.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, RecordBatch, UInt32Array};
use arrow::datatypes::TimestampNanosecondType;
use arrow::error::ArrowError;
use model::signal::TRACE_ID;
use model::{Signal, UnixNanos};

/// Rows in file order, and how many distinct traces there are.
#[derive(Debug)]
pub(crate) struct RowOrder {
    pub(crate) rows: UInt32Array,
    pub(crate) traces: usize,
}

/// Orders the rows of one file. The order of equal keys is the order of insertion, so it is the same each time.
///
/// Spans: traces by the first time they were seen, each trace together, by start inside. That keeps a trace in few
/// pages and compresses best (ids, services and routes repeat from row to row). Logs: by time, because searching them
/// newest first is what they are read for.
pub(crate) fn order(signal: Signal, records: &RecordBatch) -> Result<RowOrder, ArrowError> {
    let missing = |column: &str| ArrowError::SchemaError(format!("column {column} is missing or has the wrong type"));
    let times = records
        .column_by_name(signal.time_column())
        .and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>())
        .ok_or_else(|| missing(signal.time_column()))?
        .values();
    let ids = records
        .column_by_name(TRACE_ID)
        .and_then(|column| column.as_fixed_size_binary_opt())
        .ok_or_else(|| missing(TRACE_ID))?;
    let rows = u32::try_from(records.num_rows())
        .map_err(|_| ArrowError::InvalidArgumentError("one file takes fewer than 2^32 rows".to_owned()))?;
    let first_seen = first_seen(ids, times);
    let mut order: Vec<u32> = (0..rows).collect();
    match signal {
        Signal::Spans => order.sort_by_cached_key(|row| {
            let index = *row as usize;
            let trace = trace_at(ids, index);
            (trace.and_then(|id| first_seen.get(&id).copied()), trace, times[index])
        }),
        Signal::Logs => order.sort_by_key(|row| times[*row as usize]),
    }
    Ok(RowOrder { rows: UInt32Array::from(order), traces: first_seen.len() })
}

fn first_seen(ids: &FixedSizeBinaryArray, times: &[i64]) -> HashMap<u128, UnixNanos> {
    let mut first: HashMap<u128, UnixNanos> = HashMap::new();
    for (row, time) in times.iter().enumerate() {
        if let Some(id) = trace_at(ids, row) {
            let seen = first.entry(id).or_insert(UnixNanos(*time));
            *seen = (*seen).min(UnixNanos(*time));
        }
    }
    first
}

fn trace_at(ids: &FixedSizeBinaryArray, row: usize) -> Option<u128> {
    if ids.is_null(row) {
        return None;
    }
    ids.value(row).try_into().ok().map(u128::from_be_bytes)
}
