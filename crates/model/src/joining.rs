//! Several batches made one, labels deduplicated; and batches brought to one schema.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use arrow::error::ArrowError;
use foldhash::fast::RandomState;

use crate::column;

/// The rows of `batches` one after the other. Each label occurs once in its dictionary afterwards, which arrow's own
/// concatenation does not promise; without it a hundred small requests would carry a hundred copies of their resource.
///
/// # Errors
/// When the batches do not have this schema, or together hold more than 2^31 bytes of text in a column.
pub fn join(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    if let [only] = batches {
        return Ok(only.clone());
    }
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        columns.push(if parts.iter().all(|part| column::is_empty(*part)) {
            column::nulls(field.data_type(), parts.iter().map(|part| part.len()).sum())
        } else if is_label(field.data_type()) {
            join_labels(&parts)?
        } else {
            concat(&parts)?
        });
    }
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// The batch with exactly the columns of `schema`: files of older versions may lack some, or hold them in another type.
///
/// # Errors
/// When a column cannot be read as the type asked for.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
            Some(column) => cast(column, field.data_type())?,
            None => column::nulls(field.data_type(), batch.num_rows()),
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn is_label(data_type: &DataType) -> bool {
    let DataType::Dictionary(key, value) = data_type else { return false };
    **key == DataType::Int32 && **value == DataType::Utf8
}

fn join_labels(parts: &[&dyn Array]) -> Result<ArrayRef, ArrowError> {
    let rows = parts.iter().map(|part| part.len()).sum();
    let mut labels: Vec<&str> = Vec::new();
    let mut known: HashMap<&str, i32, RandomState> = HashMap::default();
    let mut keys: Vec<Option<i32>> = Vec::with_capacity(rows);
    for part in parts {
        let part = part.as_dictionary::<Int32Type>();
        if part.null_count() == part.len() {
            keys.resize(keys.len() + part.len(), None);
            continue;
        }
        let values = part.values().as_string::<i32>();
        // a label that no row uses is not carried over
        let mut moved: Vec<Option<i32>> = vec![None; values.len()];
        for key in part.keys_iter() {
            keys.push(key.filter(|key| values.is_valid(*key)).map(|key| {
                *moved[key].get_or_insert_with(|| {
                    let label = values.value(key);
                    *known.entry(label).or_insert_with(|| {
                        labels.push(label);
                        i32::try_from(labels.len() - 1).expect("a batch has fewer than 2^31 rows, hence fewer labels")
                    })
                })
            }));
        }
    }
    let values: ArrayRef = Arc::new(StringArray::from_iter_values(labels));
    Ok(Arc::new(DictionaryArray::try_new(Int32Array::from(keys), values)?))
}
