//! The columns that every signal ends with: service, resource, scope, attributes, reception.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, DictionaryArray, Int32Array, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::DataType;
use model::attribute::{self, Value};
use model::column::nulls;
use model::field::{DERIVED, FieldKind, PROMOTED};
use model::signal;

use crate::Arrival;
use crate::column::{Counts, Entries, Ints, Labels, Runs, Texts};
use crate::derive::{CLUES, Clue, Clues, Outcome};
use crate::fault::DecodeError;
use crate::recent::{Place, Read, Recent, Said};
use crate::value::{self, Oddities};
use crate::wire::Fields;

/// The service of a resource that names none.
const UNKNOWN_SERVICE: &str = "unknown_service";
const SERVICE_NAME: &str = "service.name";

/// What is known of an attribute by its name alone.
struct Known {
    name: &'static str,
    /// Its column among the promoted ones.
    column: Option<u16>,
    clue: Option<Clue>,
}

/// Known attributes by the length of their names: two or three candidates for any key, so no hashing.
static KNOWN_BY_LENGTH: LazyLock<Vec<Vec<Known>>> = LazyLock::new(|| {
    let clue_of = |wanted: &str| CLUES.iter().find(|(name, _)| *name == wanted).map(|(_, clue)| *clue);
    let columns = PROMOTED.iter().enumerate().map(|(index, promoted)| Known {
        name: promoted.name,
        column: u16::try_from(index).ok(),
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

enum PromotedColumn<'a> {
    Label(Labels<'a>),
    Text(Texts),
    Int(Ints),
}

impl<'a> PromotedColumn<'a> {
    /// Where the value went, when it went into the column: it has the column's type and is the first of its key.
    fn put(&mut self, number: u16, row: usize, value: &Value<'a>) -> Option<Place> {
        match (self, value) {
            // texts off the wire are never copies
            (Self::Label(column), Value::Str(Cow::Borrowed(text))) => {
                column.put(row, text).map(|id| Place::Label { column: number, id })
            }
            (Self::Text(column), Value::Str(text)) => column.put(row, text).then_some(Place::Column(number)),
            (Self::Int(column), Value::Int(value)) => column.put(row, *value).then_some(Place::Column(number)),
            _ => None,
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
pub(crate) struct Tail<'a> {
    arrival: Arrival,
    /// Whether the credential lists the service, for each row whose resource is known.
    verified: BooleanBufferBuilder,
    service: Runs,
    resource: Runs,
    scope_name: Runs,
    scope_version: Runs,
    scope: Runs,
    promoted: Vec<PromotedColumn<'a>>,
    rest: Entries,
    recent: Recent<'a>,
    dropped: Counts,
    derived: Counts,
    rows: usize,
    pub odd: Oddities,
}

impl<'a> Tail<'a> {
    pub fn new(rows_expected: usize, arrival: &Arrival) -> Self {
        let promoted = PROMOTED.iter().map(|field| match field.kind {
            FieldKind::Label => PromotedColumn::Label(Labels::new(rows_expected)),
            FieldKind::Text => PromotedColumn::Text(Texts::new(rows_expected)),
            FieldKind::Int => PromotedColumn::Int(Ints::new(rows_expected)),
        });
        Self {
            arrival: arrival.clone(),
            verified: BooleanBufferBuilder::new(0),
            service: Runs::default(),
            resource: Runs::default(),
            scope_name: Runs::default(),
            scope_version: Runs::default(),
            scope: Runs::default(),
            promoted: promoted.collect(),
            rest: Entries::with_capacity(rows_expected),
            recent: Recent::new(rows_expected * 8),
            dropped: Counts::new(rows_expected),
            derived: Counts::new(rows_expected),
            rows: 0,
            odd: Oddities::default(),
        }
    }

    /// Number of the row being built.
    pub fn row(&self) -> usize {
        self.rows
    }

    /// The resource of the rows from `first` on. `parts` are its Resource messages (one, but the wire allows more).
    pub fn set_resource(&mut self, first: usize, parts: &[&[u8]], schema_url: &str) -> Result<(), DecodeError> {
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
        if let Some(names) = &self.arrival.services {
            self.verified.append_n(self.rows - first, names.iter().any(|name| name == service));
        }
        self.service.set(first, Some(service));
        self.resource.set(first, Some(&list));
        Ok(())
    }

    /// The scope of the rows from `first` on. `parts` are its InstrumentationScope messages.
    pub fn set_scope(&mut self, first: usize, parts: &[&[u8]], schema_url: &str) -> Result<(), DecodeError> {
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
                        if signal::is_server_written(key) {
                            continue;
                        }
                        attribute::push_to_list(&mut list, key, &value);
                    }
                    4 => dropped = payload.uint32("scope.dropped_attributes_count")?,
                    _ => {}
                }
            }
        }
        push_reserved(&mut list, schema_url, dropped);
        let nonempty = |text| Some(text).filter(|text: &&str| !text.is_empty());
        self.scope_name.set(first, nonempty(name));
        self.scope_version.set(first, nonempty(version));
        self.scope.set(first, nonempty(&list));
        Ok(())
    }

    /// Adds an attribute, given as a KeyValue message, to the row being built, and notes what it tells.
    pub fn attribute(
        &mut self,
        bytes: &'a [u8],
        field: &'static str,
        clues: &mut Clues<'a>,
    ) -> Result<(), DecodeError> {
        match self.recent.get(bytes) {
            Some(read) if self.repeat(&read, clues) => Ok(()),
            _ => self.read_attribute(bytes, field, clues),
        }
    }

    /// Adds an attribute that was read before; `false` when this row has a value of its key already.
    fn repeat(&mut self, read: &Read<'a>, clues: &mut Clues<'a>) -> bool {
        let is_put = match (read.place, read.said) {
            (Place::Nowhere, _) => true,
            (Place::Rest { start, end }, _) => {
                self.rest.repeat(start as usize..end as usize);
                true
            }
            (Place::Label { column, id }, _) => match &mut self.promoted[column as usize] {
                PromotedColumn::Label(labels) => labels.put_id(self.rows, id),
                _ => false,
            },
            (Place::Column(column), Said::Text(text)) => {
                self.promoted[column as usize].put(column, self.rows, &Value::str(text)).is_some()
            }
            (Place::Column(column), Said::Int(number)) => {
                self.promoted[column as usize].put(column, self.rows, &Value::Int(number)).is_some()
            }
            (Place::Column(_), Said::Other) => false,
        };
        if let (true, Some(clue)) = (is_put, read.clue) {
            let sees_proxies = !self.arrival.trusted_proxies.is_empty();
            match read.said {
                Said::Text(text) => clues.note(clue, &Value::str(text), read.place.is_column(), sees_proxies),
                Said::Int(number) => clues.note(clue, &Value::Int(number), read.place.is_column(), sees_proxies),
                Said::Other => {}
            }
        }
        is_put
    }

    fn read_attribute(
        &mut self,
        bytes: &'a [u8],
        field: &'static str,
        clues: &mut Clues<'a>,
    ) -> Result<(), DecodeError> {
        let odd_before = self.odd.table_references;
        let (key, value) = value::split_pair(bytes, field, &mut self.odd)?;
        let value = value::read(value, field, &mut self.odd)?;
        // a known name is text, so only others are checked to be
        let known = known(key);
        let place = match known {
            None => {
                let key = value::text_of(key, field)?;
                // some names are the server's word alone
                if signal::is_server_written(key) { Some(Place::Nowhere) } else { self.put_rest(key, &value) }
            }
            Some(known) => {
                let sees_proxies = !self.arrival.trusted_proxies.is_empty();
                // its place is decided when the whole event is known
                if sees_proxies && known.clue == Some(Clue::ClientAddress) && known.column.is_some() {
                    let is_held = clues.origin.held.is_none() && matches!(value, Value::Str(_));
                    clues.note(Clue::ClientAddress, &value, is_held, sees_proxies);
                    if is_held {
                        clues.origin.held = Some(value.text().into_owned());
                    } else {
                        self.put_rest(known.name, &value);
                    }
                    return Ok(());
                }
                let column =
                    known.column.and_then(|column| self.promoted[column as usize].put(column, self.rows, &value));
                if let Some(clue) = known.clue {
                    clues.note(clue, &value, column.is_some(), sees_proxies);
                }
                match column {
                    Some(place) => Some(place),
                    None => {
                        let place = self.put_rest(known.name, &value);
                        // where a column had a value of this row already, it may take this one in another
                        place.filter(|_| known.column.is_none())
                    }
                }
            }
        };
        let said = match value {
            Value::Str(Cow::Borrowed(text)) => Said::Text(text),
            Value::Int(number) => Said::Int(number),
            _ => Said::Other,
        };
        let clue = known.and_then(|known| known.clue);
        // what tells something by another kind of value, or is odd, is read each time
        let is_plain = self.odd.table_references == odd_before && (clue.is_none() || !matches!(said, Said::Other));
        if let (true, Some(place)) = (is_plain, place) {
            self.recent.put(Read { bytes, said, place, clue });
        }
        Ok(())
    }

    /// Adds an attribute without a column of its own to the row being built.
    pub fn put_rest(&mut self, key: &str, value: &Value<'_>) -> Option<Place> {
        Place::rest(&self.rest.push(key, value))
    }

    /// Adds what follows from the row's attributes.
    pub fn derive(&mut self, outcome: Option<Outcome>, clues: &mut Clues<'_>) {
        let mut bits = 0;
        if let Some(outcome) = outcome
            && self.put_outcome(outcome)
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
                    if self.put_client(&address) {
                        bits |= 1 << CLIENT_BIT;
                    }
                }
                (None, Some(sent)) => {
                    self.put_client(&sent);
                }
                (None, None) => {}
            }
        }
        self.derived.put_nonzero(self.rows, bits);
    }

    fn put_outcome(&mut self, outcome: Outcome) -> bool {
        match &mut self.promoted[DERIVED_COLUMNS[OUTCOME_BIT]] {
            PromotedColumn::Label(column) => column.put(self.rows, outcome.as_str()).is_some(),
            _ => false,
        }
    }

    fn put_client(&mut self, address: &str) -> bool {
        match &mut self.promoted[DERIVED_COLUMNS[CLIENT_BIT]] {
            PromotedColumn::Text(column) => column.put(self.rows, address),
            _ => false,
        }
    }

    /// Completes the row being built.
    pub fn end_row(&mut self, dropped_attributes: u32) {
        self.dropped.put_nonzero(self.rows, dropped_attributes);
        self.rest.end_row();
        self.rows += 1;
    }

    /// Appends the finished columns in schema order.
    pub fn finish_into(mut self, columns: &mut Vec<ArrayRef>) {
        let rows = self.rows;
        columns.extend([
            self.service.finish(rows),
            self.resource.finish(rows),
            self.scope_name.finish(rows),
            self.scope_version.finish(rows),
            self.scope.finish(rows),
        ]);
        columns.extend(self.promoted.into_iter().map(|column| column.finish(rows)));
        columns.push(self.rest.finish());
        columns.push(self.dropped.finish(rows));
        columns.push(times(vec![self.arrival.received_at.0; rows]));
        columns.push(key_column(self.arrival.key_id.as_deref(), rows));
        columns.push(self.derived.finish(rows));
        columns.push(match self.arrival.services {
            Some(_) => Arc::new(BooleanArray::new(self.verified.finish(), None)),
            None => nulls(&DataType::Boolean, rows),
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
