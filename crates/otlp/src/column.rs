//! Column builders that cost nothing for rows, and for whole columns, that hold nothing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, DictionaryArray, Int32Array, Int64Builder, StringArray, StringBuilder,
    StringDictionaryBuilder, UInt32Builder, new_null_array,
};
use arrow::datatypes::{DataType, Int32Type};
use model::signal::label_type;

/// A builder that is made at the first value and filled up with nulls only when a later row has one.
macro_rules! sparse_column {
    ($(#[$doc:meta])* $name:ident, $builder:ty, $new:expr, $value:ty, $data_type:expr) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $name(Option<$builder>);

        impl $name {
            /// Sets the value of `row` and says so; a row that has a value keeps it. Rows come in rising order.
            pub fn put(&mut self, row: usize, value: $value) -> bool {
                use arrow::array::ArrayBuilder as _;
                let builder = self.0.get_or_insert_with(|| $new);
                let Some(nulls) = row.checked_sub(builder.len()) else { return false };
                builder.append_nulls(nulls);
                builder.append_value(value);
                true
            }

            /// The finished column of `rows` rows.
            pub fn finish(self, rows: usize) -> ArrayRef {
                use arrow::array::ArrayBuilder as _;
                let Some(mut builder) = self.0 else { return new_null_array(&$data_type, rows) };
                builder.append_nulls(rows - builder.len());
                Arc::new(builder.finish())
            }
        }
    };
}

sparse_column!(
    /// Text that repeats.
    Labels, StringDictionaryBuilder<Int32Type>, StringDictionaryBuilder::with_capacity(256, 32, 512), &str, label_type()
);
sparse_column!(
    /// Text that rarely repeats.
    Texts, StringBuilder, StringBuilder::with_capacity(256, 4096), &str, DataType::Utf8
);
sparse_column!(
    /// 64-bit integers.
    Ints, Int64Builder, Int64Builder::with_capacity(256), i64, DataType::Int64
);
sparse_column!(
    /// 32-bit counts.
    Counts, UInt32Builder, UInt32Builder::with_capacity(256), u32, DataType::UInt32
);
sparse_column!(
    /// Bytes.
    Blobs, BinaryBuilder, BinaryBuilder::with_capacity(256, 4096), &[u8], DataType::Binary
);

impl Counts {
    /// Sets the count of `row`; 0 stays null.
    pub fn put_nonzero(&mut self, row: usize, count: u32) {
        if count > 0 {
            self.put(row, count);
        }
    }
}

impl Texts {
    /// Sets the text of `row`; an empty one stays null.
    pub fn put_nonempty(&mut self, row: usize, text: &str) {
        if !text.is_empty() {
            self.put(row, text);
        }
    }
}

impl Labels {
    /// Sets the text of `row`; an empty one stays null.
    pub fn put_nonempty(&mut self, row: usize, text: &str) {
        if !text.is_empty() {
            self.put(row, text);
        }
    }
}

/// Text that stays the same over many rows, hashed once per change instead of once per row.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    ids: HashMap<String, i32>,
    values: Vec<String>,
    keys: Vec<Option<i32>>,
    current: Option<i32>,
}

impl Runs {
    /// The text of the rows to come; `None` for null.
    pub fn set(&mut self, text: Option<&str>) {
        self.current = text.map(|text| {
            if let Some(&id) = self.ids.get(text) {
                return id;
            }
            let id = i32::try_from(self.values.len()).expect("a request has fewer than 2^31 resources");
            self.values.push(text.to_owned());
            self.ids.insert(text.to_owned(), id);
            id
        });
    }

    /// Adds a row with the current text.
    pub fn push(&mut self) {
        self.keys.push(self.current);
    }

    /// The finished column.
    pub fn finish(self) -> ArrayRef {
        let values = StringArray::from_iter_values(&self.values);
        let keys = Int32Array::from(self.keys);
        Arc::new(DictionaryArray::new(keys, Arc::new(values)))
    }
}
