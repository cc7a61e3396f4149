//! Rows of given traces, without SQL: the index of each batch in memory, the index beside each file.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, SchemaRef, TimestampNanosecondType};
use lake::{FileEntry, Promoted, Snapshot};
use model::signal::{ATTRS_REST, TRACE_ID, span};
use model::{TraceId, UnixNanos, conform};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowFilter, RowSelection, RowSelector,
};
use runtime::metric;
use tokio::time::Instant;

use crate::QueryError;
use crate::footer::{self, Footers};

/// Rows decoded at once.
const BATCH_ROWS: usize = 8_192;

/// What to look for.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub traces: Vec<TraceId>,
    /// The columns to bring, part of the stored schema; trace id among them.
    pub schema: SchemaRef,
    /// Rows to bring at most.
    pub max_rows: usize,
    /// Files that end so long before the earliest row found are not looked at any more.
    pub max_gap_nanos: i64,
    /// When to give up.
    pub deadline: Instant,
}

/// Rows found; resent spans are still in twice.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub batches: Vec<RecordBatch>,
    /// There were more rows than wanted.
    pub truncated: bool,
}

impl Lookup {
    /// Reads the rows, memory first, then files from the newest to the oldest. Blocking.
    ///
    /// # Errors
    /// [`QueryError::File`], [`QueryError::Unreachable`], [`QueryError::Columns`], [`QueryError::Timeout`] past the deadline.
    pub(crate) fn run(&self, snapshot: &Snapshot, footers: &Footers) -> Result<Found, QueryError> {
        let mut found = Found::default();
        let mut room = self.max_rows;
        for frozen in snapshot.frozen() {
            let mut rows: Vec<u32> = self.traces.iter().flat_map(|trace| frozen.rows_of_trace(*trace)).collect();
            rows.sort_unstable();
            found.truncated |= rows.len() > room;
            rows.truncate(room);
            room -= rows.len();
            if !rows.is_empty() {
                let wanted = conform(frozen.records(), &self.schema)?;
                found.batches.push(take_record_batch(&wanted, &UInt32Array::from(rows))?);
            }
        }
        let traces = Arc::new(self.traces.iter().map(|trace| trace.0).collect::<HashSet<_>>());
        for entry in &snapshot.files {
            if found.truncated {
                break;
            }
            if Instant::now() >= self.deadline {
                // whoever set the deadline puts the limit in
                return Err(QueryError::Timeout { limit: Duration::ZERO });
            }
            if is_past_gap(earliest(&found.batches), entry, self.max_gap_nanos) {
                break;
            }
            let all = || std::iter::once(0..entry.zone.rows).collect();
            let known = footers.rows_of(entry, &self.traces);
            let is_checked = known.is_some() && footers.wants_check();
            let rows: Vec<Range<u64>> = known.unwrap_or_else(all);
            if rows.is_empty() && !is_checked {
                continue;
            }
            QueryError::of_damage(snapshot, entry)?;
            let footer = footers.footer(snapshot, entry)?;
            let mut batches = self.read(snapshot, entry, &footer, &rows, &traces, room + 1)?;
            if is_checked {
                let scanned = self.read(snapshot, entry, &footer, &all(), &traces, room + 1)?;
                metrics::counter!(metric::LAKE_INDEX_CHECKS).increment(1);
                if count(&scanned) != count(&batches) {
                    metrics::counter!(metric::LAKE_INDEX_LIES).increment(1);
                    tracing::error!(file = entry.name, "the index denies rows that are there and is not used any more");
                    footers.distrust(&entry.name);
                    batches = scanned;
                }
            }
            keep(batches, &mut room, &mut found);
        }
        Ok(found)
    }

    fn read(
        &self,
        snapshot: &Snapshot,
        entry: &Arc<FileEntry>,
        footer: &ArrowReaderMetadata,
        rows: &[Range<u64>],
        traces: &Arc<HashSet<[u8; 16]>>,
        limit: usize,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        let columns = footer.parquet_schema();
        let names = self.schema.fields().iter().map(|field| field.name().as_str());
        let (groups, selection) = selected(footer, rows);
        let empty = empty_columns(footer, &groups);
        // names are matched as top-level columns: an attribute name may contain dots
        let promoted = Promoted::of(footer.schema()).filter(|_| self.schema.index_of(ATTRS_REST).is_ok());
        let beside: Vec<(String, DataType)> = promoted.iter().flat_map(Promoted::columns).collect();
        let names = names.chain(beside.iter().map(|(name, _)| name.as_str()));
        let tops = names.filter_map(|name| footer.schema().index_of(name).ok()).filter(|top| !empty.contains(top));
        let tops: Vec<usize> = tops.collect();
        let traces = Arc::clone(traces);
        let trace_column = footer.schema().index_of(TRACE_ID)?;
        let only_trace = ProjectionMask::roots(columns, [trace_column]);
        let matches = ArrowPredicateFn::new(only_trace, move |batch| Ok(matching(batch.column(0), &traces)));
        let mask = ProjectionMask::roots(columns, tops);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(footer::open(snapshot, entry)?, footer.clone())
            .with_row_groups(groups)
            .with_row_selection(selection)
            .with_projection(mask)
            .with_row_filter(RowFilter::new(vec![Box::new(matches)]))
            .with_batch_size(BATCH_ROWS)
            .with_limit(limit)
            .build()
            .map_err(|error| footer::unreadable(entry, &error))?;
        let mut batches = Vec::new();
        for batch in reader {
            let batch = batch.map_err(|error| footer::unreadable(entry, &error))?;
            let batch = promoted.as_ref().map_or(Ok(batch.clone()), |promoted| promoted.restore(&batch))?;
            batches.push(conform(&batch, &self.schema)?);
        }
        Ok(batches)
    }
}

/// The row groups that hold any of the rows, and which of their rows those are.
fn selected(footer: &ArrowReaderMetadata, rows: &[Range<u64>]) -> (Vec<usize>, RowSelection) {
    let (mut groups, mut selectors) = (Vec::new(), Vec::new());
    let mut start = 0;
    for (number, group) in footer.metadata().row_groups().iter().enumerate() {
        let end = start + group.num_rows().unsigned_abs();
        let mut at = start;
        for range in rows.iter().filter(|range| range.start < end && start < range.end) {
            let (from, to) = (range.start.max(start), range.end.min(end));
            selectors.push(RowSelector::skip((from - at) as usize));
            selectors.push(RowSelector::select((to - from) as usize));
            at = to;
        }
        if at > start {
            groups.push(number);
            selectors.push(RowSelector::skip((end - at) as usize));
        }
        start = end;
    }
    (groups, RowSelection::from(selectors))
}

/// Columns in which nothing stands in any of these row groups, as most attributes are in most files: they need not be
/// read to be known.
fn empty_columns(footer: &ArrowReaderMetadata, groups: &[usize]) -> HashSet<usize> {
    let schema = footer.parquet_schema();
    let is_empty = |leaf: &usize| {
        // a list counts its entries, not its rows
        schema.column(*leaf).path().parts().len() == 1
            && groups.iter().all(|group| {
                let group = footer.metadata().row_group(*group);
                let nulls = group.column(*leaf).statistics().and_then(|statistics| statistics.null_count_opt());
                nulls == Some(group.num_rows().unsigned_abs())
            })
    };
    (0..schema.num_columns()).filter(is_empty).map(|leaf| schema.get_column_root_idx(leaf)).collect()
}

fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

fn keep(batches: Vec<RecordBatch>, room: &mut usize, found: &mut Found) {
    for batch in batches {
        let rows = batch.num_rows().min(*room);
        found.truncated |= batch.num_rows() > rows;
        *room -= rows;
        if rows > 0 {
            found.batches.push(batch.slice(0, rows));
        }
    }
}

/// The earliest start among the rows found; `None` when there is none.
fn earliest(batches: &[RecordBatch]) -> Option<UnixNanos> {
    let starts = batches.iter().filter_map(|batch| batch.column_by_name(span::START_TIME));
    let starts = starts.filter_map(|column| column.as_primitive_opt::<TimestampNanosecondType>());
    starts.filter_map(arrow::compute::min).min().map(UnixNanos)
}

/// Files come with the latest first, so nothing of the trace is expected behind this one either.
fn is_past_gap(earliest: Option<UnixNanos>, entry: &FileEntry, max_gap_nanos: i64) -> bool {
    earliest.is_some_and(|earliest| entry.zone.max_time < earliest.plus(-max_gap_nanos))
}

fn matching(column: &ArrayRef, traces: &HashSet<[u8; 16]>) -> BooleanArray {
    let Some(ids) = column.as_fixed_size_binary_opt() else { return BooleanArray::from(vec![false; column.len()]) };
    if let (1, Some(only)) = (traces.len(), traces.iter().next()) {
        return ids.iter().map(|id| Some(id == Some(&only[..]))).collect();
    }
    ids.iter().map(|id| Some(id.is_some_and(|id| traces.contains(id)))).collect()
}
