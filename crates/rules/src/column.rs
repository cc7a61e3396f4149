//! The values of a batch, interned per field, so that a question is asked once per distinct value.

use std::collections::HashMap;
use std::hash::Hash;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Int8Type, Int32Type, Int64Type};
use foldhash::fast::RandomState;
use model::attribute::{self, ENTRY_SEPARATOR, Value};
use model::signal;

use crate::atom::{Atom, Cell, Test};
use crate::expression::{Rows, some};
use crate::field::Source;

const ABSENT: u32 = u32::MAX;

/// A map over what senders say: quick, and seeded anew in every process.
type Map<K, V> = HashMap<K, V, RandomState>;

/// One field of a batch: distinct values, and for each row which one it has.
#[derive(Debug, Default)]
pub struct Interned {
    keys: Vec<u32>,
    cells: Vec<Cell>,
    /// Further values of rows whose attribute is a list: row and key.
    more: Vec<(u32, u32)>,
}

impl Interned {
    /// The value of a row.
    pub fn cell(&self, row: usize) -> Option<&Cell> {
        self.cells.get(*self.keys.get(row)? as usize)
    }

    /// The text of a row.
    pub fn text(&self, row: usize) -> Option<&str> {
        self.cell(row).map(Cell::text)
    }

    /// Rows whose value passes.
    fn rows(&self, test: &Test) -> Rows {
        let hits: Vec<bool> = self.cells.iter().map(|cell| test.passes(cell)).collect();
        if !hits.contains(&true) {
            return None;
        }
        let hit = |key: u32| hits.get(key as usize).copied().unwrap_or(false);
        let first = BooleanBuffer::collect_bool(self.keys.len(), |row| hit(self.keys[row]));
        if self.more.is_empty() {
            return some(first);
        }
        let mut flags: Vec<bool> = first.iter().collect();
        for (row, key) in &self.more {
            flags[*row as usize] |= hit(*key);
        }
        some(BooleanBuffer::from(flags))
    }
}

/// Fills an [`Interned`] from its sources, best first.
struct Filler {
    field: Interned,
    index: Map<Box<str>, u32>,
}

impl Filler {
    fn new(rows: usize) -> Self {
        Self { field: Interned { keys: vec![ABSENT; rows], ..Interned::default() }, index: Map::default() }
    }

    fn key(&mut self, text: &str) -> u32 {
        if let Some(key) = self.index.get(text) {
            return *key;
        }
        let key = u32::try_from(self.field.cells.len()).unwrap_or(ABSENT - 1);
        self.field.cells.push(Cell::new(text));
        self.index.insert(text.into(), key);
        key
    }

    fn fill(&mut self, row: usize, text: &str) {
        if self.field.keys[row] == ABSENT {
            self.field.keys[row] = self.key(text);
        }
    }

    /// A value that may be a list: each of its elements is a value of the row.
    fn fill_value(&mut self, row: usize, value: &Value<'_>) {
        if self.field.keys[row] != ABSENT || matches!(value, Value::Empty) {
            return;
        }
        let Some(elements) = elements(value) else { return self.fill(row, &value.text()) };
        for (at, element) in elements.iter().enumerate() {
            let key = self.key(element);
            match at {
                0 => self.field.keys[row] = key,
                _ => self.field.more.push((u32::try_from(row).unwrap_or(u32::MAX), key)),
            }
        }
    }

    /// Fills the rows of a label column, interning each distinct label once.
    fn fill_labels(&mut self, column: &ArrayRef, read: impl Fn(&str) -> Option<Vec<String>>) {
        let Some(labels) = column.as_dictionary_opt::<Int32Type>() else { return };
        let Some(values) = labels.values().as_string_opt::<i32>() else { return };
        let mut known: Vec<Option<Vec<u32>>> = vec![None; values.len()];
        for row in 0..labels.len() {
            let Some(label) = labels.key(row).filter(|label| values.is_valid(*label)) else { continue };
            if self.field.keys[row] != ABSENT {
                continue;
            }
            let keys = known[label].get_or_insert_with(|| {
                let texts = read(values.value(label)).unwrap_or_default();
                texts.iter().map(|text| self.key(text)).collect()
            });
            if let Some((first, others)) = keys.split_first() {
                self.field.keys[row] = *first;
                let row = u32::try_from(row).unwrap_or(u32::MAX);
                self.field.more.extend(others.iter().map(|key| (row, *key)));
            }
        }
    }

    /// Fills the rows of a column of numbers, writing each distinct number once.
    fn fill_numbers<N: Copy + Eq + Hash, T: AsRef<str>>(
        &mut self,
        numbers: impl Iterator<Item = Option<N>>,
        text: impl Fn(&N) -> T,
    ) {
        let mut known: Map<N, u32> = Map::default();
        for (row, number) in numbers.enumerate() {
            let Some(number) = number.filter(|_| self.field.keys[row] == ABSENT) else { continue };
            let key = *known.entry(number).or_insert_with(|| self.key(text(&number).as_ref()));
            self.field.keys[row] = key;
        }
    }

    fn fill_column(&mut self, column: &ArrayRef) {
        if column.null_count() == column.len() {
            return;
        }
        if let Some(texts) = column.as_string_opt::<i32>() {
            let present = (0..texts.len()).filter(|row| texts.is_valid(*row));
            present.for_each(|row| self.fill(row, texts.value(row)));
        } else if let Some(ints) = column.as_primitive_opt::<Int64Type>() {
            self.fill_numbers(ints.iter(), i64::to_string);
        } else if let Some(small) = column.as_primitive_opt::<Int8Type>() {
            self.fill_numbers(small.iter(), i8::to_string);
        } else if let Some(bytes) = column.as_fixed_size_binary_opt() {
            let present = (0..bytes.len()).filter(|row| bytes.is_valid(*row));
            present.for_each(|row| self.fill(row, &hex::encode(bytes.value(row))));
        } else if let Some(truths) = column.as_boolean_opt() {
            let present = (0..truths.len()).filter(|row| truths.is_valid(*row));
            present.for_each(|row| self.fill(row, if truths.value(row) { "true" } else { "false" }));
        } else {
            self.fill_labels(column, |label| Some(vec![label.to_owned()]));
        }
    }
}

/// The elements of a value that is a JSON list of plain values.
fn elements(value: &Value<'_>) -> Option<Vec<String>> {
    let Value::Json(json) = value else { return None };
    let list: Vec<serde_json::Value> = serde_json::from_str(json).ok()?;
    let text = |element: serde_json::Value| match element {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    (!list.is_empty()).then(|| list.into_iter().map(text).collect())
}

/// A batch being asked: interns fields when they are first needed.
#[derive(Debug)]
pub struct Columns<'b> {
    batch: &'b RecordBatch,
    plan: &'b Plan,
    fields: Vec<Option<Interned>>,
    rest: Option<Vec<Vec<(usize, Value<'b>)>>>,
}

/// The fields that rules ask for, numbered, with the residual keys they may be found under.
#[derive(Debug, Default)]
pub struct Plan {
    fields: Vec<Vec<Source>>,
    numbers: Map<String, usize>,
    rest: Map<String, usize>,
}

impl Plan {
    /// The number of a field, given at first use.
    pub fn field(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let sources = crate::field::sources(name);
        for source in &sources {
            if let Source::Rest(key) = source {
                let slot = self.rest.len();
                self.rest.entry(escaped(key)).or_insert(slot);
            }
        }
        self.fields.push(sources);
        self.numbers.insert(name.to_owned(), self.fields.len() - 1);
        self.fields.len() - 1
    }

    /// The number a field has, if it has one.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }
}

/// A key as it stands in an entry.
fn escaped(key: &str) -> String {
    attribute::entry_prefix(key).trim_end_matches(ENTRY_SEPARATOR).to_owned()
}

impl<'b> Columns<'b> {
    /// A batch to ask, with the fields that may be asked for.
    pub fn new(batch: &'b RecordBatch, plan: &'b Plan) -> Self {
        let fields = plan.fields.iter().map(|_| None).collect();
        Self { batch, plan, fields, rest: None }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// A field by its number.
    pub fn field(&mut self, number: usize) -> &Interned {
        if self.fields[number].is_none() {
            let interned = self.intern(number);
            self.fields[number] = Some(interned);
        }
        self.fields[number].get_or_insert_default()
    }

    /// A field that was interned before.
    pub fn ready(&self, number: usize) -> Option<&Interned> {
        self.fields.get(number)?.as_ref()
    }

    /// Answers an atom for every row.
    pub fn rows(&mut self, atom: &Atom) -> Rows {
        let Some(field) = &atom.field else { return self.anywhere(&atom.test) };
        let number = self.plan.number(field)?;
        let Test::SameAs { other, anchor, cased } = &atom.test else { return self.field(number).rows(&atom.test) };
        let other = self.plan.number(other)?;
        self.field(number);
        self.field(other);
        let (left, right) = (self.ready(number)?, self.ready(other)?);
        some(BooleanBuffer::collect_bool(self.len(), |row| match (left.cell(row), right.cell(row)) {
            (Some(value), Some(text)) if *cased => anchor.holds(value.text(), text.text()),
            (Some(value), Some(text)) => anchor.holds(value.lower(), text.lower()),
            _ => false,
        }))
    }

    fn intern(&mut self, number: usize) -> Interned {
        let plan = self.plan;
        let batch = self.batch;
        let mut filler = Filler::new(batch.num_rows());
        for source in &plan.fields[number] {
            match source {
                Source::Column(name) => {
                    if let Some(column) = batch.column_by_name(name) {
                        filler.fill_column(column);
                    }
                }
                Source::Named(name, naming) => {
                    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int8Type>());
                    if let Some(numbers) = column {
                        filler.fill_numbers(numbers.values().iter().map(|number| Some(*number)), |number| {
                            naming.name(*number)
                        });
                    }
                }
                Source::Millis(name) => {
                    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
                    if let Some(nanos) = column {
                        filler.fill_numbers(nanos.values().iter().map(|nanos| Some(*nanos)), |nanos| {
                            (*nanos as f64 / 1e6).to_string()
                        });
                    }
                }
                Source::Rest(key) => {
                    if let Some(slot) = plan.rest.get(&escaped(key)) {
                        let found = self.rest.get_or_insert_with(|| collect_rest(batch, plan));
                        found[*slot].iter().for_each(|(row, value)| filler.fill_value(*row, value));
                    }
                }
                Source::Resource(key) => {
                    if let Some(column) = batch.column_by_name(signal::RESOURCE) {
                        filler.fill_labels(column, |list| {
                            let value = attribute::find_in_list(list, key)?;
                            Some(elements(&value).unwrap_or_else(|| vec![value.text().into_owned()]))
                        });
                    }
                }
            }
        }
        filler.field
    }

    /// Rows in which some value, whatever its field, passes.
    fn anywhere(&self, test: &Test) -> Rows {
        let mut flags = vec![false; self.len()];
        for (field, column) in self.batch.schema().fields().iter().zip(self.batch.columns()) {
            if matches!(field.name().as_str(), signal::RESOURCE | signal::SCOPE | signal::KEY_ID) {
                continue;
            }
            let is_text = column.as_string_opt::<i32>().is_some() || column.as_dictionary_opt::<Int32Type>().is_some();
            if is_text {
                let mut filler = Filler::new(self.len());
                filler.fill_column(column);
                if let Some(rows) = filler.field.rows(test) {
                    rows.set_indices().for_each(|row| flags[row] = true);
                }
            }
        }
        let mut known: Map<&str, bool> = Map::default();
        each_entry(self.batch, |row, entry| {
            if let Some((_, tagged)) = entry.split_once(ENTRY_SEPARATOR) {
                flags[row] |= *known.entry(tagged).or_insert_with(|| {
                    attribute::parse_entry(entry).is_some_and(|(_, value)| test.passes(&Cell::new(&*value.text())))
                });
            }
        });
        some(BooleanBuffer::from(flags))
    }
}

/// One pass over the residual lists that keeps the values of wanted keys, by slot.
fn collect_rest<'b>(batch: &'b RecordBatch, plan: &Plan) -> Vec<Vec<(usize, Value<'b>)>> {
    let mut found: Vec<Vec<(usize, Value<'b>)>> = vec![Vec::new(); plan.rest.len()];
    each_entry(batch, |row, entry| {
        let Some((key, _)) = entry.split_once(ENTRY_SEPARATOR) else { return };
        let Some(slot) = plan.rest.get(key) else { return };
        if let Some((_, value)) = attribute::parse_entry(entry) {
            found[*slot].push((row, value));
        }
    });
    found
}

fn each_entry<'b>(batch: &'b RecordBatch, mut take: impl FnMut(usize, &'b str)) {
    let Some(lists) = batch.column_by_name(signal::ATTRS_REST).and_then(|column| column.as_list_opt::<i32>()) else {
        return;
    };
    let Some(entries) = lists.values().as_string_opt::<i32>() else { return };
    for row in 0..lists.len() {
        let (start, end) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
        (start..end).for_each(|entry| take(row, entries.value(entry)));
    }
}
