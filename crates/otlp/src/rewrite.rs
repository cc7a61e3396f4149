//! Rewriting of a request at the level of its bytes, for whoever must take something out before it is kept.
//!
//! The rewriter knows where OTLP has texts, attributes and values; an [`Editor`] knows what must not stay. Messages in
//! which something was edited are written anew, from the inside out; every other byte is copied as it came, unknown
//! fields and the order of fields included. A request in which nothing is edited is not copied at all.
//!
//! The rewriter is meant to run before [`crate::decode`] and is at least as strict about framing in what it walks. It
//! does not judge what a decoder judges: a text that is not UTF-8 is shown to the editor with replacement characters
//! and, when the editor keeps it, stays as it is for the decoder to refuse.

mod draft;
mod part;
mod shape;
mod walk;

use std::borrow::Cow;
use std::ops::Range;

use model::Signal;

use crate::fault::DecodeError;
use crate::{Format, MAX_PAYLOAD_BYTES, json};

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The key of an attribute, or of a nested list.
    Key,
    /// The value of an attribute, or inside it.
    Value,
    /// The body of a log record, or inside it.
    Body,
    /// Any other text: names, status message, trace state, schema URL, severity, version.
    Text,
}

/// What an editor remembers about an attribute while its value is walked. The default is that of texts outside
/// attributes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rule {
    /// Means something to the editor alone.
    pub number: u32,
    /// Whether the rule is about the whole value: every leaf is shown, numbers included, whatever
    /// [`Editor::is_clear`] says.
    pub is_whole: bool,
}

/// What becomes of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken out, key and value.
    Drop,
    /// Its key and the leaves of its value are shown one by one, under this rule.
    Walk(Rule),
}

/// What becomes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It stays.
    Keep,
    /// Its field is taken out; a key takes its attribute with it.
    Drop,
    /// Another text takes its place.
    Replace(String),
}

/// An attribute that the editor adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its key. An attribute of the same key that the client sent wins.
    pub key: String,
    /// Its value.
    pub value: AddedValue,
}

/// The value of an added attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddedValue {
    /// Text.
    Text(String),
    /// An integer.
    Int(i64),
}

/// Decides what of a request stays.
pub trait Editor {
    /// Whether nothing in this range of the payload needs an edit; it is then copied unread. Must be quick.
    fn is_clear(&self, range: Range<usize>) -> bool;

    /// Judges an attribute, or an entry of a nested list, by its key; `outer` is the rule of what it is nested in.
    fn attribute(&mut self, outer: Rule, key: &str) -> Verdict;

    /// Judges a text; under a whole rule also numbers and truth values, written as text.
    fn text(&mut self, place: Place, rule: Rule, text: &str) -> Edit;

    /// Whether a field that OTLP does not name, or an id of an impossible length, has to go.
    fn drops_unknown(&mut self, bytes: &[u8]) -> bool;

    /// Attributes for the resource, scope, span, event, link or log record that is being walked; the rewriter takes
    /// them out at its end. Nothing else may be taken out of the list.
    fn added(&mut self) -> &mut Vec<Added>;
}

/// A request after rewriting.
#[derive(Debug)]
pub struct Rewritten<'a> {
    /// Its bytes; borrowed when nothing was edited.
    pub payload: Cow<'a, [u8]>,
    /// Spans or log records that had to be looked into.
    pub records_walked: u64,
}

/// The protobuf form of a request; borrowed when it came as protobuf.
///
/// # Errors
/// [`DecodeError`] when the JSON is not OTLP, or the payload is too large to be decoded.
pub fn to_protobuf(signal: Signal, format: Format, payload: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(DecodeError::TooLarge { limit_bytes: MAX_PAYLOAD_BYTES });
    }
    match format {
        Format::Protobuf => Ok(Cow::Borrowed(payload)),
        Format::Json => json::to_protobuf(json::request(signal), payload).map(Cow::Owned),
    }
}

/// Shows every text, key and value of a protobuf request to the editor, and does what it says.
///
/// # Errors
/// [`DecodeError::Protobuf`] where the framing of what is walked is damaged, [`DecodeError::TooDeep`] for a value nested
/// deeper than [`crate::MAX_DEPTH`]: what cannot be walked cannot be vouched for.
pub fn rewrite<'a, E: Editor>(signal: Signal, payload: &'a [u8], editor: &mut E) -> Result<Rewritten<'a>, DecodeError> {
    let mut walker = walk::Walker { signal, editor, records: 0 };
    let rewritten = walker.message(shape::Shape::Request, payload, 0)?;
    let payload = rewritten.map_or(Cow::Borrowed(payload), Cow::Owned);
    Ok(Rewritten { payload, records_walked: walker.records })
}
