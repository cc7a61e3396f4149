//! The promoted columns of one file, as a reader meets them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch,
    RecordBatchOptions, StringArray, StringBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, Schema};
use arrow::error::ArrowError;
use model::attribute::{ENTRY_SEPARATOR, Value, entry_prefix};
use model::signal::{ATTRS_REST, label_type};

use super::split::REST_MARK;
use super::{ORDER, PromotedKey, REST_KEYS};
use crate::row_order::wrong;

/// What a file has beside the stored schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Promoted {
    /// In the order in which their entries are put back.
    keys: Vec<PromotedKey>,
    /// Keys in the residual list, as entries write them; `None` when that is not known.
    rest_keys: Option<BTreeSet<String>>,
}

impl Promoted {
    /// Looks at the schema of a file; `None` when it has the stored schema and nothing is known of its residual list.
    pub fn of(schema: &Schema) -> Option<Self> {
        let keys: Vec<_> = schema.fields().iter().filter_map(|field| PromotedKey::of_column(field.name())).collect();
        let rest_keys = schema.metadata().get(REST_KEYS).and_then(|text| serde_json::from_str(text).ok());
        (!keys.is_empty() || rest_keys.is_some()).then_some(Self { keys, rest_keys })
    }

    /// Every key with a column, in the order of the columns.
    pub fn keys(&self) -> &[PromotedKey] {
        &self.keys
    }

    /// The columns of one attribute, of which a row has at most one.
    pub fn columns_of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a PromotedKey> {
        self.keys.iter().filter(move |promoted| promoted.key == key)
    }

    /// Whether some row may have an entry of this key in its residual list.
    pub fn may_be_in_rest(&self, key: &str) -> bool {
        let prefix = entry_prefix(key);
        let key = prefix.trim_end_matches(ENTRY_SEPARATOR);
        self.rest_keys.as_ref().is_none_or(|keys| keys.contains(key))
    }

    /// Every column that [`Promoted::entries`] takes, in its order, with the type it must have.
    pub fn columns(&self) -> Vec<(String, DataType)> {
        let order = (ORDER.to_owned(), label_type());
        std::iter::once(order).chain(self.keys.iter().map(|key| (key.column(), key.data_type()))).collect()
    }

    /// The batch as the stored schema has it: the entries of promoted columns are back in the residual list, where they
    /// were. Columns that the batch lacks count as empty.
    ///
    /// # Errors
    /// When a column has another type than its name says, or the order of a row is none.
    pub fn restore(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let schema = batch.schema();
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            if field.name() == ORDER || PromotedKey::of_column(field.name()).is_some() {
                continue;
            }
            fields.push(Arc::clone(field));
            if field.name() == ATTRS_REST && !self.keys.is_empty() {
                let beside: Vec<Option<&ArrayRef>> =
                    self.columns().iter().map(|(name, _)| batch.column_by_name(name)).collect();
                columns.push(Arc::new(self.entries(column, &beside)?) as ArrayRef);
            } else {
                columns.push(Arc::clone(column));
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
    }

    /// The whole residual list of each row. `beside` are the columns of [`Promoted::columns`]; `None` for an empty one.
    ///
    /// # Errors
    /// As [`Promoted::restore`].
    pub fn entries(&self, rest: &ArrayRef, beside: &[Option<&ArrayRef>]) -> Result<ListArray, ArrowError> {
        let list = rest.as_list_opt::<i32>().ok_or_else(|| wrong(ATTRS_REST))?;
        let texts = list.values().as_string_opt::<i32>().ok_or_else(|| wrong(ATTRS_REST))?;
        let (order, beside) = beside.split_first().ok_or_else(|| wrong(ORDER))?;
        let order = order.map(|order| Labels::of(order, ORDER)).transpose()?;
        let mut columns = Vec::with_capacity(self.keys.len());
        for (key, column) in self.keys.iter().zip(beside) {
            columns.push(match column.filter(|column| column.null_count() < column.len()) {
                Some(column) => Some(Column::of(key, column)?),
                None => None,
            });
        }
        let filled: Vec<&Column<'_>> = columns.iter().flatten().collect();
        let mut entries = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        let mut ends = Vec::with_capacity(list.len() + 1);
        ends.push(0_i32);
        let mut count = 0;
        for row in 0..list.len() {
            let (from, to) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
            match order.as_ref().and_then(|order| order.get(row)) {
                None => {
                    for column in &filled {
                        count += i32::from(column.push(row, &mut entries));
                    }
                    (from..to).for_each(|at| entries.append_value(texts.value(at)));
                    count += (to - from) as i32;
                }
                Some(order) => {
                    let mut left = from..to;
                    for place in order.split(',') {
                        let is_there = match place {
                            REST_MARK => left.next().map(|at| entries.append_value(texts.value(at))).is_some(),
                            place => {
                                let column = place.parse().ok().and_then(|place: usize| columns.get(place)?.as_ref());
                                column.is_some_and(|column| column.push(row, &mut entries))
                            }
                        };
                        if !is_there {
                            return Err(wrong(ORDER));
                        }
                        count += 1;
                    }
                    count += left.len() as i32;
                    left.for_each(|at| entries.append_value(texts.value(at)));
                }
            }
            ends.push(count);
        }
        let item = Arc::new(Field::new("item", DataType::Utf8, false));
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        ListArray::try_new(item, ends, Arc::new(entries.finish()), list.nulls().cloned())
    }
}

/// The value of a key in each row as [`model::attribute::Value::text`] writes it, from its columns. At most one of them
/// holds one in a row.
///
/// # Errors
/// When a column has another type than its key says.
pub fn texts_of(columns: &[(PromotedKey, &ArrayRef)], rows: usize) -> Result<StringArray, ArrowError> {
    let columns: Vec<Column<'_>> =
        columns.iter().map(|(key, column)| Column::of(key, column)).collect::<Result<_, _>>()?;
    let mut texts = StringBuilder::new();
    let mut text = String::new();
    for row in 0..rows {
        match columns.iter().find(|column| column.values.is_valid(row)) {
            Some(column) => {
                text.clear();
                column.values.write(row, &mut text);
                texts.append_value(&text);
            }
            None => texts.append_null(),
        }
    }
    Ok(texts.finish())
}

/// One column, and what stands before the values in an entry.
struct Column<'a> {
    prefix: String,
    values: Values<'a>,
}

enum Values<'a> {
    Labels(Labels<'a>),
    Ints(&'a Int64Array),
    Doubles(&'a Float64Array),
    Truths(&'a BooleanArray),
}

impl<'a> Column<'a> {
    fn of(key: &PromotedKey, column: &'a ArrayRef) -> Result<Self, ArrowError> {
        let found = match key.tag {
            'i' => column.as_primitive_opt::<Int64Type>().map(Values::Ints),
            'd' => column.as_primitive_opt::<Float64Type>().map(Values::Doubles),
            'b' => column.as_boolean_opt().map(Values::Truths),
            _ => Labels::of(column, &key.key).ok().map(Values::Labels),
        };
        let prefix = format!("{}{ENTRY_SEPARATOR}{}", key.key, key.tag);
        found.map(|values| Self { prefix, values }).ok_or_else(|| wrong(&key.column()))
    }

    /// Appends the entry of a row, if there is one; whether there is.
    fn push(&self, row: usize, entries: &mut StringBuilder) -> bool {
        if !self.values.is_valid(row) {
            return false;
        }
        // the builder puts what is written to it in front of the value that is appended
        let _ = entries.write_str(&self.prefix);
        self.values.write(row, entries);
        entries.append_value("");
        true
    }
}

impl Values<'_> {
    fn is_valid(&self, row: usize) -> bool {
        match self {
            Self::Labels(labels) => labels.get(row).is_some(),
            Self::Ints(ints) => ints.is_valid(row),
            Self::Doubles(doubles) => doubles.is_valid(row),
            Self::Truths(truths) => truths.is_valid(row),
        }
    }

    fn write(&self, row: usize, out: &mut impl std::fmt::Write) {
        // writing to memory does not fail
        let _ = match self {
            Self::Labels(labels) => out.write_str(labels.get(row).unwrap_or_default()),
            Self::Ints(ints) => write!(out, "{}", ints.value(row)),
            Self::Doubles(doubles) => out.write_str(&Value::Double(doubles.value(row)).text()),
            Self::Truths(truths) => write!(out, "{}", truths.value(row)),
        };
    }
}

struct Labels<'a> {
    keys: &'a DictionaryArray<Int32Type>,
    texts: &'a StringArray,
}

impl<'a> Labels<'a> {
    fn of(column: &'a ArrayRef, name: &str) -> Result<Self, ArrowError> {
        let keys = column.as_dictionary_opt::<Int32Type>().ok_or_else(|| wrong(name))?;
        Ok(Self { keys, texts: keys.values().as_string_opt::<i32>().ok_or_else(|| wrong(name))? })
    }

    fn get(&self, row: usize) -> Option<&'a str> {
        self.keys.key(row).filter(|key| self.texts.is_valid(*key)).map(|key| self.texts.value(key))
    }
}
