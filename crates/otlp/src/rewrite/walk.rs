//! The walk through a request: every text, key and value is shown to the editor once.

use std::borrow::Cow;

use model::Signal;

use super::draft::Draft;
use super::part::{Part, Parts, Payload};
use super::shape::{Content, Shape};
use super::{Added, AddedValue, Edit, Editor, Place, Rule, Verdict};
use crate::MAX_DEPTH;
use crate::fault::DecodeError;
use crate::wire::{put_bytes, put_tag, put_varint};

/// Names a value in errors.
const VALUE: &str = "attribute value";

/// Field numbers of AnyValue.
mod any {
    pub(super) const TEXT: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    pub(super) const ARRAY: u32 = 5;
    pub(super) const LIST: u32 = 6;
    pub(super) const BYTES: u32 = 7;
}

pub(super) struct Walker<'e, E> {
    pub signal: Signal,
    pub editor: &'e mut E,
    /// Spans or log records looked into.
    pub records: u64,
}

/// What became of a part.
enum Change {
    Not,
    Gone,
    To(Vec<u8>),
}

impl From<Option<Vec<u8>>> for Change {
    fn from(rewritten: Option<Vec<u8>>) -> Self {
        rewritten.map_or(Self::Not, Self::To)
    }
}

impl<E: Editor> Walker<'_, E> {
    /// Walks a message that begins at byte `at` of the payload; `None` when it stays as it is.
    pub fn message(&mut self, shape: Shape, bytes: &[u8], at: usize) -> Result<Option<Vec<u8>>, DecodeError> {
        if matches!(shape, Shape::Span | Shape::LogRecord) {
            self.records += 1;
        }
        let added_before = self.editor.added().len();
        let mut draft = Draft::of(bytes);
        let mut parts = Parts::of(bytes, shape.name());
        while let Some(part) = parts.next()? {
            let Payload::Bytes(payload) = part.payload else { continue };
            if self.editor.is_clear(at + part.start..at + part.end) {
                continue;
            }
            let inside = at + part.end - payload.len();
            let change = match shape.content(self.signal, part.number) {
                Content::Message(shape) => self.message(shape, payload, inside)?.into(),
                Content::Text => self.text(Place::Text, Rule::default(), payload),
                Content::Attribute => self.pair(Rule::default(), Place::Value, payload, inside, 1)?,
                Content::Body => self.value(Rule::default(), Place::Body, payload, inside, 1)?.into(),
                Content::Id if matches!(payload.len(), 0 | 8 | 16) => Change::Not,
                Content::Id | Content::Unknown => self.unknown(payload),
            };
            apply(&mut draft, &part, part.number, change);
        }
        if let Some(number) = shape.attributes() {
            let added = self.editor.added().split_off(added_before);
            append(&mut draft, number, bytes, added)?;
        }
        Ok(draft.finish())
    }

    /// Walks a KeyValue whose value is at `depth`.
    fn pair(&mut self, outer: Rule, place: Place, bytes: &[u8], at: usize, depth: u32) -> Result<Change, DecodeError> {
        let mut rule = outer;
        let mut parts = Parts::of(bytes, VALUE);
        // the key may stand behind the value, or twice: the strictest rule holds
        while let Some(part) = parts.next()? {
            let (1, Payload::Bytes(key)) = (part.number, part.payload) else { continue };
            match self.editor.attribute(outer, &String::from_utf8_lossy(key)) {
                Verdict::Drop => return Ok(Change::Gone),
                Verdict::Walk(found) if !rule.is_whole => rule = found,
                Verdict::Walk(_) => {}
            }
        }
        let mut draft = Draft::of(bytes);
        let mut parts = Parts::of(bytes, VALUE);
        while let Some(part) = parts.next()? {
            let Payload::Bytes(payload) = part.payload else { continue };
            if !rule.is_whole && self.editor.is_clear(at + part.start..at + part.end) {
                continue;
            }
            let inside = at + part.end - payload.len();
            let change = match part.number {
                1 => self.text(Place::Key, rule, payload),
                2 => self.value(rule, place, payload, inside, depth)?.into(),
                _ => self.unknown(payload),
            };
            if part.number == 1 && matches!(change, Change::Gone) {
                return Ok(Change::Gone);
            }
            apply(&mut draft, &part, part.number, change);
        }
        Ok(draft.finish().into())
    }

    /// Walks an AnyValue.
    fn value(
        &mut self,
        rule: Rule,
        place: Place,
        bytes: &[u8],
        at: usize,
        depth: u32,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::TooDeep { field: VALUE });
        }
        let mut draft = Draft::of(bytes);
        let mut parts = Parts::of(bytes, VALUE);
        while let Some(part) = parts.next()? {
            if !rule.is_whole && self.editor.is_clear(at + part.start..at + part.end) {
                continue;
            }
            let inside = |payload: &[u8]| at + part.end - payload.len();
            let (number, change) = match (part.number, part.payload) {
                (any::TEXT, Payload::Bytes(payload)) => (any::TEXT, self.text(place, rule, payload)),
                // bytes of which a rule speaks become the text it puts in their place
                (any::BYTES, Payload::Bytes(payload)) => {
                    let number = if rule.is_whole { any::TEXT } else { any::BYTES };
                    (number, self.text(place, rule, payload))
                }
                (any::ARRAY, Payload::Bytes(payload)) => {
                    (any::ARRAY, self.array(rule, place, payload, inside(payload), depth)?.into())
                }
                (any::LIST, Payload::Bytes(payload)) => {
                    (any::LIST, self.list(rule, place, payload, inside(payload), depth)?.into())
                }
                (number, Payload::Bytes(payload)) => (number, self.unknown(payload)),
                (number, payload) if rule.is_whole => match number_text(number, payload) {
                    Some(text) => (any::TEXT, self.text(place, rule, text.as_bytes())),
                    None => continue,
                },
                _ => continue,
            };
            apply(&mut draft, &part, number, change);
        }
        Ok(draft.finish())
    }

    fn array(
        &mut self,
        rule: Rule,
        place: Place,
        bytes: &[u8],
        at: usize,
        depth: u32,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        self.elements(rule, bytes, at, |walker, payload, inside| {
            walker.value(rule, place, payload, inside, depth + 1).map(Change::from)
        })
    }

    fn list(
        &mut self,
        rule: Rule,
        place: Place,
        bytes: &[u8],
        at: usize,
        depth: u32,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        self.elements(rule, bytes, at, |walker, payload, inside| walker.pair(rule, place, payload, inside, depth + 1))
    }

    /// Walks a message whose field 1 holds elements: ArrayValue and KeyValueList.
    fn elements(
        &mut self,
        rule: Rule,
        bytes: &[u8],
        at: usize,
        mut walk: impl FnMut(&mut Self, &[u8], usize) -> Result<Change, DecodeError>,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        let mut draft = Draft::of(bytes);
        let mut parts = Parts::of(bytes, VALUE);
        while let Some(part) = parts.next()? {
            let Payload::Bytes(payload) = part.payload else { continue };
            if !rule.is_whole && self.editor.is_clear(at + part.start..at + part.end) {
                continue;
            }
            let change = match part.number {
                1 => walk(self, payload, at + part.end - payload.len())?,
                _ => self.unknown(payload),
            };
            apply(&mut draft, &part, part.number, change);
        }
        Ok(draft.finish())
    }

    fn text(&mut self, place: Place, rule: Rule, bytes: &[u8]) -> Change {
        let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
        match self.editor.text(place, rule, &text) {
            Edit::Keep => Change::Not,
            Edit::Drop => Change::Gone,
            Edit::Replace(text) => Change::To(text.into_bytes()),
        }
    }

    fn unknown(&mut self, bytes: &[u8]) -> Change {
        if self.editor.drops_unknown(bytes) { Change::Gone } else { Change::Not }
    }
}

fn apply(draft: &mut Draft<'_>, part: &Part<'_>, number: u32, change: Change) {
    match change {
        Change::Not => {}
        Change::Gone => draft.drop(part),
        Change::To(bytes) => draft.replace(part, number, &bytes),
    }
}

/// A number or truth value as text; `None` for what holds neither.
fn number_text(number: u32, payload: Payload<'_>) -> Option<String> {
    match (number, payload) {
        (any::BOOL, Payload::Varint(bits)) => Some((bits != 0).to_string()),
        (any::INT, Payload::Varint(bits)) => Some((bits as i64).to_string()),
        (any::DOUBLE, Payload::Fixed64(bits)) => Some(f64::from_bits(bits).to_string()),
        _ => None,
    }
}

/// Adds attributes at the end of a message, the first of each key, unless the client sent that key itself.
fn append(draft: &mut Draft<'_>, number: u32, message: &[u8], added: Vec<Added>) -> Result<(), DecodeError> {
    if added.is_empty() {
        return Ok(());
    }
    let mut taken = keys(number, message)?;
    for Added { key, value } in added {
        if taken.iter().any(|taken| *taken == key.as_bytes()) {
            continue;
        }
        draft.append(number, &encode_pair(&key, &value));
        taken.push(Cow::Owned(key.into_bytes()));
    }
    Ok(())
}

/// The keys of a message's attributes.
fn keys(number: u32, message: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, DecodeError> {
    let mut keys = Vec::new();
    let mut parts = Parts::of(message, VALUE);
    while let Some(part) = parts.next()? {
        let (true, Payload::Bytes(pair)) = (part.number == number, part.payload) else { continue };
        let mut inner = Parts::of(pair, VALUE);
        while let Some(part) = inner.next()? {
            if let (1, Payload::Bytes(key)) = (part.number, part.payload) {
                keys.push(Cow::Borrowed(key));
            }
        }
    }
    Ok(keys)
}

fn encode_pair(key: &str, value: &AddedValue) -> Vec<u8> {
    let mut any_value = Vec::new();
    match value {
        AddedValue::Text(text) => put_bytes(&mut any_value, any::TEXT, text.as_bytes()),
        AddedValue::Int(number) => {
            put_tag(&mut any_value, any::INT, 0);
            put_varint(&mut any_value, *number as u64);
        }
    }
    let mut pair = Vec::with_capacity(key.len() + any_value.len() + 8);
    put_bytes(&mut pair, 1, key.as_bytes());
    put_bytes(&mut pair, 2, &any_value);
    pair
}
