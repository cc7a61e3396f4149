//! Column builders that cost nothing for rows, and for whole columns, that hold nothing.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, DictionaryArray, Int32Array, Int64Builder, ListArray, StringArray, StringBuilder,
    UInt32Builder,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use foldhash::fast::RandomState;
use model::attribute::{self, Value};
use model::column::nulls;
use model::signal::label_type;

/// Bytes that a text is expected to have; a column of longer ones grows.
const TEXT_BYTES: usize = 16;

/// A builder that is made at the first value and filled up with nulls only when a later row has one.
macro_rules! sparse_column {
    ($(#[$doc:meta])* $name:ident, $builder:ty, $new:expr, $value:ty, $data_type:expr) => {
        $(#[$doc])*
        pub(crate) struct $name {
            builder: Option<$builder>,
            rows_expected: usize,
        }

        impl $name {
            /// A column for about so many rows.
            pub fn new(rows_expected: usize) -> Self {
                Self { builder: None, rows_expected }
            }

            /// Sets the value of `row` and says so; a row that has a value keeps it. Rows come in rising order.
            pub fn put(&mut self, row: usize, value: $value) -> bool {
                use arrow::array::ArrayBuilder as _;
                let builder = self.builder.get_or_insert_with(|| $new(self.rows_expected));
                let Some(nulls) = row.checked_sub(builder.len()) else { return false };
                builder.append_nulls(nulls);
                builder.append_value(value);
                true
            }

            /// The finished column of `rows` rows.
            pub fn finish(self, rows: usize) -> ArrayRef {
                use arrow::array::ArrayBuilder as _;
                let Some(mut builder) = self.builder else { return nulls(&$data_type, rows) };
                builder.append_nulls(rows - builder.len());
                Arc::new(builder.finish())
            }
        }
    };
}

sparse_column!(
    /// Text that rarely repeats.
    Texts, StringBuilder, |rows| StringBuilder::with_capacity(rows, rows * TEXT_BYTES), &str, DataType::Utf8
);
sparse_column!(
    /// 64-bit integers.
    Ints, Int64Builder, Int64Builder::with_capacity, i64, DataType::Int64
);
sparse_column!(
    /// 32-bit counts.
    Counts, UInt32Builder, UInt32Builder::with_capacity, u32, DataType::UInt32
);
sparse_column!(
    /// Bytes.
    Blobs, BinaryBuilder, |rows| BinaryBuilder::with_capacity(rows, rows * TEXT_BYTES), &[u8], DataType::Binary
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

/// Key of a row without a label.
const NO_LABEL: i32 = -1;

/// Text that repeats: every distinct text is stored once, in the order of first sight.
#[derive(Debug, Default)]
pub(crate) struct Labels<'a> {
    ids: HashMap<&'a str, i32, RandomState>,
    values: Vec<&'a str>,
    keys: Vec<i32>,
    rows_expected: usize,
}

impl<'a> Labels<'a> {
    /// A column for about so many rows.
    pub fn new(rows_expected: usize) -> Self {
        Self { rows_expected, ..Self::default() }
    }

    /// Sets the text of `row` and gives its id; `None` when the row has one already. Rows come in rising order.
    pub fn put(&mut self, row: usize, text: &'a str) -> Option<i32> {
        if row < self.keys.len() {
            return None;
        }
        if self.values.is_empty() {
            self.keys.reserve(self.rows_expected);
        }
        let id = *self.ids.entry(text).or_insert_with(|| {
            self.values.push(text);
            self.values.len() as i32 - 1
        });
        self.put_id(row, id).then_some(id)
    }

    /// Sets the text of `row` to one that was put before, and says so; a row that has one keeps it.
    pub fn put_id(&mut self, row: usize, id: i32) -> bool {
        if row < self.keys.len() {
            return false;
        }
        self.keys.resize(row, NO_LABEL);
        self.keys.push(id);
        true
    }

    /// Sets the text of `row`; an empty one stays null.
    pub fn put_nonempty(&mut self, row: usize, text: &'a str) {
        if !text.is_empty() {
            self.put(row, text);
        }
    }

    /// The finished column of `rows` rows.
    pub fn finish(mut self, rows: usize) -> ArrayRef {
        if self.values.is_empty() {
            return nulls(&label_type(), rows);
        }
        self.keys.resize(rows, NO_LABEL);
        labels(self.keys, &self.values)
    }
}

/// A dictionary column; [`NO_LABEL`] is null.
fn labels(mut keys: Vec<i32>, values: &[impl AsRef<str>]) -> ArrayRef {
    let present = BooleanBuffer::collect_bool(keys.len(), |row| keys[row] != NO_LABEL);
    keys.iter_mut().for_each(|key| *key = (*key).max(0));
    let nulls = Some(NullBuffer::new(present)).filter(|nulls| nulls.null_count() > 0);
    let keys = Int32Array::new(ScalarBuffer::from(keys), nulls);
    Arc::new(DictionaryArray::new(keys, Arc::new(StringArray::from_iter_values(values))))
}

/// A list of attribute entries per row. An entry that stands already is copied from where it stands.
#[derive(Debug)]
pub(crate) struct Entries {
    text: String,
    ends: Vec<i32>,
    rows: Vec<i32>,
}

impl Entries {
    /// Room for `rows` rows of a few entries each.
    pub fn with_capacity(rows: usize) -> Self {
        let mut entries = Self {
            text: String::with_capacity(rows * 128),
            ends: Vec::with_capacity(rows * 4),
            rows: Vec::with_capacity(rows + 1),
        };
        entries.ends.push(0);
        entries.rows.push(0);
        entries
    }

    /// Adds an entry to the row being built, and says where it stands.
    pub fn push(&mut self, key: &str, value: &Value<'_>) -> Range<usize> {
        let start = self.text.len();
        attribute::push_entry(&mut self.text, key, value);
        self.end_entry();
        start..self.text.len()
    }

    /// Adds an entry that stands at `range` once more.
    pub fn repeat(&mut self, range: Range<usize>) {
        self.text.extend_from_within(range);
        self.end_entry();
    }

    fn end_entry(&mut self) {
        self.ends.push(i32::try_from(self.text.len()).expect("a payload's entries stay under 2 GiB"));
    }

    /// Completes the row being built.
    pub fn end_row(&mut self) {
        self.rows.push(self.ends.len() as i32 - 1);
    }

    /// The finished column.
    pub fn finish(self) -> ArrayRef {
        let ends = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let entries = StringArray::new(ends, self.text.into_bytes().into(), None);
        let rows = OffsetBuffer::new(ScalarBuffer::from(self.rows));
        let item = Arc::new(Field::new("item", DataType::Utf8, false));
        Arc::new(ListArray::new(item, rows, Arc::new(entries), None))
    }
}

/// Text that stays the same over many rows, looked up once per change and written at the end.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    ids: HashMap<String, i32, RandomState>,
    values: Vec<String>,
    /// Where each run begins, with its key.
    runs: Vec<(usize, i32)>,
}

impl Runs {
    /// The text of the rows from `row` on; `None` for null.
    pub fn set(&mut self, row: usize, text: Option<&str>) {
        let key = text.map_or(NO_LABEL, |text| {
            if let Some(&id) = self.ids.get(text) {
                return id;
            }
            let id = i32::try_from(self.values.len()).expect("a request has fewer than 2^31 resources");
            self.values.push(text.to_owned());
            self.ids.insert(text.to_owned(), id);
            id
        });
        self.runs.push((row, key));
    }

    /// The finished column of `rows` rows.
    pub fn finish(self, rows: usize) -> ArrayRef {
        let mut keys = Vec::with_capacity(rows);
        let mut current = NO_LABEL;
        for (row, key) in self.runs {
            keys.resize(row, current);
            current = key;
        }
        keys.resize(rows, current);
        labels(keys, &self.values)
    }
}
