//! From protobuf bytes to a JSON document.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::schema::{Field, Kind, Message};
use crate::fault::DecodeError;
use crate::value::write_json_text;
use crate::wire::{Fields, Payload};

const FIELD: &str = "stored message";

/// Appends one message as a JSON object. Fields appear in the order of the table; a list gathers all its elements.
pub(super) fn message(out: &mut String, message: &'static Message, bytes: &[u8]) -> Result<(), DecodeError> {
    out.push('{');
    let mut first = true;
    for field in message.fields {
        let mut open = false;
        let mut last = None;
        let mut fields = Fields::of(bytes, FIELD);
        while let Some((number, payload)) = fields.next()? {
            if number != field.number {
                continue;
            }
            if !field.repeated {
                last = Some(payload);
                continue;
            }
            if open {
                out.push(',');
            } else {
                name(out, &mut first, field);
                out.push('[');
                open = true;
            }
            value(out, field.kind, payload)?;
        }
        if open {
            out.push(']');
        }
        if let Some(payload) = last {
            name(out, &mut first, field);
            value(out, field.kind, payload)?;
        }
    }
    out.push('}');
    Ok(())
}

fn name(out: &mut String, first: &mut bool, field: &Field) {
    if !std::mem::take(first) {
        out.push(',');
    }
    out.push('"');
    out.push_str(field.name);
    out.push_str("\":");
}

fn value(out: &mut String, kind: Kind, payload: Payload<'_>) -> Result<(), DecodeError> {
    let written = match kind {
        Kind::Text => {
            write_json_text(out, payload.text(FIELD)?);
            Ok(())
        }
        Kind::Bool => write!(out, "{}", payload.varint(FIELD)? != 0),
        Kind::Enum => write!(out, "{}", payload.varint(FIELD)? as i32),
        Kind::Uint32 => write!(out, "{}", payload.uint32(FIELD)?),
        Kind::Fixed32 => write!(out, "{}", payload.fixed32(FIELD)?),
        Kind::Int64 => write!(out, "\"{}\"", payload.varint(FIELD)? as i64),
        Kind::Fixed64 => write!(out, "\"{}\"", payload.fixed64(FIELD)?),
        Kind::Double => match f64::from_bits(payload.fixed64(FIELD)?) {
            number if number.is_finite() => write!(out, "{number:?}"),
            number if number.is_nan() => write!(out, "\"NaN\""),
            number if number > 0.0 => write!(out, "\"Infinity\""),
            _ => write!(out, "\"-Infinity\""),
        },
        Kind::Bytes => write!(out, "\"{}\"", STANDARD.encode(payload.bytes(FIELD)?)),
        Kind::Id => write!(out, "\"{}\"", hex::encode(payload.bytes(FIELD)?)),
        Kind::Message(nested) => return message(out, nested, payload.bytes(FIELD)?),
    };
    written.expect("writing to a string does not fail");
    Ok(())
}
