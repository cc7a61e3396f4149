//! Columns in which nothing stands, which most columns of most batches are.

use std::sync::LazyLock;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};

use crate::Signal;

/// Rows of a column of nulls that is shared; longer ones are made anew. At most 2 MiB a type, of which an operating
/// system that maps memory when it is touched keeps next to nothing.
const SHARED_ROWS: usize = 1 << 18;

/// What a column takes without its values: the largest array type, and its counts.
const HANDLE_BYTES: u64 = 192;

/// One column of nulls for every type a stored event has.
static SHARED: LazyLock<Vec<ArrayRef>> = LazyLock::new(|| {
    let schemas: [SchemaRef; Signal::ALL.len()] = Signal::ALL.map(Signal::stored_schema);
    let mut shared: Vec<ArrayRef> = Vec::new();
    for field in schemas.iter().flat_map(|schema| schema.fields()).filter(|field| field.is_nullable()) {
        if !shared.iter().any(|column| column.data_type() == field.data_type()) {
            shared.push(new_null_array(field.data_type(), SHARED_ROWS));
        }
    }
    shared
});

/// A column of `rows` nulls. Columns of one type share their memory.
pub fn nulls(data_type: &DataType, rows: usize) -> ArrayRef {
    let shared = SHARED.iter().find(|column| rows <= SHARED_ROWS && column.data_type() == data_type);
    shared.map_or_else(|| new_null_array(data_type, rows), |column| column.slice(0, rows))
}

/// Whether nothing stands in a column.
pub fn is_empty(column: &dyn Array) -> bool {
    column.null_count() == column.len()
}

/// Bytes that the columns of a batch take in memory. One in which nothing stands counts as its handle alone, since what
/// is behind it is shared (see [`nulls`]).
pub fn memory_bytes(records: &RecordBatch) -> u64 {
    let bytes = |column: &ArrayRef| if is_empty(column) { HANDLE_BYTES } else { column.get_array_memory_size() as u64 };
    records.columns().iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::{Field, Schema};

    use super::*;

    #[test]
    fn columns_of_nulls_share_their_memory_and_are_as_long_as_asked() {
        for field in Signal::Spans.stored_schema().fields() {
            let (few, many) = (nulls(field.data_type(), 3), nulls(field.data_type(), SHARED_ROWS + 1));
            assert_eq!((few.len(), few.null_count()), (3, 3), "{field}");
            assert_eq!((many.len(), many.null_count()), (SHARED_ROWS + 1, SHARED_ROWS + 1), "{field}");
            assert_eq!(few.data_type(), field.data_type());
        }
    }

    #[test]
    fn a_column_counts_from_its_first_value_on() {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Int64, true)]);
        let full: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let columns = vec![nulls(&DataType::Int64, 2), Arc::clone(&full)];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).expect("fits");
        assert_eq!(memory_bytes(&batch), HANDLE_BYTES + full.get_array_memory_size() as u64);
    }
}
