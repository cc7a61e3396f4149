//! From a JSON document to protobuf bytes, in one pass and without a tree in between.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::schema::{Field, Kind, Message};
use crate::wire::{put_bytes, put_message, put_tag, put_varint};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Reads the whole document. Nesting past 128 levels of JSON is refused by the parser.
pub(super) fn document(message: &'static Message, json: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    // the parser looks at the bytes of what it skips only far enough to find the end
    let text =
        std::str::from_utf8(json).map_err(|fault| serde_json::Error::custom(format_args!("not UTF-8: {fault}")))?;
    let mut out = Vec::with_capacity(json.len() / 2);
    let mut parser = serde_json::Deserializer::from_str(text);
    MessageSeed { message, out: &mut out }.deserialize(&mut parser)?;
    parser.end()?;
    Ok(out)
}

/// Reads one object (or `null`) as the fields of a message.
struct MessageSeed<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        read_fields(self.message, map, self.out)
    }

    // the visitor's own message would quote the text, which may be a secret
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("a string"), &self))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }
}

fn read_fields<'de, A: MapAccess<'de>>(
    message: &'static Message,
    mut map: A,
    out: &mut Vec<u8>,
) -> Result<(), A::Error> {
    while let Some(field) = map.next_key_seed(NameSeed(message))? {
        match field {
            Some(field) => map.next_value_seed(FieldSeed { field, element: false, out })?,
            None => {
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    Ok(())
}

/// Finds the field of a key; `None` for names the message does not have.
struct NameSeed(&'static Message);

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.fields.iter().find(|field| field.name == name))
    }
}

/// Reads the value of one field, or one element of a repeated field.
struct FieldSeed<'o> {
    field: &'static Field,
    element: bool,
    out: &'o mut Vec<u8>,
}

impl FieldSeed<'_> {
    fn wrong<E: Error>(&self) -> E {
        let expected = match self.field.kind {
            _ if self.field.repeated && !self.element => "a list",
            Kind::Text => "a string",
            Kind::Bool => "true or false",
            Kind::Enum => "an integer",
            Kind::Uint32 | Kind::Fixed32 => "an integer from 0 to 4294967295",
            Kind::Int64 => "a 64-bit integer, as a string or number",
            Kind::Fixed64 => "an unsigned 64-bit integer, as a string or number",
            Kind::Double => "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
            Kind::Bytes => "base64",
            Kind::Id => "an even number of hexadecimal digits",
            Kind::Message(_) => "an object",
        };
        E::custom(format_args!("{}: expected {expected}", self.field.name))
    }

    /// Every integer of 64 bits, signed or not, fits.
    fn integer<E: Error>(self, number: i128) -> Result<(), E> {
        let number_field = self.field.number;
        let in_range = match self.field.kind {
            Kind::Enum => i32::try_from(number).is_ok(),
            Kind::Uint32 | Kind::Fixed32 => u32::try_from(number).is_ok(),
            Kind::Int64 => i64::try_from(number).is_ok(),
            Kind::Fixed64 => u64::try_from(number).is_ok(),
            _ => false,
        };
        if !in_range {
            return Err(self.wrong());
        }
        if number == 0 && self.may_omit() {
            return Ok(());
        }
        match self.field.kind {
            Kind::Fixed32 => {
                put_tag(self.out, number_field, 5);
                self.out.extend_from_slice(&(number as u32).to_le_bytes());
            }
            Kind::Fixed64 => {
                put_tag(self.out, number_field, 1);
                self.out.extend_from_slice(&(number as u64).to_le_bytes());
            }
            _ => {
                put_tag(self.out, number_field, 0);
                // negative numbers take ten bytes, sign-extended, as protobuf has it
                put_varint(self.out, number as i64 as u64);
            }
        }
        Ok(())
    }

    /// Reads a double from its own text: the parser's numbers may be off by the last bit.
    fn double<E: Error>(self, json: &str) -> Result<(), E> {
        let number = match json {
            "null" => return Ok(()),
            "\"NaN\"" => Some(f64::NAN),
            "\"Infinity\"" => Some(f64::INFINITY),
            "\"-Infinity\"" => Some(f64::NEG_INFINITY),
            // what is left of a string is a number as JSON writes it, or nothing that is a number
            text => text.trim_matches('"').parse().ok().filter(|number: &f64| number.is_finite()),
        };
        let Some(number) = number else { return Err(self.wrong()) };
        put_tag(self.out, self.field.number, 1);
        self.out.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    /// Whether a default value is left out, as protobuf writers do: both encodings then give the same bytes.
    fn may_omit(&self) -> bool {
        !self.field.is_choice
    }
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if matches!(self.field.kind, Kind::Double) {
            let json = <&RawValue>::deserialize(deserializer)?;
            return self.double(json.get());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value for {}", self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        if self.element && matches!(self.field.kind, Kind::Message(_)) {
            put_bytes(self.out, self.field.number, &[]);
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(self.wrong());
        }
        put_tag(self.out, self.field.number, 0);
        put_varint(self.out, u64::from(flag));
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.integer(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.integer(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        // integers written as 1e3 or 2.0, as far as a double is exact
        let is_exact = number.fract() == 0.0 && number.abs() <= (1_u64 << 53) as f64;
        if is_exact { self.integer(number as i128) } else { Err(self.wrong()) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let number = self.field.number;
        match self.field.kind {
            Kind::Text | Kind::Id | Kind::Bytes if text.is_empty() && self.may_omit() => {}
            Kind::Text => put_bytes(self.out, number, text.as_bytes()),
            Kind::Id => {
                let Ok(id) = hex::decode(text) else { return Err(self.wrong()) };
                put_bytes(self.out, number, &id);
            }
            Kind::Bytes => {
                let Ok(bytes) = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)) else {
                    return Err(self.wrong());
                };
                put_bytes(self.out, number, &bytes);
            }
            Kind::Uint32 | Kind::Fixed32 | Kind::Int64 | Kind::Fixed64 => match text.parse::<i128>() {
                Ok(parsed) => return self.integer(parsed),
                Err(_) => return Err(self.wrong()),
            },
            Kind::Bool | Kind::Enum | Kind::Double | Kind::Message(_) => return Err(self.wrong()),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if !self.field.repeated || self.element {
            return Err(self.wrong());
        }
        while seq.next_element_seed(FieldSeed { field: self.field, element: true, out: self.out })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else { return Err(self.wrong()) };
        if self.field.repeated && !self.element {
            return Err(self.wrong());
        }
        put_message(self.out, self.field.number, |out| read_fields(message, map, out))
    }
}
