//! Rows of the stored schema, taken apart into the promoted columns of a file.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder as _, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, ListArray, RecordBatch,
    StringBuilder, StringDictionaryBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use model::Signal;
use model::attribute::{ENTRY_SEPARATOR, Value};
use model::signal::{ATTRS_REST, label_type};
use parquet::file::metadata::KeyValue;

use super::{MAX_REST_KEY_BYTES, MAX_REST_KEYS, ORDER, PromotedKey, REST_KEYS, parts_of};
use crate::row_order::{column, wrong};

/// Stands in an order for the next entry of the residual list.
pub(super) const REST_MARK: &str = ".";
/// No row.
const NONE: usize = usize::MAX;

/// Takes the slices of one file apart.
#[derive(Debug)]
pub(crate) struct Splitter {
    keys: Vec<PromotedKey>,
    schema: SchemaRef,
    /// Of each key: a number, and the columns by tag.
    places: HashMap<String, (usize, Vec<(char, usize)>), RandomState>,
    /// Keys seen in the residual lists; `None` when they were too many.
    rest_keys: Option<HashSet<String, RandomState>>,
    rest_key_bytes: usize,
}

/// Where an entry of a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Column(usize),
    Rest,
}

impl Splitter {
    /// For a file with these columns, which are put back in this order.
    pub(crate) fn new(signal: Signal, keys: Vec<PromotedKey>) -> Self {
        let stored = signal.stored_schema();
        let mut fields: Vec<_> = stored.fields().iter().cloned().collect();
        let mut places: HashMap<String, (usize, Vec<(char, usize)>), RandomState> = HashMap::default();
        if !keys.is_empty() {
            fields.push(Arc::new(Field::new(ORDER, label_type(), true)));
        }
        for (place, key) in keys.iter().enumerate() {
            fields.push(Arc::new(Field::new(key.column(), key.data_type(), true)));
            let number = places.len();
            places.entry(key.key.clone()).or_insert_with(|| (number, Vec::new())).1.push((key.tag, place));
        }
        let schema = Arc::new(Schema::new(fields));
        Self { keys, schema, places, rest_keys: Some(HashSet::default()), rest_key_bytes: 0 }
    }

    /// The schema of the file.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The rows as the file has them.
    pub(crate) fn split(&mut self, slice: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let list = column(slice, ATTRS_REST)?.as_list_opt::<i32>().ok_or_else(|| wrong(ATTRS_REST))?;
        let texts = list.values().as_string_opt::<i32>().ok_or_else(|| wrong(ATTRS_REST))?;
        let mut columns: Vec<Builder> = self.keys.iter().map(Builder::of).collect();
        let mut order = StringDictionaryBuilder::<Int32Type>::new();
        let mut rest = StringBuilder::new();
        let mut ends = Vec::with_capacity(list.len() + 1);
        ends.push(0_i32);
        let (mut kept, mut sequence, mut text) = (0, Vec::new(), String::new());
        // the row in which each key was met last
        let mut met = vec![NONE; self.places.len()];
        for row in 0..list.len() {
            sequence.clear();
            for at in list.value_offsets()[row]..list.value_offsets()[row + 1] {
                let entry = texts.value(at as usize);
                let place = self.place(entry, row, &mut met, &mut columns);
                if place == Place::Rest {
                    self.note_rest(entry);
                    rest.append_value(entry);
                    kept += 1;
                }
                sequence.push(place);
            }
            ends.push(kept);
            if is_natural(&sequence) {
                order.append_null();
            } else {
                write_order(&sequence, &mut text);
                order.append(&text)?;
            }
        }
        let item = Arc::new(Field::new("item", DataType::Utf8, false));
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        let rest = ListArray::try_new(item, ends, Arc::new(rest.finish()), list.nulls().cloned())?;
        let mut all = slice.columns().to_vec();
        all[slice.schema().index_of(ATTRS_REST)?] = Arc::new(rest);
        if !self.keys.is_empty() {
            all.push(Arc::new(order.finish()));
        }
        all.extend(columns.into_iter().map(|column| column.finish(list.len())));
        RecordBatch::try_new(self.schema(), all)
    }

    /// What the file says of its residual lists; asked for when all of it is written.
    pub(crate) fn metadata(&self) -> Option<KeyValue> {
        let keys = self.rest_keys.as_ref()?;
        let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        keys.sort_unstable();
        Some(KeyValue::new(REST_KEYS.to_owned(), serde_json::json!(keys).to_string()))
    }

    /// Puts an entry into its column, if it is the first of its key in the row and has one.
    fn place(&self, entry: &str, row: usize, met: &mut [usize], columns: &mut [Builder]) -> Place {
        let key = entry.split(ENTRY_SEPARATOR).next().unwrap_or_default();
        let Some((number, of_key)) = self.places.get(key) else { return Place::Rest };
        let is_first = std::mem::replace(&mut met[*number], row) != row;
        let Some((_, tag, text)) = parts_of(entry).filter(|_| is_first) else { return Place::Rest };
        match of_key.iter().find(|(of_column, _)| *of_column == tag) {
            Some((_, place)) if columns[*place].push(row, text) => Place::Column(*place),
            _ => Place::Rest,
        }
    }

    fn note_rest(&mut self, entry: &str) {
        let Some(keys) = &mut self.rest_keys else { return };
        let key = entry.split(ENTRY_SEPARATOR).next().unwrap_or_default();
        if keys.contains(key) {
            return;
        }
        self.rest_key_bytes += key.len();
        if keys.len() >= MAX_REST_KEYS || self.rest_key_bytes > MAX_REST_KEY_BYTES {
            self.rest_keys = None;
        } else {
            keys.insert(key.to_owned());
        }
    }
}

/// Whether the entries of the columns come first and in the order of these.
fn is_natural(sequence: &[Place]) -> bool {
    sequence.windows(2).all(|pair| match pair {
        [Place::Column(left), Place::Column(right)] => left < right,
        [Place::Rest, Place::Column(_)] => false,
        _ => true,
    })
}

/// The places one after the other; entries of the list at the end go without saying.
fn write_order(sequence: &[Place], text: &mut String) {
    text.clear();
    let last = sequence.iter().rposition(|place| *place != Place::Rest).map_or(0, |last| last + 1);
    for place in &sequence[..last] {
        if !text.is_empty() {
            text.push(',');
        }
        // writing to memory does not fail
        let _ = match place {
            Place::Column(place) => write!(text, "{place}"),
            Place::Rest => text.write_str(REST_MARK),
        };
    }
}

enum Builder {
    Labels(Box<StringDictionaryBuilder<Int32Type>>),
    Ints(Int64Builder),
    Doubles(Float64Builder),
    Truths(BooleanBuilder),
}

impl Builder {
    fn of(key: &PromotedKey) -> Self {
        match key.tag {
            'i' => Self::Ints(Int64Builder::new()),
            'd' => Self::Doubles(Float64Builder::new()),
            'b' => Self::Truths(BooleanBuilder::new()),
            _ => Self::Labels(Box::default()),
        }
    }

    /// Adds the value of a row behind those of earlier rows, if it comes back as the same text; whether it does.
    fn push(&mut self, row: usize, text: &str) -> bool {
        match self {
            Self::Labels(labels) => {
                labels.append_nulls(row - labels.len());
                labels.append(text).is_ok()
            }
            Self::Ints(ints) => {
                let Some(number) = text.parse::<i64>().ok().filter(|_| is_canonical(text)) else { return false };
                ints.append_nulls(row - ints.len());
                ints.append_value(number);
                true
            }
            Self::Doubles(doubles) => {
                let number = text.parse::<f64>().ok();
                let Some(number) = number.filter(|number| Value::Double(*number).text() == text) else { return false };
                doubles.append_nulls(row - doubles.len());
                doubles.append_value(number);
                true
            }
            Self::Truths(truths) => {
                let Ok(truth) = text.parse() else { return false };
                truths.append_nulls(row - truths.len());
                truths.append_value(truth);
                true
            }
        }
    }

    fn finish(self, rows: usize) -> ArrayRef {
        match self {
            Self::Labels(mut labels) => {
                labels.append_nulls(rows - labels.len());
                Arc::new(labels.finish())
            }
            Self::Ints(mut ints) => {
                ints.append_nulls(rows - ints.len());
                Arc::new(ints.finish())
            }
            Self::Doubles(mut doubles) => {
                doubles.append_nulls(rows - doubles.len());
                Arc::new(doubles.finish())
            }
            Self::Truths(mut truths) => {
                truths.append_nulls(rows - truths.len());
                Arc::new(truths.finish())
            }
        }
    }
}

/// Whether an integer is written as integers are: no plus, no zero in front.
fn is_canonical(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|digit| digit.is_ascii_digit()) && (!digits.starts_with('0') || text == "0")
}
