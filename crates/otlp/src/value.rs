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
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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
    Ok((text_of(key, field)?, read(value, field, odd)?))
}

/// A key or value as text.
pub(crate) fn text_of<'a>(key: &'a [u8], field: &'static str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(key).map_err(|_| DecodeError::Protobuf { field, problem: "not valid UTF-8" })
}

/// Reads an AnyValue message.
pub(crate) fn read<'a>(bytes: &'a [u8], field: &'static str, odd: &mut Oddities) -> Result<Value<'a>, DecodeError> {
    // nearly all values: a short text and nothing else
    if let [0x0a, length @ 0..0x80, text @ ..] = bytes
        && text.len() == usize::from(*length)
    {
        return text_of(text, field).map(Value::str);
    }
    Ok(match node(bytes, 1, field, odd)? {
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

/// Key and AnyValue bytes of a KeyValue message, neither read yet; no value reads as an empty one.
pub(crate) fn split_pair<'a>(
    bytes: &'a [u8],
    field: &'static str,
    odd: &mut Oddities,
) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
    split_pair_at(bytes, 1, field, odd)
}

/// As [`split_pair`], for a pair whose value is at `depth`. Of several keys or values the last counts; those before it are
/// checked all the same, since events and links are stored as they came.
fn split_pair_at<'a>(
    bytes: &'a [u8],
    depth: u32,
    field: &'static str,
    odd: &mut Oddities,
) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Fields::of(bytes, field);
    while let Some((number, payload)) = fields.next()? {
        match number {
            1 => {
                text_of(key, field)?;
                key = payload.bytes(field)?;
            }
            2 => {
                if !value.is_empty() {
                    let before = node(value, depth, field, odd)?;
                    check_nested(before, depth, field, odd)?;
                }
                value = payload.bytes(field)?;
            }
            3 => odd.table_references += u64::from(payload.varint(field)? != 0),
            _ => {}
        }
    }
    Ok((key, value))
}

/// Reads an AnyValue at `depth`. Of several contents the last counts; those before it are checked all the same.
fn node<'a>(bytes: &'a [u8], depth: u32, field: &'static str, odd: &mut Oddities) -> Result<Node<'a>, DecodeError> {
    let mut found = Node::Empty;
    let mut fields = Fields::of(bytes, field);
    while let Some((number, payload)) = fields.next()? {
        let next = match number {
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
        check_nested(std::mem::replace(&mut found, next), depth, field, odd)?;
    }
    Ok(found)
}

/// Checks what is inside an array or a list that is not kept.
fn check_nested(node: Node<'_>, depth: u32, field: &'static str, odd: &mut Oddities) -> Result<(), DecodeError> {
    match node {
        Node::Array(_) | Node::List(_) => write_json(&mut String::new(), node, depth, field, odd),
        _ => Ok(()),
    }
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
                let element = node(payload.bytes(field)?, depth + 1, field, odd)?;
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
                let (key, value) = split_pair_at(payload.bytes(field)?, depth + 1, field, odd)?;
                write_json_text(out, text_of(key, field)?);
                out.push(':');
                let value = node(value, depth + 1, field, odd)?;
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
        Value::Json(json) => match parse_json(json, 1) {
            Ok(parsed) => parsed,
            Err(_) => Some(AnyKind::StringValue(json.to_string())),
        },
    };
    AnyValue { value: kind }
}

/// The protobuf type of a stored attribute.
pub(crate) fn key_value(key: &str, value: &Value<'_>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any_value(value)), key_strindex: 0 }
}

/// Reads back the JSON text this module writes. Numbers are read from their own text, since the parser's doubles may be
/// off by the last bit.
fn parse_json(json: &str, depth: u32) -> Result<Option<AnyKind>, serde_json::Error> {
    let parse = |inner: &RawValue| parse_json(inner.get(), depth + 1).map(|value| AnyValue { value });
    Ok(match json.as_bytes().first() {
        _ if depth > MAX_DEPTH => None,
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(json)?;
            let values = elements.into_iter().map(parse).collect::<Result<_, _>>()?;
            Some(AnyKind::ArrayValue(ArrayValue { values }))
        }
        Some(b'{') => {
            let Pairs(pairs) = serde_json::from_str(json)?;
            let mut values = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                values.push(KeyValue { key, value: Some(parse(value)?), key_strindex: 0 });
            }
            Some(reserved(&values).unwrap_or(AnyKind::KvlistValue(KeyValueList { values })))
        }
        Some(b'"') => Some(AnyKind::StringValue(serde_json::from_str(json)?)),
        Some(b't') => Some(AnyKind::BoolValue(true)),
        Some(b'f') => Some(AnyKind::BoolValue(false)),
        Some(b'n') => None,
        _ if json.contains(['.', 'e', 'E']) => json.parse().ok().map(AnyKind::DoubleValue),
        _ => Some(AnyKind::IntValue(serde_json::from_str(json)?)),
    })
}

/// The value behind a reserved key; `None` for an ordinary list.
fn reserved(values: &[KeyValue]) -> Option<AnyKind> {
    let [KeyValue { key, value: Some(AnyValue { value: Some(AnyKind::StringValue(text)) }), .. }] = values else {
        return None;
    };
    match key.as_str() {
        BYTES_KEY => hex::decode(text).ok().map(AnyKind::BytesValue),
        DOUBLE_KEY => text.parse().ok().map(AnyKind::DoubleValue),
        _ => None,
    }
}

/// The members of a JSON object in order, repeated keys included.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor).map(Pairs)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
