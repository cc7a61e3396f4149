//! The columns that every signal ends with: service, resource, scope, attributes, reception.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, DictionaryArray, Int32Array, ListBuilder, StringArray, StringBuilder,
    TimestampNanosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field};
use model::attribute::{self, Value};
use model::field::{DERIVED, FieldKind, PROMOTED};
use model::signal;

use crate::Arrival;
use crate::column::{Counts, Ints, Labels, Runs, Texts};
use crate::derive::{CLUES, Clue, Clues, Outcome};
use crate::fault::DecodeError;
use crate::value::{self, Oddities};
use crate::wire::Fields;

/// The service of a resource that names none.
const UNKNOWN_SERVICE: &str = "unknown_service";
const SERVICE_NAME: &str = "service.name";

/// What is known of an attribute by its name alone.
struct Known {
    name: &'static str,
    /// Its column among the promoted ones.
    column: Option<usize>,
    clue: Option<Clue>,
}

/// Known attributes by the length of their names: two or three candidates for any key, so no hashing.
static KNOWN_BY_LENGTH: LazyLock<Vec<Vec<Known>>> = LazyLock::new(|| {
    let clue_of = |wanted: &str| CLUES.iter().find(|(name, _)| *name == wanted).map(|(_, clue)| *clue);
    let columns = PROMOTED.iter().enumerate().map(|(index, promoted)| Known {
        name: promoted.name,
        column: Some(index),
        clue: clue_of(promoted.name),
    });
    let is_promoted = |name: &str| PROMOTED.iter().any(|promoted| promoted.name == name);
    let others = CLUES.iter().filter(|(name, _)| !is_promoted(name));
    let others = others.map(|(name, clue)| Known { name, column: None, clue: Some(*clue) });
    let mut by_length = Vec::new();
    for known in columns.chain(others) {
        if by_length.len() <= known.name.len() {
            by_length.resize_with(known.name.len() + 1, Vec::new);
        }
        by_length[known.name.len()].push(known);
    }
    by_length
});

fn known(key: &[u8]) -> Option<&'static Known> {
    KNOWN_BY_LENGTH.get(key.len())?.iter().find(|known| known.name.as_bytes() == key)
}

/// Column numbers of what can be derived, in the order of their bits.
static DERIVED_COLUMNS: LazyLock<[usize; 2]> = LazyLock::new(|| {
    DERIVED
        .map(|name| PROMOTED.iter().position(|promoted| promoted.name == name).expect("derived columns are promoted"))
});
const OUTCOME_BIT: usize = 0;
const CLIENT_BIT: usize = 1;

enum PromotedColumn {
    Label(Labels),
    Text(Texts),
    Int(Ints),
}

impl PromotedColumn {
    /// Whether the value went into the column: it has the column's type and is the first of its key.
    fn put(&mut self, row: usize, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Label(column), Value::Str(text)) => column.put(row, text),
            (Self::Text(column), Value::Str(text)) => column.put(row, text),
            (Self::Int(column), Value::Int(number)) => column.put(row, *number),
            _ => false,
        }
    }

    fn finish(self, rows: usize) -> ArrayRef {
        match self {
            Self::Label(column) => column.finish(rows),
            Self::Text(column) => column.finish(rows),
            Self::Int(column) => column.finish(rows),
        }
    }
}

/// Builders of the shared columns.
pub(crate) struct Tail {
    arrival: Arrival,
    /// Whether the credential lists the service of the rows to come, and of the rows so far.
    is_verified: bool,
    verified: BooleanBufferBuilder,
    service: Runs,
    resource: Runs,
    scope_name: Runs,
    scope_version: Runs,
    scope: Runs,
    promoted: Vec<PromotedColumn>,
    rest: ListBuilder<StringBuilder>,
    dropped: Counts,
    derived: Counts,
    rows: usize,
    entry: String,
    pub odd: Oddities,
}

impl Tail {
    pub fn new(rows_expected: usize, arrival: &Arrival) -> Self {
        let promoted = PROMOTED.iter().map(|field| match field.kind {
            FieldKind::Label => PromotedColumn::Label(Labels::default()),
            FieldKind::Text => PromotedColumn::Text(Texts::default()),
            FieldKind::Int => PromotedColumn::Int(Ints::default()),
        });
        let entries = StringBuilder::with_capacity(rows_expected * 4, rows_expected * 128);
        let item = Field::new("item", DataType::Utf8, false);
        Self {
            arrival: arrival.clone(),
            is_verified: false,
            verified: BooleanBufferBuilder::new(0),
            service: Runs::default(),
            resource: Runs::default(),
            scope_name: Runs::default(),
            scope_version: Runs::default(),
            scope: Runs::default(),
            promoted: promoted.collect(),
            rest: ListBuilder::with_capacity(entries, rows_expected).with_field(item),
            dropped: Counts::default(),
            derived: Counts::default(),
            rows: 0,
            entry: String::with_capacity(256),
            odd: Oddities::default(),
        }
    }

    /// Number of the row being built.
    pub fn row(&self) -> usize {
        self.rows
    }

    /// The resource of the rows to come. `parts` are its Resource messages (one, but the wire allows more).
    pub fn set_resource(&mut self, parts: &[&[u8]], schema_url: &str) -> Result<(), DecodeError> {
        let (mut list, mut dropped, mut service) = (String::new(), 0, None);
        for part in parts {
            let mut fields = Fields::of(part, "resource");
            while let Some((number, payload)) = fields.next()? {
                match number {
                    1 => {
                        let bytes = payload.bytes("resource.attributes")?;
                        let (key, value) = value::read_pair(bytes, "resource.attributes", &mut self.odd)?;
                        if signal::is_server_written(key) {
                            continue;
                        }
                        attribute::push_to_list(&mut list, key, &value);
                        if key == SERVICE_NAME && service.is_none() {
                            service = Some(value.text().into_owned());
                        }
                    }
                    2 => dropped = payload.uint32("resource.dropped_attributes_count")?,
                    _ => {}
                }
            }
        }
        push_reserved(&mut list, schema_url, dropped);
        let service = service.filter(|name| !name.is_empty());
        let service = service.as_deref().unwrap_or(UNKNOWN_SERVICE);
        self.is_verified =
            self.arrival.services.as_deref().is_some_and(|names| names.iter().any(|name| name == service));
        self.service.set(Some(service));
        self.resource.set(Some(&list));
        Ok(())
    }

    /// The scope of the rows to come. `parts` are its InstrumentationScope messages.
    pub fn set_scope(&mut self, parts: &[&[u8]], schema_url: &str) -> Result<(), DecodeError> {
        let (mut list, mut dropped, mut name, mut version) = (String::new(), 0, "", "");
        for part in parts {
            let mut fields = Fields::of(part, "scope");
            while let Some((number, payload)) = fields.next()? {
                match number {
                    1 => name = payload.text("scope.name")?,
                    2 => version = payload.text("scope.version")?,
                    3 => {
                        let bytes = payload.bytes("scope.attributes")?;
                        let (key, value) = value::read_pair(bytes, "scope.attributes", &mut self.odd)?;
                        attribute::push_to_list(&mut list, key, &value);
                    }
                    4 => dropped = payload.uint32("scope.dropped_attributes_count")?,
                    _ => {}
                }
            }
        }
        push_reserved(&mut list, schema_url, dropped);
        let nonempty = |text| Some(text).filter(|text: &&str| !text.is_empty());
        self.scope_name.set(nonempty(name));
        self.scope_version.set(nonempty(version));
        self.scope.set(nonempty(&list));
        Ok(())
    }

    /// Adds an attribute, given as a KeyValue message, to the row being built, and notes what it tells.
    pub fn attribute<'a>(
        &mut self,
        bytes: &'a [u8],
        field: &'static str,
        clues: &mut Clues<'a>,
    ) -> Result<(), DecodeError> {
        let (key, value) = value::split_pair(bytes, field, &mut self.odd)?;
        let value = value::read(value, field, &mut self.odd)?;
        // a known name is text, so only others are checked to be
        let Some(known) = known(key) else {
            let key = value::text_key(key, field)?;
            // who brought the event is the server's word alone
            if !signal::is_server_written(key) {
                self.put_rest(key, &value);
            }
            return Ok(());
        };
        if let Some(clue) = known.clue {
            let sees_proxies = !self.arrival.trusted_proxies.is_empty();
            clues.note(clue, &value, sees_proxies);
            // its place is decided when the whole event is known
            if sees_proxies && clue == Clue::ClientAddress && known.column.is_some() {
                if clues.origin.held.is_none() && matches!(value, Value::Str(_)) {
                    clues.origin.held = Some(value.text().into_owned());
                    return Ok(());
                }
                self.put_rest(known.name, &value);
                return Ok(());
            }
        }
        if !known.column.is_some_and(|column| self.promoted[column].put(self.rows, &value)) {
            self.put_rest(known.name, &value);
        }
        Ok(())
    }

    /// Adds an attribute without a column of its own to the row being built.
    pub fn put_rest(&mut self, key: &str, value: &Value<'_>) {
        self.entry.clear();
        attribute::push_entry(&mut self.entry, key, value);
        self.rest.values().append_value(&self.entry);
    }

    /// Adds what follows from the row's attributes.
    pub fn derive(&mut self, outcome: Option<Outcome>, clues: &mut Clues<'_>) {
        let mut bits = 0;
        if let Some(outcome) = outcome
            && self.put_derived(OUTCOME_BIT, outcome.as_str())
        {
            bits |= 1 << OUTCOME_BIT;
        }
        if !self.arrival.trusted_proxies.is_empty() {
            let sent = clues.origin.held.take();
            let found = clues.origin.client_address(&self.arrival.trusted_proxies);
            match (found, sent) {
                (Some(address), sent) => {
                    if let Some(sent) = sent {
                        self.put_rest(DERIVED[CLIENT_BIT], &Value::str(&sent));
                    }
                    if self.put_derived(CLIENT_BIT, &address) {
                        bits |= 1 << CLIENT_BIT;
                    }
                }
                (None, Some(sent)) => {
                    self.put_derived(CLIENT_BIT, &sent);
                }
                (None, None) => {}
            }
        }
        self.derived.put_nonzero(self.rows, bits);
    }

    fn put_derived(&mut self, bit: usize, text: &str) -> bool {
        self.promoted[DERIVED_COLUMNS[bit]].put(self.rows, &Value::str(text))
    }

    /// Completes the row being built.
    pub fn end_row(&mut self, dropped_attributes: u32) {
        self.dropped.put_nonzero(self.rows, dropped_attributes);
        self.rest.append(true);
        for column in
            [&mut self.service, &mut self.resource, &mut self.scope_name, &mut self.scope_version, &mut self.scope]
        {
            column.push();
        }
        if self.arrival.services.is_some() {
            self.verified.append(self.is_verified);
        }
        self.rows += 1;
    }

    /// Appends the finished columns in schema order.
    pub fn finish_into(mut self, columns: &mut Vec<ArrayRef>) {
        let rows = self.rows;
        columns.extend([
            self.service.finish(),
            self.resource.finish(),
            self.scope_name.finish(),
            self.scope_version.finish(),
            self.scope.finish(),
        ]);
        columns.extend(self.promoted.into_iter().map(|column| column.finish(rows)));
        columns.push(Arc::new(self.rest.finish()));
        columns.push(self.dropped.finish(rows));
        columns.push(times(vec![self.arrival.received_at.0; rows]));
        columns.push(key_column(self.arrival.key_id.as_deref(), rows));
        columns.push(self.derived.finish(rows));
        columns.push(match self.arrival.services {
            Some(_) => Arc::new(BooleanArray::new(self.verified.finish(), None)),
            None => new_null_array(&DataType::Boolean, rows),
        });
    }
}

/// A time column without nulls.
pub(crate) fn times(nanos: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(nanos).with_timezone("+00:00"))
}

fn key_column(key_id: Option<&str>, rows: usize) -> ArrayRef {
    let keys = Int32Array::from(vec![key_id.map(|_| 0); rows]);
    let values = StringArray::from_iter_values(key_id);
    Arc::new(DictionaryArray::new(keys, Arc::new(values)))
}

fn push_reserved(list: &mut String, schema_url: &str, dropped: u32) {
    if !schema_url.is_empty() {
        attribute::push_to_list(list, attribute::SCHEMA_URL, &Value::str(schema_url));
    }
    if dropped > 0 {
        attribute::push_to_list(list, attribute::DROPPED, &Value::Int(i64::from(dropped)));
    }
}
