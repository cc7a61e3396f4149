//! What the catalog says of a file's rows, so that a query can leave the file closed.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int8Type, Int32Type, Int64Type, TimestampNanosecondType};
use model::signal::{self, log, span};
use model::{Signal, UnixNanos};

/// Services named per file at most; a file with more says so and is never left closed for its services.
pub const MAX_SERVICES: usize = 256;
/// Log severities from here on count as errors.
const SEVERITY_ERROR: i8 = 17;

/// Summary of a set of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Number of rows.
    pub rows: u64,
    /// Earliest event time.
    pub min_time: UnixNanos,
    /// Latest event time, included.
    pub max_time: UnixNanos,
    /// The distinct services, at most [`MAX_SERVICES`]; `None` when there were more.
    pub services: Option<BTreeSet<String>>,
    /// Spans with an error status, or log records of severity error and above.
    pub error_count: u64,
    /// Longest span; 0 for logs.
    pub max_duration_nanos: i64,
}

impl Zone {
    pub(crate) fn empty() -> Self {
        Self {
            rows: 0,
            min_time: UnixNanos(i64::MAX),
            max_time: UnixNanos(i64::MIN),
            services: Some(BTreeSet::new()),
            error_count: 0,
            max_duration_nanos: 0,
        }
    }

    /// Takes the rows of `batch` into account. A missing column counts as nothing known.
    pub(crate) fn add(&mut self, signal: Signal, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        if let Some((min, max)) = time_bounds(signal, batch) {
            self.min_time = self.min_time.min(min);
            self.max_time = self.max_time.max(max);
        }
        self.add_services(batch);
        match signal {
            Signal::Spans => {
                self.error_count += count_codes(batch, span::STATUS_CODE, |code| code == span::STATUS_ERROR);
                let durations = batch.column_by_name(span::DURATION_NANOS);
                let durations = durations.and_then(|column| column.as_primitive_opt::<Int64Type>());
                let longest = durations.and_then(arrow::compute::max).unwrap_or(0);
                self.max_duration_nanos = self.max_duration_nanos.max(longest);
            }
            Signal::Logs => {
                self.error_count += count_codes(batch, log::SEVERITY_NUMBER, |number| number >= SEVERITY_ERROR);
            }
        }
    }

    fn add_services(&mut self, batch: &RecordBatch) {
        let column = batch.column_by_name(signal::SERVICE);
        let labels = column.and_then(|column| column.as_dictionary_opt::<Int32Type>());
        let Some((labels, names)) = labels.and_then(|found| Some((found, found.values().as_string_opt::<i32>()?)))
        else {
            self.services = None;
            return;
        };
        let mut used = vec![false; names.len()];
        for key in labels.keys_iter().flatten() {
            used[key] = true;
        }
        let Some(services) = &mut self.services else { return };
        for (key, _) in used.iter().enumerate().filter(|(_, used)| **used) {
            if !services.contains(names.value(key)) {
                services.insert(names.value(key).to_owned());
            }
        }
        if services.len() > MAX_SERVICES {
            self.services = None;
        }
    }
}

/// Earliest and latest event time of a batch; `None` when it has no row.
pub(crate) fn time_bounds(signal: Signal, batch: &RecordBatch) -> Option<(UnixNanos, UnixNanos)> {
    let times = batch.column_by_name(signal.time_column())?.as_primitive_opt::<TimestampNanosecondType>()?;
    Some((UnixNanos(arrow::compute::min(times)?), UnixNanos(arrow::compute::max(times)?)))
}

fn count_codes(batch: &RecordBatch, column: &str, counts: impl Fn(i8) -> bool) -> u64 {
    let codes = batch.column_by_name(column).and_then(|column| column.as_primitive_opt::<Int8Type>());
    codes.map_or(0, |codes| codes.values().iter().filter(|code| counts(**code)).count() as u64)
}
