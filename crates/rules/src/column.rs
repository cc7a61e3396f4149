//! The values of a batch, interned per field, so that a question is asked once per distinct value.

mod resource;
mod rest;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int8Type, Int32Type, Int64Type, TimestampNanosecondType};
use foldhash::fast::RandomState;
use model::attribute::{self, ENTRY_SEPARATOR, Value};
use model::{UnixNanos, signal};

use crate::atom::{Atom, Cell, Test};
use crate::bits::Bits;
use crate::expression::Rows;
use crate::field::Source;
use crate::nested::{Found, Nested};
use crate::request_target;
use resource::Resources;
use rest::{Rest, Slot};

const ABSENT: u32 = u32::MAX;

/// A map over what senders say: quick, and seeded anew in every process.
type Map<K, V> = HashMap<K, V, RandomState>;

/// A position in a batch; batches have far fewer than 2^32 rows and values.
pub fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(ABSENT)
}

/// One field of a batch: distinct values, and for each row which one it has.
#[derive(Debug, Default)]
pub struct Interned<'b> {
    keys: Vec<u32>,
    cells: Vec<Cell<'b>>,
    /// Further values of rows whose attribute is a list: row and key, in order of rows.
    more: Vec<(u32, u32)>,
}

impl<'b> Interned<'b> {
    /// The value of a row.
    pub fn cell(&self, row: usize) -> Option<&Cell<'b>> {
        self.cells.get(*self.keys.get(row)? as usize)
    }

    /// The text of a row.
    pub fn text(&self, row: usize) -> Option<&str> {
        self.cell(row).map(Cell::text)
    }

    /// The values of a row: several when its attribute is a list.
    pub fn texts(&self, row: usize) -> impl Iterator<Item = &str> {
        let number = number(row);
        let start = self.more.partition_point(|(at, _)| *at < number);
        let more = self.more.iter().skip(start).take_while(move |(at, _)| *at == number);
        self.text(row).into_iter().chain(more.filter_map(|(_, key)| self.cells.get(*key as usize).map(Cell::text)))
    }

    /// The position of a row's value among the values.
    pub fn key(&self, row: usize) -> Option<usize> {
        self.keys.get(row).filter(|key| **key != ABSENT).map(|key| *key as usize)
    }

    /// The values; most of them differ.
    pub fn cells(&self) -> &[Cell<'b>] {
        &self.cells
    }

    /// Rows with each of their values.
    pub fn pairs(&self) -> Vec<(u32, u32)> {
        let firsts = self.keys.iter().enumerate().filter(|(_, key)| **key != ABSENT);
        firsts.map(|(row, key)| (number(row), *key)).chain(self.more.iter().copied()).collect()
    }
}

/// The keys of the values that one place of the batch stands for: several when it is a list.
#[derive(Debug, Clone)]
struct Keys {
    first: u32,
    others: Vec<u32>,
}

/// Fills an [`Interned`] from its sources, best first.
struct Filler<'b> {
    field: Interned<'b>,
}

impl<'b> Filler<'b> {
    fn new(rows: usize) -> Self {
        Self { field: Interned { keys: vec![ABSENT; rows], ..Interned::default() } }
    }

    fn key(&mut self, text: impl Into<Cow<'b, str>>) -> u32 {
        self.field.cells.push(Cell::new(text));
        number(self.field.cells.len() - 1)
    }

    fn keys(&mut self, value: Value<'b>) -> Keys {
        let Some(elements) = elements(&value) else {
            return Keys { first: self.key(text_of(value)), others: Vec::new() };
        };
        let mut keys = elements.into_iter().map(|element| self.key(element));
        Keys { first: keys.next().unwrap_or(ABSENT), others: keys.collect() }
    }

    /// Fills the rows that have no value yet. `key_of` says what a row is known by, `keys` what that stands for; it is
    /// asked once for each.
    fn fill<K: Copy + Eq + Hash>(
        &mut self,
        values: impl Iterator<Item = (usize, K)>,
        mut keys: impl FnMut(&mut Self, K) -> Keys,
    ) {
        let mut known: Map<K, Keys> = Map::default();
        let mut last: Option<(K, u32)> = None;
        for (row, value) in values {
            if self.field.keys.get(row) != Some(&ABSENT) {
                continue;
            }
            if let Some((_, key)) = last.filter(|(last, _)| *last == value) {
                self.field.keys[row] = key;
                continue;
            }
            let found = known.entry(value).or_insert_with(|| keys(self, value));
            self.field.keys[row] = found.first;
            self.field.more.extend(found.others.iter().map(|key| (number(row), *key)));
            last = found.others.is_empty().then_some((value, found.first));
        }
    }

    /// As [`Filler::fill`], for values that are small numbers already.
    fn fill_numbered(
        &mut self,
        values: impl Iterator<Item = (usize, usize)>,
        count: usize,
        mut keys: impl FnMut(&mut Self, usize) -> Keys,
    ) {
        let mut known: Vec<Option<Keys>> = vec![None; count];
        for (row, value) in values {
            if self.field.keys.get(row) != Some(&ABSENT) {
                continue;
            }
            let Some(slot) = known.get_mut(value) else { continue };
            let found = slot.get_or_insert_with(|| keys(self, value));
            self.field.keys[row] = found.first;
            self.field.more.extend(found.others.iter().map(|key| (number(row), *key)));
        }
    }

    fn fill_slot(&mut self, slot: &Slot<'b>) {
        let rows = slot.rows.iter().map(|(row, entry)| (*row as usize, *entry as usize));
        self.fill_numbered(rows, slot.entries.len(), |filler, entry| {
            match attribute::parse_entry(slot.entries[entry]) {
                None | Some((_, Value::Empty)) => Keys { first: ABSENT, others: Vec::new() },
                Some((_, value)) => filler.keys(value),
            }
        });
    }

    /// Fills rows with what was found inside JSON; a row with several values has each of them.
    fn fill_found(&mut self, found: &[(usize, String)]) {
        let mut filling = usize::MAX;
        for (row, text) in found {
            if self.field.keys.get(*row) == Some(&ABSENT) {
                filling = *row;
                self.field.keys[*row] = self.key(text.clone());
            } else if *row == filling {
                let key = self.key(text.clone());
                self.field.more.push((number(*row), key));
            }
        }
    }

    fn fill_resource(&mut self, column: &'b ArrayRef, values: &[(usize, Value<'b>)]) {
        let Some(labels) = column.as_dictionary_opt::<Int32Type>() else { return };
        let mut by_label: Vec<Option<&Value<'b>>> = vec![None; labels.values().len()];
        values.iter().for_each(|(label, value)| by_label[*label] = Some(value));
        let rows = (0..labels.len()).filter_map(|row| Some((row, labels.key(row)?)));
        self.fill_numbered(rows, by_label.len(), |filler, label| match by_label[label] {
            None => Keys { first: ABSENT, others: Vec::new() },
            Some(value) => filler.keys(value.clone()),
        });
    }

    fn fill_column(&mut self, column: &'b ArrayRef) {
        if column.null_count() == column.len() {
            return;
        }
        let is_valid = |row: &usize| column.is_valid(*row);
        let rows = (0..column.len()).filter(is_valid);
        let one = |key| Keys { first: key, others: Vec::new() };
        if let Some(texts) = column.as_string_opt::<i32>() {
            self.fill(rows.map(|row| (row, texts.value(row))), |filler, text| one(filler.key(text)));
        } else if let Some(ints) = column.as_primitive_opt::<Int64Type>() {
            self.fill(rows.map(|row| (row, ints.value(row))), |filler, int| one(filler.key(int.to_string())));
        } else if let Some(small) = column.as_primitive_opt::<Int8Type>() {
            self.fill(rows.map(|row| (row, small.value(row))), |filler, int| one(filler.key(int.to_string())));
        } else if let Some(times) = column.as_primitive_opt::<TimestampNanosecondType>() {
            let text = |nanos| UnixNanos(nanos).to_string();
            self.fill(rows.map(|row| (row, times.value(row))), |filler, nanos| one(filler.key(text(nanos))));
        } else if let Some(bytes) = column.as_fixed_size_binary_opt() {
            self.fill(rows.map(|row| (row, bytes.value(row))), |filler, bytes| one(filler.key(hex::encode(bytes))));
        } else if let Some(truths) = column.as_boolean_opt() {
            let text = |truth| if truth { "true" } else { "false" };
            self.fill(rows.map(|row| (row, truths.value(row))), |filler, truth| one(filler.key(text(truth))));
        } else if let Some(labels) = column.as_dictionary_opt::<Int32Type>()
            && let Some(values) = labels.values().as_string_opt::<i32>()
        {
            let rows = (0..labels.len()).filter_map(|row| Some((row, labels.key(row)?)));
            let rows = rows.filter(|(_, label)| values.is_valid(*label));
            self.fill_numbered(rows, values.len(), |filler, label| one(filler.key(values.value(label))));
        }
    }
}

fn text_of(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Str(text) | Value::Json(text) => text,
        other => Cow::Owned(other.text().into_owned()),
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
    by_name: Map<&'b str, &'b ArrayRef>,
    fields: Vec<Option<Interned<'b>>>,
    rest: Rest<'b>,
    resources: Resources<'b>,
    inside: Option<Found>,
    bodies: Option<Found>,
}

/// The fields that rules ask for, numbered, and for each place of a batch the fields that may be found there.
#[derive(Debug, Default)]
pub struct Plan {
    fields: Vec<Vec<Source>>,
    numbers: Map<String, usize>,
    columns: Map<String, Vec<usize>>,
    /// By key as it stands in an entry.
    rest: Map<String, Vec<usize>>,
    resources: Map<String, Vec<usize>>,
    nested: Nested,
}

impl Plan {
    /// The number of a field, given at first use.
    pub fn field(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.place(name, crate::field::sources(name))
    }

    /// One field that is looked for in one place only; its number is 0.
    pub fn of_source(source: &Source) -> Self {
        let mut plan = Self::default();
        plan.place("", vec![source.clone()]);
        plan
    }

    fn place(&mut self, name: &str, mut sources: Vec<Source>) -> usize {
        let number = self.fields.len();
        sources.iter_mut().for_each(|source| self.find_in(source, number));
        self.fields.push(sources);
        self.numbers.insert(name.to_owned(), number);
        for source in self.fields[number].clone() {
            match source {
                Source::Inside { key, path } => drop(self.nested.in_attribute(&key, &path)),
                Source::Body(path) => drop(self.nested.in_body(&path)),
                Source::RequestTarget | Source::Extension => request_target::PARTS.iter().for_each(|part| {
                    self.field(part);
                }),
                _ => {}
            }
        }
        number
    }

    /// Every field with its number, in order.
    pub fn names(&self) -> Vec<(usize, String)> {
        let mut names: Vec<(usize, String)> =
            self.numbers.iter().map(|(name, number)| (*number, name.clone())).collect();
        names.sort_unstable();
        names
    }

    /// Notes where a batch would have a value of a field.
    fn find_in(&mut self, source: &mut Source, number: usize) {
        let (places, place) = match source {
            Source::Column(column) => (&mut self.columns, column.clone()),
            Source::Named(column, _) | Source::Millis(column) => (&mut self.columns, (*column).to_owned()),
            Source::Resource(key) => (&mut self.resources, key.clone()),
            Source::Rest(key) | Source::Inside { key, .. } => {
                *key = escaped(key);
                (&mut self.rest, key.clone())
            }
            Source::Body(_) => (&mut self.columns, signal::log::BODY.to_owned()),
            // wherever one of its parts is
            Source::RequestTarget | Source::Extension => {
                let parts = request_target::PARTS.iter().flat_map(|part| crate::field::sources(part));
                return parts.for_each(|mut part| self.find_in(&mut part, number));
            }
        };
        places.entry(place).or_default().push(number);
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// The name of a field.
    pub fn name_of(&self, number: usize) -> Option<&str> {
        self.numbers.iter().find(|(_, known)| **known == number).map(|(name, _)| name.as_str())
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
    /// A batch to ask, with the fields that may be asked for; every attribute is read when rules look everywhere.
    pub fn new(batch: &'b RecordBatch, plan: &'b Plan, looks_everywhere: bool) -> Self {
        let by_name = batch.schema_ref().fields().iter().zip(batch.columns());
        Self {
            batch,
            plan,
            by_name: by_name.map(|(field, column)| (field.name().as_str(), column)).collect(),
            fields: plan.fields.iter().map(|_| None).collect(),
            rest: Rest::read(batch, |key| looks_everywhere || plan.rest.contains_key(key)),
            resources: Resources::read(batch, |key| plan.resources.contains_key(key)),
            inside: None,
            bodies: None,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// The fields that may have a value in the batch.
    pub fn present(&self) -> Vec<usize> {
        let filled = self.by_name.iter().filter(|(_, column)| column.null_count() < column.len());
        let columns = filled.filter_map(|(name, _)| self.plan.columns.get(*name));
        let rest = self.rest.slots.iter().filter_map(|slot| self.plan.rest.get(slot.key));
        let resources = self.resources.keys().filter_map(|key| self.plan.resources.get(key));
        let mut fields: Vec<usize> = columns.chain(rest).chain(resources).flatten().copied().collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// What is asked.
    pub fn batch(&self) -> &'b RecordBatch {
        self.batch
    }

    /// A field by its number.
    pub fn field(&mut self, number: usize) -> &Interned<'b> {
        if self.fields[number].is_none() {
            let interned = self.intern(number);
            self.fields[number] = Some(interned);
        }
        self.fields[number].get_or_insert_default()
    }

    /// A field that was interned before.
    pub fn ready(&self, number: usize) -> Option<&Interned<'b>> {
        self.fields.get(number)?.as_ref()
    }

    /// Answers, for every row, an atom that compares two fields.
    pub fn pair(&mut self, atom: &Atom) -> Rows {
        let Test::SameAs { other, anchor, cased } = &atom.test else { return None };
        let number = self.plan.number(atom.field.as_ref()?)?;
        let other = self.plan.number(other)?;
        self.field(number);
        self.field(other);
        let (left, right) = (self.ready(number)?, self.ready(other)?);
        let holds = |row| match (left.cell(row), right.cell(row)) {
            (Some(value), Some(text)) if *cased => anchor.holds(value.text(), text.text()),
            (Some(value), Some(text)) => anchor.holds(value.lower(), text.lower()),
            _ => false,
        };
        Bits::collect(self.len(), holds).some()
    }

    /// Every value of every event, whatever its field, and rows with each of their values.
    pub fn everything(&self) -> (Vec<Cell<'b>>, Vec<(u32, u32)>) {
        let (mut cells, mut pairs) = (Vec::new(), Vec::new());
        for (name, column) in self.by_name.iter().map(|(name, column)| (*name, *column)) {
            if matches!(name, signal::RESOURCE | signal::SCOPE | signal::KEY_ID) {
                continue;
            }
            let is_text = column.as_string_opt::<i32>().is_some() || column.as_dictionary_opt::<Int32Type>().is_some();
            if is_text {
                let mut filler = Filler::new(self.len());
                filler.fill_column(column);
                let before = number(cells.len());
                pairs.extend(filler.field.pairs().into_iter().map(|(row, key)| (row, before + key)));
                cells.append(&mut filler.field.cells);
            }
        }
        for slot in &self.rest.slots {
            let mut keys = vec![ABSENT; slot.entries.len()];
            for (entry, key) in slot.entries.iter().zip(&mut keys) {
                if let Some((_, value)) = attribute::parse_entry(entry) {
                    *key = number(cells.len());
                    cells.push(Cell::new(text_of(value)));
                }
            }
            let rows = slot.rows.iter().map(|(row, entry)| (*row, keys[*entry as usize]));
            pairs.extend(rows.filter(|(_, key)| *key != ABSENT));
        }
        (cells, pairs)
    }

    /// What rules ask for inside attributes that are JSON.
    fn inside(&mut self) -> &Found {
        let (plan, rest) = (self.plan, &self.rest);
        self.inside.get_or_insert_with(|| {
            let mut found = plan.nested.nothing();
            for (key, wanted) in &plan.nested.attributes {
                let Some(slot) = rest.slot(key) else { continue };
                let texts: Vec<_> = slot.entries.iter().map(|entry| attribute::parse_entry(entry)).collect();
                for (row, entry) in &slot.rows {
                    if let Some(Some((_, Value::Json(text)))) = texts.get(*entry as usize) {
                        wanted.collect(*row as usize, text, &mut found);
                    }
                }
            }
            found
        })
    }

    /// What rules ask for inside bodies that are JSON, each read once.
    fn bodies(&mut self) -> &Found {
        let (plan, column) = (self.plan, self.by_name.get(signal::log::BODY).copied());
        self.bodies.get_or_insert_with(|| {
            let mut found = plan.nested.nothing();
            if let Some(texts) = column.and_then(|column| column.as_string_opt::<i32>()) {
                for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
                    plan.nested.body.collect(row, texts.value(row), &mut found);
                }
            }
            found
        })
    }

    /// Fills rows with something of their request's path and query, worked out once for each combination of the parts.
    fn fill_request(&mut self, filler: &mut Filler<'b>, of: impl Fn(&str) -> Option<&str>) {
        let plan = self.plan;
        let numbers = request_target::PARTS.map(|part| plan.number(part));
        numbers.into_iter().flatten().for_each(|number| {
            self.field(number);
        });
        let parts = numbers.map(|number| number.and_then(|number| self.ready(number)));
        let rows = (0..self.len()).map(|row| (row, parts.map(|field| field.and_then(|field| field.key(row)))));
        filler.fill(rows, |filler, keys| {
            let text = |at: usize| -> Option<&str> { Some(parts[at]?.cells().get(keys[at]?)?.text()) };
            let target = request_target::target(text(0), text(1), text(2));
            let first = target.as_deref().and_then(&of).map_or(ABSENT, |text| filler.key(text.to_owned()));
            Keys { first, others: Vec::new() }
        });
    }

    fn intern(&mut self, number: usize) -> Interned<'b> {
        let plan = self.plan;
        let mut filler = Filler::new(self.batch.num_rows());
        for source in &plan.fields[number] {
            match source {
                Source::Column(name) => {
                    if let Some(column) = self.by_name.get(name.as_str()).copied() {
                        filler.fill_column(column);
                    }
                }
                Source::Named(name, naming) => {
                    let column = self.by_name.get(name).and_then(|column| column.as_primitive_opt::<Int8Type>());
                    if let Some(numbers) = column {
                        let rows = numbers.values().iter().copied().enumerate();
                        filler.fill(rows, |filler, number| Keys {
                            first: filler.key(naming.name(number)),
                            others: Vec::new(),
                        });
                    }
                }
                Source::Millis(name) => {
                    let column = self.by_name.get(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
                    if let Some(nanos) = column {
                        let rows = nanos.values().iter().copied().enumerate();
                        filler.fill(rows, |filler, nanos| {
                            let millis = (nanos as f64 / 1e6).to_string();
                            Keys { first: filler.key(millis), others: Vec::new() }
                        });
                    }
                }
                Source::Rest(key) => self.rest.slot(key).into_iter().for_each(|slot| filler.fill_slot(slot)),
                Source::Inside { key, path } => {
                    if let Some(slot) = plan.nested.slot_in_attribute(key, path) {
                        filler.fill_found(&self.inside()[slot]);
                    }
                }
                Source::Body(path) => {
                    if let Some(slot) = plan.nested.slot_in_body(path) {
                        filler.fill_found(&self.bodies()[slot]);
                    }
                }
                Source::RequestTarget => self.fill_request(&mut filler, |target| Some(target)),
                Source::Extension => self.fill_request(&mut filler, request_target::extension),
                Source::Resource(key) => {
                    let column = self.by_name.get(signal::RESOURCE).copied();
                    if let (Some(values), Some(column)) = (self.resources.of(key), column) {
                        filler.fill_resource(column, values);
                    }
                }
            }
        }
        filler.field.more.sort_by_key(|(row, _)| *row);
        filler.field
    }
}
