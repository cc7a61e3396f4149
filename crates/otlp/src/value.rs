//! Attribute values: from wire bytes to `model::Value` and to the protobuf types.
//!
//! Arrays and key/value lists become JSON text. What JSON cannot say is said with one reserved key, so that the text
//! still reads back exactly: `{"\u001cbytes":"<hex>"}` and `{"\u001cdouble":"NaN"}`. Doubles always carry a point or
//! an exponent, integers never do; an empty value is `null`; a list keeps its order and its repeated keys.

use std::borrow::Cow;
use std::fmt::Write as _;

use model::Value;
use proto::common::v1::any_value::Value as AnyKind;
use proto::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::MAX_DEPTH;
use crate::fault::DecodeError;
use crate::wire::Fields;

const BYTES_KEY: &str = "\u{1c}bytes";
const DOUBLE_KEY: &str = "\u{1c}double";

/// Counts what is unusual but no fault.
#[derive(Debug, Default)]
pub(crate) struct Oddities {
    /// Keys and values that point into a string table, which only profiles have; they read as absent.
    pub table_references: u64,
}

/// One AnyValue, its nested values not yet read.
enum Node<'a> {
    Str(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(&'a [u8]),
    List(&'a [u8]),
    Bytes(&'a [u8]),
    Empty,
}

/// Reads a KeyValue message: key and value.
pub(crate) fn read_pair<'a>(
    bytes: &'a [u8],
    field: &'static str,
    odd: &mut Oddities,
) -> Result<(&'a str, Value<'a>), DecodeError> {
    let (key, value) = split_pair(bytes, field, odd)?;
    Ok((key, read(value, field, odd)?))
}

/// Reads an AnyValue message.
pub(crate) fn read<'a>(bytes: &'a [u8], field: &'static str, odd: &mut Oddities) -> Result<Value<'a>, DecodeError> {
    Ok(match node(bytes, field, odd)? {
        Node::Str(text) => Value::str(text),
        Node::Bool(flag) => Value::Bool(flag),
        Node::Int(number) => Value::Int(number),
        Node::Double(number) => Value::Double(number),
        Node::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        Node::Empty => Value::Empty,
        nested => {
            let mut json = String::new();
            write_json(&mut json, nested, 1, field, odd)?;
            Value::Json(Cow::Owned(json))
        }
    })
}

/// Key and AnyValue bytes of a KeyValue message; no value reads as an empty one.
fn split_pair<'a>(
    bytes: &'a [u8],
    field: &'static str,
    odd: &mut Oddities,
) -> Result<(&'a str, &'a [u8]), DecodeError> {
    let (mut key, mut value): (&str, &[u8]) = ("", &[]);
    let mut fields = Fields::of(bytes, field);
    while let Some((number, payload)) = fields.next()? {
        match number {
            1 => key = payload.text(field)?,
            2 => value = payload.bytes(field)?,
            3 => odd.table_references += u64::from(payload.varint(field)? != 0),
            _ => {}
        }
    }
    Ok((key, value))
}

fn node<'a>(bytes: &'a [u8], field: &'static str, odd: &mut Oddities) -> Result<Node<'a>, DecodeError> {
    let mut found = Node::Empty;
    let mut fields = Fields::of(bytes, field);
    while let Some((number, payload)) = fields.next()? {
        found = match number {
            1 => Node::Str(payload.text(field)?),
            2 => Node::Bool(payload.varint(field)? != 0),
            3 => Node::Int(payload.varint(field)? as i64),
            4 => Node::Double(f64::from_bits(payload.fixed64(field)?)),
            5 => Node::Array(payload.bytes(field)?),
            6 => Node::List(payload.bytes(field)?),
            7 => Node::Bytes(payload.bytes(field)?),
            8 => {
                payload.varint(field)?;
                odd.table_references += 1;
                Node::Empty
            }
            _ => continue,
        };
    }
    Ok(found)
}

fn write_json(
    out: &mut String,
    value: Node<'_>,
    depth: u32,
    field: &'static str,
    odd: &mut Oddities,
) -> Result<(), DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::TooDeep { field });
    }
    match value {
        Node::Str(text) => write_json_text(out, text),
        Node::Bool(flag) => out.push_str(if flag { "true" } else { "false" }),
        Node::Int(number) => write_display(out, format_args!("{number}")),
        Node::Double(number) if number.is_finite() => write_display(out, format_args!("{number:?}")),
        Node::Double(number) => write_reserved(out, DOUBLE_KEY, &number.to_string()),
        Node::Bytes(bytes) => write_reserved(out, BYTES_KEY, &hex::encode(bytes)),
        Node::Empty => out.push_str("null"),
        Node::Array(bytes) => {
            out.push('[');
            let start = out.len();
            let mut fields = Fields::of(bytes, field);
            while let Some((number, payload)) = fields.next()? {
                if number != 1 {
                    continue;
                }
                separate(out, start);
                let element = node(payload.bytes(field)?, field, odd)?;
                write_json(out, element, depth + 1, field, odd)?;
            }
            out.push(']');
        }
        Node::List(bytes) => {
            out.push('{');
            let start = out.len();
            let mut fields = Fields::of(bytes, field);
            while let Some((number, payload)) = fields.next()? {
                if number != 1 {
                    continue;
                }
                separate(out, start);
                let (key, value) = split_pair(payload.bytes(field)?, field, odd)?;
                write_json_text(out, key);
                out.push(':');
                let value = node(value, field, odd)?;
                write_json(out, value, depth + 1, field, odd)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn separate(out: &mut String, start: usize) {
    if out.len() > start {
        out.push(',');
    }
}

fn write_display(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string does not fail");
}

fn write_reserved(out: &mut String, key: &str, text: &str) {
    out.push('{');
    write_json_text(out, key);
    out.push(':');
    write_json_text(out, text);
    out.push('}');
}

/// Appends a JSON string with its quotes.
pub(crate) fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => write_display(out, format_args!("\\u{control:04x}")),
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// The protobuf type of a stored value; `Empty` is an AnyValue without content.
pub(crate) fn any_value(value: &Value<'_>) -> AnyValue {
    let kind = match value {
        Value::Str(text) => Some(AnyKind::StringValue(text.to_string())),
        Value::Int(number) => Some(AnyKind::IntValue(*number)),
        Value::Double(number) => Some(AnyKind::DoubleValue(*number)),
        Value::Bool(flag) => Some(AnyKind::BoolValue(*flag)),
        Value::Bytes(bytes) => Some(AnyKind::BytesValue(bytes.clone())),
        Value::Empty => None,
        // JSON that was not written by this module can only come from a damaged file; its text is the best there is
        Value::Json(json) => match serde_json::from_str::<Parsed>(json) {
            Ok(parsed) => parsed.0,
            Err(_) => Some(AnyKind::StringValue(json.to_string())),
        },
    };
    AnyValue { value: kind }
}

/// The protobuf type of a stored attribute.
pub(crate) fn key_value(key: &str, value: &Value<'_>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any_value(value)), key_strindex: 0 }
}

/// A value read back from the JSON text this module writes.
struct Parsed(Option<AnyKind>);

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParsedVisitor).map(Parsed)
    }
}

struct ParsedVisitor;

impl<'de> Visitor<'de> for ParsedVisitor {
    type Value = Option<AnyKind>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a stored value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(AnyKind::BoolValue(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(AnyKind::IntValue(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(AnyKind::IntValue(number as i64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(AnyKind::DoubleValue(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(AnyKind::StringValue(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Parsed(value)) = seq.next_element()? {
            values.push(AnyValue { value });
        }
        Ok(Some(AnyKind::ArrayValue(ArrayValue { values })))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some((key, Parsed(value))) = map.next_entry::<String, Parsed>()? {
            values.push(KeyValue { key, value: Some(AnyValue { value }), key_strindex: 0 });
        }
        if let [only] = values.as_slice()
            && let Some(AnyValue { value: Some(AnyKind::StringValue(text)) }) = &only.value
        {
            if only.key == BYTES_KEY {
                return Ok(hex::decode(text).ok().map(AnyKind::BytesValue));
            }
            if only.key == DOUBLE_KEY {
                return Ok(text.parse().ok().map(AnyKind::DoubleValue));
            }
        }
        Ok(Some(AnyKind::KvlistValue(KeyValueList { values })))
    }
}
