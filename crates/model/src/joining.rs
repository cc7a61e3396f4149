//! Several batches made one, labels deduplicated; and batches brought to one schema.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, NullBufferBuilder, RecordBatch, RecordBatchOptions,
    StringArray,
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

/// Stands for a label that no row has used yet.
const UNUSED: i32 = -1;

fn join_labels(parts: &[&dyn Array]) -> Result<ArrayRef, ArrowError> {
    let rows = parts.iter().map(|part| part.len()).sum();
    let mut labels: Vec<&str> = Vec::new();
    let mut known: HashMap<&str, i32, RandomState> = HashMap::default();
    let mut keys: Vec<i32> = Vec::with_capacity(rows);
    let mut nulls = NullBufferBuilder::new(rows);
    for part in parts {
        let part = part.as_dictionary::<Int32Type>();
        let values = part.values().as_string::<i32>();
        // a label that no row uses is not carried over
        let mut moved = vec![UNUSED; values.len()];
        let mut place = |key: i32| {
            let place = &mut moved[key as usize];
            if *place == UNUSED {
                let label = values.value(key as usize);
                *place = *known.entry(label).or_insert_with(|| {
                    labels.push(label);
                    i32::try_from(labels.len() - 1).expect("a batch has fewer than 2^31 rows, hence fewer labels")
                });
            }
            *place
        };
        let part_keys = part.keys().values().iter();
        match part.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            None => {
                keys.extend(part_keys.map(|key| place(*key)));
                nulls.append_n_non_nulls(part.len());
            }
            Some(absent) => {
                keys.extend(part_keys.zip(&absent).map(|(key, is_there)| if is_there { place(*key) } else { 0 }));
                nulls.append_buffer(&absent);
            }
        }
    }
    let keys = Int32Array::new(keys.into(), nulls.finish());
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(StringArray::from_iter_values(labels)))?))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::signal::label_type;

    fn texts(column: &ArrayRef) -> Vec<Option<String>> {
        let plain = cast(column, &DataType::Utf8).expect("labels are texts");
        plain.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn joined_labels_are_those_of_the_parts_each_once_and_no_others() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("label", label_type(), true)]));
        let labelled = |labels: &[&str], keys: Vec<Option<i32>>| -> RecordBatch {
            let values = Arc::new(StringArray::from_iter_values(labels));
            let column = DictionaryArray::try_new(Int32Array::from(keys), values).expect("keys fit");
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(column)]).expect("fits")
        };
        let parts = [
            labelled(&["a", "unused", "b"], vec![Some(2), Some(0), Some(2)]),
            labelled(&["b", "c"], vec![None, Some(1), Some(0), None]),
            labelled(&[], vec![None, None]),
            labelled(&["c"], vec![Some(0)]).slice(0, 1),
            labelled(&["d", "a", "e"], vec![Some(2), None, Some(1)]).slice(1, 2),
        ];
        let expected: Vec<_> = parts.iter().flat_map(|part| texts(part.column(0))).collect();
        let joined = join(&schema, &parts).expect("joined");
        assert_eq!(texts(joined.column(0)), expected);
        let mut labels: Vec<_> =
            joined.column(0).as_dictionary::<Int32Type>().values().as_string::<i32>().iter().collect();
        labels.sort_unstable();
        assert_eq!(labels, [Some("a"), Some("b"), Some("c")], "what no row uses is not carried over");
    }
}
