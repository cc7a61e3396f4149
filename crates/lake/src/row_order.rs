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
pub const SLICE_ROWS: usize = 16_384;
/// Slices of a row group; the last one of a file may have fewer.
pub const GROUP_SLICES: usize = 8;
/// Stands for "no trace"; an all-zero id is never stored.
const NO_TRACE: u128 = 0;

/// Slices of a file with so many rows.
pub fn slices_of(rows: u64) -> usize {
    usize::try_from(rows.div_ceil(SLICE_ROWS as u64)).unwrap_or(usize::MAX)
}

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
        Ok(match signal {
            Signal::Spans => self.trace_by_trace(),
            Signal::Logs => {
                let mut order: Vec<u32> = (0..rows).collect();
                order.sort_by_key(|&row| self.time(row));
                order
            }
        })
    }

    /// Sorts the traces, of which there are far fewer than rows, and lays the rows of each out behind the others'.
    fn trace_by_trace(&self) -> Vec<u32> {
        let mut number_of: HashMap<u128, u32, RandomState> = HashMap::default();
        // first seen, id and number of rows of each trace
        let mut traces: Vec<(i64, u128, u32)> = Vec::new();
        let mut trace_of: Vec<u32> = Vec::with_capacity(self.traces.len());
        for (trace, time) in self.traces.iter().zip(&self.times) {
            let number = *number_of.entry(*trace).or_insert_with(|| {
                traces.push((*time, *trace, 0));
                traces.len() as u32 - 1
            });
            let (first_seen, _, rows) = &mut traces[number as usize];
            *first_seen = (*first_seen).min(*time);
            *rows += 1;
            trace_of.push(number);
        }
        let mut sorted: Vec<u32> = (0..traces.len() as u32).collect();
        sorted.sort_unstable_by_key(|number| (traces[*number as usize].0, traces[*number as usize].1));
        let mut starts = vec![0_usize; traces.len()];
        let mut next = 0;
        for number in &sorted {
            starts[*number as usize] = next;
            next += traces[*number as usize].2 as usize;
        }
        let mut order = vec![0; trace_of.len()];
        let mut free = starts.clone();
        for (row, number) in (0_u32..).zip(&trace_of) {
            order[free[*number as usize]] = row;
            free[*number as usize] += 1;
        }
        for (start, (_, _, rows)) in starts.iter().zip(&traces) {
            order[*start..*start + *rows as usize].sort_by_key(|row| self.time(*row));
        }
        order
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
