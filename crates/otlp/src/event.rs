//! Span events and links, which are stored as the OTLP fields they came in.

use model::{SpanId, TraceId, UnixNanos, Value};

use crate::fault::DecodeError;
use crate::span::{EVENTS_FIELD, LINKS_FIELD};
use crate::value::{self, Oddities};
use crate::wire::Fields;

/// An event of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    /// When it happened; 0 when the client did not say.
    pub time: UnixNanos,
    /// Its name.
    pub name: String,
    /// Its attributes in wire order.
    pub attributes: Vec<(String, Value<'static>)>,
    /// How many attributes the client dropped.
    pub dropped_attributes: u32,
}

/// A link from a span to another.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanLink {
    /// The other span's trace; `None` when the client sent no valid id.
    pub trace_id: Option<TraceId>,
    /// The other span; `None` when the client sent no valid id.
    pub span_id: Option<SpanId>,
    /// W3C trace state of the other span.
    pub trace_state: String,
    /// Attributes of the link in wire order.
    pub attributes: Vec<(String, Value<'static>)>,
    /// How many attributes the client dropped.
    pub dropped_attributes: u32,
    /// W3C trace flags of the link and OTLP's bits above them.
    pub flags: u32,
}

/// Reads the `events` column of a span. Bytes that a decode did not write end the list early.
pub fn decode_events(stored: &[u8]) -> Vec<SpanEvent> {
    each(stored, EVENTS_FIELD, read_event)
}

/// Reads the `links` column of a span. Bytes that a decode did not write end the list early.
pub fn decode_links(stored: &[u8]) -> Vec<SpanLink> {
    each(stored, LINKS_FIELD, read_link)
}

/// The exception that an event tells of.
#[derive(Debug, Default)]
pub(crate) struct Exception<'a> {
    pub type_name: Option<&'a str>,
    pub message: Option<&'a str>,
}

/// Checks an event before it is stored as it is; gives its exception when its name is `exception`.
pub(crate) fn check_event<'a>(bytes: &'a [u8], odd: &mut Oddities) -> Result<Option<Exception<'a>>, DecodeError> {
    let mut exception = Exception::default();
    let mut is_exception = false;
    let mut fields = Fields::of(bytes, "span.events");
    while let Some((number, payload)) = fields.next()? {
        match number {
            1 => {
                payload.fixed64("span.events.time_unix_nano")?;
            }
            2 => is_exception = payload.text("span.events.name")? == "exception",
            3 => {
                let pair = payload.bytes("span.events.attributes")?;
                let (key, value) = value::read_pair(pair, "span.events.attributes", odd)?;
                let Value::Str(std::borrow::Cow::Borrowed(text)) = value else { continue };
                match key {
                    "exception.type" if exception.type_name.is_none() => exception.type_name = Some(text),
                    "exception.message" if exception.message.is_none() => exception.message = Some(text),
                    _ => {}
                }
            }
            4 => {
                payload.varint("span.events.dropped_attributes_count")?;
            }
            _ => {}
        }
    }
    Ok(is_exception.then_some(exception))
}

/// Checks a link before it is stored as it is.
pub(crate) fn check_link(bytes: &[u8], odd: &mut Oddities) -> Result<(), DecodeError> {
    let mut fields = Fields::of(bytes, "span.links");
    while let Some((number, payload)) = fields.next()? {
        match number {
            1 | 2 => {
                payload.bytes("span.links.trace_id")?;
            }
            3 => {
                payload.text("span.links.trace_state")?;
            }
            4 => {
                value::read_pair(payload.bytes("span.links.attributes")?, "span.links.attributes", odd)?;
            }
            5 => {
                payload.varint("span.links.dropped_attributes_count")?;
            }
            6 => {
                payload.fixed32("span.links.flags")?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn each<T>(stored: &[u8], wanted: u32, read: impl Fn(&[u8]) -> Result<T, DecodeError>) -> Vec<T> {
    let mut found = Vec::new();
    let mut fields = Fields::of(stored, "span");
    while let Ok(Some((number, payload))) = fields.next() {
        let Ok(bytes) = payload.bytes("span") else { break };
        if number != wanted {
            continue;
        }
        let Ok(item) = read(bytes) else { break };
        found.push(item);
    }
    found
}

fn read_event(bytes: &[u8]) -> Result<SpanEvent, DecodeError> {
    let mut event =
        SpanEvent { time: UnixNanos(0), name: String::new(), attributes: Vec::new(), dropped_attributes: 0 };
    let mut fields = Fields::of(bytes, "span.events");
    while let Some((number, payload)) = fields.next()? {
        match number {
            1 => event.time = UnixNanos(i64::try_from(payload.fixed64("time_unix_nano")?).unwrap_or(i64::MAX)),
            2 => event.name = payload.text("name")?.to_owned(),
            3 => event.attributes.push(read_attribute(payload.bytes("attributes")?)?),
            4 => event.dropped_attributes = payload.uint32("dropped_attributes_count")?,
            _ => {}
        }
    }
    Ok(event)
}

fn read_link(bytes: &[u8]) -> Result<SpanLink, DecodeError> {
    let mut link = SpanLink {
        trace_id: None,
        span_id: None,
        trace_state: String::new(),
        attributes: Vec::new(),
        dropped_attributes: 0,
        flags: 0,
    };
    let mut fields = Fields::of(bytes, "span.links");
    while let Some((number, payload)) = fields.next()? {
        match number {
            1 => link.trace_id = TraceId::from_slice(payload.bytes("trace_id")?),
            2 => link.span_id = SpanId::from_slice(payload.bytes("span_id")?),
            3 => link.trace_state = payload.text("trace_state")?.to_owned(),
            4 => link.attributes.push(read_attribute(payload.bytes("attributes")?)?),
            5 => link.dropped_attributes = payload.uint32("dropped_attributes_count")?,
            6 => link.flags = payload.fixed32("flags")?,
            _ => {}
        }
    }
    Ok(link)
}

fn read_attribute(bytes: &[u8]) -> Result<(String, Value<'static>), DecodeError> {
    let (key, value) = value::read_pair(bytes, "attributes", &mut Oddities::default())?;
    Ok((key.to_owned(), value.into_owned()))
}
