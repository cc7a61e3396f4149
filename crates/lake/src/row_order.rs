//! The order of rows inside a file.
//!
//! Spans: traces by the first time they were seen, each trace together; that sequence is cut into **slices** of
//! [`SLICE_ROWS`] rows, and the rows of a slice are sorted by service, name and start. So a trace lies in one slice, or in
//! neighbours where it crosses a cut, and neighbours within a slice are alike, which compresses best. Logs: by time,
//! because searching them newest first is what they are read for; their slices are cut the same way.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, DictionaryArray, FixedSizeBinaryArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampNanosecondType};
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use model::signal::{SERVICE, TRACE_ID, span};
use model::{Signal, TraceId};

/// Rows of a slice; the last one of a file may have fewer. Data pages hold no more rows than that.
pub(crate) const SLICE_ROWS: usize = 16_384;
/// Stands for "no trace"; an all-zero id is never stored.
const NO_TRACE: u128 = 0;

/// What the place of each row follows from: 24 bytes a row.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    traces: Vec<u128>,
    times: Vec<i64>,
}

impl Keys {
    /// Takes in the next rows. `records` needs the trace id and the time of its signal.
    pub(crate) fn add(&mut self, signal: Signal, records: &RecordBatch) -> Result<(), ArrowError> {
        let times = column(records, signal.time_column())?.as_primitive_opt::<TimestampNanosecondType>();
        let times = times.ok_or_else(|| wrong(signal.time_column()))?;
        let ids = column(records, TRACE_ID)?.as_fixed_size_binary_opt().ok_or_else(|| wrong(TRACE_ID))?;
        self.times.extend_from_slice(times.values());
        self.traces.extend((0..ids.len()).map(|row| trace_at(ids, row)));
        Ok(())
    }

    pub(crate) fn trace(&self, row: u32) -> u128 {
        self.traces[row as usize]
    }

    pub(crate) fn time(&self, row: u32) -> i64 {
        self.times[row as usize]
    }

    /// The rows, each trace of spans together. Equal keys keep the order in which they were added, so it is the same
    /// each time.
    pub(crate) fn order(&self, signal: Signal) -> Result<Vec<u32>, ArrowError> {
        let rows = u32::try_from(self.times.len())
            .map_err(|_| ArrowError::InvalidArgumentError("one file takes fewer than 2^32 rows".to_owned()))?;
        let mut order: Vec<u32> = (0..rows).collect();
        match signal {
            Signal::Spans => {
                let first_seen = self.first_seen();
                order.sort_by_cached_key(|&row| {
                    let trace = self.trace(row);
                    (first_seen.get(&trace).copied(), trace, self.time(row))
                });
            }
            Signal::Logs => order.sort_by_key(|&row| self.time(row)),
        }
        Ok(order)
    }

    fn first_seen(&self) -> HashMap<u128, i64, RandomState> {
        let mut first: HashMap<u128, i64, RandomState> = HashMap::default();
        for (trace, time) in self.traces.iter().zip(&self.times) {
            let seen = first.entry(*trace).or_insert(*time);
            *seen = (*seen).min(*time);
        }
        first
    }
}

/// Sorts the rows of slices that are cut from one batch.
#[derive(Debug)]
pub(crate) struct SliceOrder<'a> {
    /// `None` where slices stay as they are cut.
    labels: Option<[Ranked<'a>; 2]>,
}

/// A column of labels with the alphabetical rank of each.
#[derive(Debug)]
struct Ranked<'a> {
    column: &'a DictionaryArray<Int32Type>,
    ranks: Vec<u32>,
}

impl<'a> SliceOrder<'a> {
    pub(crate) fn of(signal: Signal, records: &'a RecordBatch) -> Result<Self, ArrowError> {
        let labels = match signal {
            Signal::Spans => Some([Ranked::of(records, SERVICE)?, Ranked::of(records, span::NAME)?]),
            Signal::Logs => None,
        };
        Ok(Self { labels })
    }

    /// Brings the rows of one slice, given in the order of traces, in the order of the file. `row_of` says where in the
    /// batch a row lies, `time_of` its time.
    pub(crate) fn sort<T: Copy>(&self, rows: &mut [T], row_of: impl Fn(T) -> usize, time_of: impl Fn(T) -> i64) {
        if let Some([services, names]) = &self.labels {
            let key = |row: &T| (services.rank(row_of(*row)), names.rank(row_of(*row)), time_of(*row));
            rows.sort_by_cached_key(key);
        }
    }
}

impl<'a> Ranked<'a> {
    fn of(records: &'a RecordBatch, name: &str) -> Result<Self, ArrowError> {
        let column = column(records, name)?.as_dictionary_opt::<Int32Type>().ok_or_else(|| wrong(name))?;
        let texts = column.values().as_string_opt::<i32>().ok_or_else(|| wrong(name))?;
        let mut sorted: Vec<usize> = (0..texts.len()).collect();
        sorted.sort_by_key(|label| texts.value(*label));
        let mut ranks = vec![0; texts.len()];
        let mut rank = 0;
        for pair in 0..sorted.len() {
            if pair > 0 && texts.value(sorted[pair]) != texts.value(sorted[pair - 1]) {
                rank += 1;
            }
            ranks[sorted[pair]] = rank;
        }
        Ok(Self { column, ranks })
    }

    /// Rows without a label come first.
    fn rank(&self, row: usize) -> Option<u32> {
        self.column.key(row).map(|key| self.ranks[key])
    }
}

pub(crate) fn column<'a>(records: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, ArrowError> {
    records.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| wrong(name))
}

pub(crate) fn wrong(column: &str) -> ArrowError {
    ArrowError::SchemaError(format!("column {column} is missing or has the wrong type"))
}

/// The trace of each row; `None` where there is none.
pub(crate) fn traces(records: &RecordBatch) -> Result<impl Iterator<Item = Option<TraceId>>, ArrowError> {
    let ids = column(records, TRACE_ID)?.as_fixed_size_binary_opt().ok_or_else(|| wrong(TRACE_ID))?;
    Ok((0..ids.len()).map(|row| ids.is_valid(row).then(|| TraceId::from_slice(ids.value(row))).flatten()))
}

fn trace_at(ids: &FixedSizeBinaryArray, row: usize) -> u128 {
    if ids.is_null(row) {
        return NO_TRACE;
    }
    ids.value(row).try_into().map_or(NO_TRACE, u128::from_be_bytes)
}
