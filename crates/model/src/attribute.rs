//! How an attribute is written as one text, and read back.
//!
//! An *entry* is `key`, U+001F, one tag character, value text. An *attribute list* is entries joined by U+001E. Inside
//! keys and values the characters U+001B, U+001E and U+001F are written as U+001B followed by `b`, `e` or `f`, so an
//! equality test on an encoded entry is exact and `split` is always safe.
//!
//! | tag | value | text |
//! |---|---|---|
//! | `s` | string | itself |
//! | `i` | integer | decimal |
//! | `d` | double | shortest text that reads back the same, with an exponent outside 1e-5 to 1e17; `NaN`, `inf`, `-inf` |
//! | `b` | boolean | `true` or `false` |
//! | `x` | bytes | lower-case hexadecimal |
//! | `j` | array or key/value list | JSON |
//! | `n` | empty value | nothing |
//!
//! Reserved keys begin with U+001C and carry what a resource or scope has besides attributes.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr3;

/// Separates entries in an attribute list.
pub const LIST_SEPARATOR: char = '\u{1e}';
/// Separates the key of an entry from its tag and value.
pub const ENTRY_SEPARATOR: char = '\u{1f}';
const ESCAPE: char = '\u{1b}';
const RESERVED: char = '\u{1c}';

/// Reserved key: schema URL of a resource or scope.
pub const SCHEMA_URL: &str = "\u{1c}schema_url";
/// Reserved key: number of attributes the client dropped from a resource or scope.
pub const DROPPED: &str = "\u{1c}dropped_attributes_count";

/// An attribute value, borrowing its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A string.
    Str(Cow<'a, str>),
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An array or key/value list, as JSON.
    Json(Cow<'a, str>),
    /// A value that is present and empty.
    Empty,
}

impl<'a> Value<'a> {
    /// A string value that borrows `text`.
    pub fn str(text: &'a str) -> Self {
        Self::Str(Cow::Borrowed(text))
    }

    /// The tag of the type: one character.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Str(_) => "s",
            Self::Int(_) => "i",
            Self::Double(_) => "d",
            Self::Bool(_) => "b",
            Self::Bytes(_) => "x",
            Self::Json(_) => "j",
            Self::Empty => "n",
        }
    }

    /// The value's text, as people search for it: what the entry holds after its tag.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Str(text) | Self::Json(text) => Cow::Borrowed(text),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Double(number) => Cow::Owned(double_text(*number)),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Bytes(bytes) => Cow::Owned(hex::encode(bytes)),
            Self::Empty => Cow::Borrowed(""),
        }
    }

    /// The value as a number, when it is one or its text reads as one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            Self::Str(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The same value, owning its text.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Self::Json(text) => Value::Json(Cow::Owned(text.into_owned())),
            Self::Int(number) => Value::Int(number),
            Self::Double(number) => Value::Double(number),
            Self::Bool(flag) => Value::Bool(flag),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::Empty => Value::Empty,
        }
    }

    fn parse(tag: char, text: &'a str) -> Option<Self> {
        match tag {
            's' => Some(Self::Str(unescape(text))),
            'j' => Some(Self::Json(unescape(text))),
            'i' => text.parse().ok().map(Self::Int),
            'd' => text.parse().ok().map(Self::Double),
            'b' => text.parse().ok().map(Self::Bool),
            'x' => hex::decode(text).ok().map(Self::Bytes),
            'n' => Some(Self::Empty),
            _ => None,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Appends one entry to `out`.
pub fn push_entry(out: &mut String, key: &str, value: &Value<'_>) {
    escape_into(out, key);
    out.push(ENTRY_SEPARATOR);
    out.push_str(value.tag());
    match value {
        Value::Str(text) | Value::Json(text) => escape_into(out, text),
        other => out.push_str(&other.text()),
    }
}

/// One entry on its own.
pub fn entry(key: &str, value: &Value<'_>) -> String {
    let mut out = String::with_capacity(key.len() + 24);
    push_entry(&mut out, key, value);
    out
}

/// The beginning every entry of `key` has, tag excluded.
pub fn entry_prefix(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 1);
    escape_into(&mut out, key);
    out.push(ENTRY_SEPARATOR);
    out
}

/// Appends one entry to an attribute list.
pub fn push_to_list(list: &mut String, key: &str, value: &Value<'_>) {
    if !list.is_empty() {
        list.push(LIST_SEPARATOR);
    }
    push_entry(list, key, value);
}

/// Reads an entry; `None` when it was not written by this module.
pub fn parse_entry(entry: &str) -> Option<(Cow<'_, str>, Value<'_>)> {
    let (key, rest) = entry.split_once(ENTRY_SEPARATOR)?;
    let tag = rest.chars().next()?;
    let value = Value::parse(tag, &rest[tag.len_utf8()..])?;
    Some((unescape(key), value))
}

/// Reads an attribute list in the order it was written, reserved keys included.
pub fn parse_list(list: &str) -> impl Iterator<Item = (Cow<'_, str>, Value<'_>)> {
    list.split(LIST_SEPARATOR).filter_map(parse_entry)
}

/// The first value of `key` in an attribute list.
pub fn find_in_list<'a>(list: &'a str, key: &str) -> Option<Value<'a>> {
    parse_list(list).find(|(found, _)| found == key).map(|(_, value)| value)
}

/// Whether a key carries something other than an attribute.
pub fn is_reserved(key: &str) -> bool {
    key.starts_with(RESERVED)
}

/// Plain digits where people would write them so. An exponent elsewhere, since nine bytes off the wire could otherwise
/// become three hundred digits.
fn double_text(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && size.is_finite() && !(1e-5..1e17).contains(&size) {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

fn escape_into(out: &mut String, text: &str) {
    if memchr3(0x1b, 0x1e, 0x1f, text.as_bytes()).is_none() {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            ESCAPE => out.extend([ESCAPE, 'b']),
            LIST_SEPARATOR => out.extend([ESCAPE, 'e']),
            ENTRY_SEPARATOR => out.extend([ESCAPE, 'f']),
            plain => out.push(plain),
        }
    }
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => match chars.next() {
                Some('b') => out.push(ESCAPE),
                Some('e') => out.push(LIST_SEPARATOR),
                Some('f') => out.push(ENTRY_SEPARATOR),
                Some(other) => out.push(other),
                None => {}
            },
            plain => out.push(plain),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
