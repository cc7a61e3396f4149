//! Spans that were sent twice.
//!
//! A client that never saw our acknowledgement sends the same spans again. The collector knows a request that comes
//! again for a while; what comes later, or packed otherwise, is kept twice. Here such copies fold into one. Only true
//! copies do: two spans that share an id and differ in anything else (Zipkin-style clients and servers do that) are two
//! spans.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{AsArray, FixedSizeBinaryArray, Int64Array, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{SchemaRef, TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use model::signal::{KEY_ID, RECEIVED_TIME, ROW, SEQ, SERVICE_VERIFIED, SPAN_ID, TRACE_ID, span};
use model::view::ViewError;

use crate::QueryError;

/// Columns that say how a span came here and where it lies, not what it is.
const ARRIVAL: [&str; 8] =
    [SEQ, ROW, RECEIVED_TIME, KEY_ID, SERVICE_VERIFIED, span::NESTED_LEFT, span::NESTED_RIGHT, span::DEPTH];

/// A row of a batch.
type Place = (usize, usize);

/// The rows of all batches as one, copies folded, in order of start time. Of copies the one received first stays.
///
/// The batches have the same schema with at least trace id, span id, start time and log position; copies are told by
/// the columns that are there.
pub(crate) fn fold(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, QueryError> {
    let columns: Vec<Columns<'_>> = batches.iter().map(Columns::of).collect::<Result<_, _>>()?;
    let mut first: HashMap<(&[u8], &[u8]), Place> = HashMap::new();
    let mut shared: HashMap<(&[u8], &[u8]), Vec<Place>> = HashMap::new();
    let mut kept: Vec<Place> = Vec::new();
    for (batch, columns) in columns.iter().enumerate() {
        for row in 0..columns.starts.len() {
            let id = (columns.traces.value(row), columns.spans.value(row));
            match first.entry(id) {
                Entry::Vacant(free) => {
                    free.insert((batch, row));
                    kept.push((batch, row));
                }
                Entry::Occupied(taken) => {
                    shared.entry(id).or_insert_with(|| vec![*taken.get()]).push((batch, row));
                }
            }
        }
    }
    if !shared.is_empty() {
        let sharing: std::collections::HashSet<Place> = shared.values().flatten().copied().collect();
        kept.retain(|place| !sharing.contains(place));
        let mut groups: Vec<Vec<Place>> = shared.into_values().collect();
        for group in &mut groups {
            group.sort_by_key(|place| columns[place.0].seqs.value(place.1));
        }
        kept.extend(without_copies(batches, &groups)?);
    }
    // equal start times fall back to the span id, so that the order does not depend on where rows were found
    kept.sort_by_key(|&(batch, row)| (columns[batch].starts.value(row), columns[batch].spans.value(row)));
    if kept.is_empty() {
        return Ok(RecordBatch::new_empty(schema.clone()));
    }
    Ok(interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &kept)?)
}

struct Columns<'a> {
    traces: &'a FixedSizeBinaryArray,
    spans: &'a FixedSizeBinaryArray,
    starts: Int64Array,
    seqs: &'a arrow::array::UInt64Array,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, ViewError> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| ViewError(name.to_owned()));
        let bytes = |name: &str| column(name)?.as_fixed_size_binary_opt().ok_or_else(|| ViewError(name.to_owned()));
        let starts = column(span::START_TIME)?.as_primitive_opt::<TimestampNanosecondType>();
        let starts = starts.ok_or_else(|| ViewError(span::START_TIME.to_owned()))?;
        let seqs = column(SEQ)?.as_primitive_opt::<UInt64Type>().ok_or_else(|| ViewError(SEQ.to_owned()))?;
        Ok(Self { traces: bytes(TRACE_ID)?, spans: bytes(SPAN_ID)?, starts: starts.reinterpret_cast(), seqs })
    }
}

/// Of each group of rows with the same ids, the first of every distinct content.
fn without_copies(batches: &[RecordBatch], groups: &[Vec<Place>]) -> Result<Vec<Place>, ArrowError> {
    let schema = batches[0].schema();
    let content: Vec<usize> =
        (0..schema.fields().len()).filter(|index| !ARRIVAL.contains(&schema.field(*index).name().as_str())).collect();
    let projected: Vec<RecordBatch> =
        batches.iter().map(|batch| batch.project(&content)).collect::<Result<_, ArrowError>>()?;
    let places: Vec<Place> = groups.iter().flatten().copied().collect();
    let gathered = interleave_record_batch(&projected.iter().collect::<Vec<_>>(), &places)?;
    let fields = gathered.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(gathered.columns())?;
    let mut kept = Vec::new();
    let mut next = 0;
    for group in groups {
        let mut seen = std::collections::HashSet::new();
        for place in group {
            if seen.insert(rows.row(next)) {
                kept.push(*place);
            }
            next += 1;
        }
    }
    Ok(kept)
}
