//! The protobuf wire format: fields borrowed from the bytes they came in, and the few ways to write them.

use crate::fault::DecodeError;

/// Deepest nesting of (deprecated) groups among unknown fields.
const MAX_GROUPS: usize = 20;

/// What a field holds; messages, strings and bytes look the same on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Payload<'a> {
    pub fn bytes(self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(wrong_type(field)) }
    }

    pub fn text(self, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| DecodeError::Protobuf { field, problem: "not valid UTF-8" })
    }

    pub fn varint(self, field: &'static str) -> Result<u64, DecodeError> {
        if let Self::Varint(number) = self { Ok(number) } else { Err(wrong_type(field)) }
    }

    /// A 32-bit number in a varint; protobuf readers drop the upper half.
    pub fn uint32(self, field: &'static str) -> Result<u32, DecodeError> {
        Ok(self.varint(field)? as u32)
    }

    /// An enumeration as a small number; numbers outside `i8` are all unknown to us and become 127.
    pub fn enumeration(self, field: &'static str) -> Result<i8, DecodeError> {
        Ok(i8::try_from(self.varint(field)? as i32).unwrap_or(i8::MAX))
    }

    pub fn fixed64(self, field: &'static str) -> Result<u64, DecodeError> {
        if let Self::Fixed64(number) = self { Ok(number) } else { Err(wrong_type(field)) }
    }

    pub fn fixed32(self, field: &'static str) -> Result<u32, DecodeError> {
        if let Self::Fixed32(number) = self { Ok(number) } else { Err(wrong_type(field)) }
    }
}

fn wrong_type(field: &'static str) -> DecodeError {
    DecodeError::Protobuf { field, problem: "wrong wire type" }
}

/// Reads the fields of one message in order.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    message: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields of `bytes`; `message` names them in errors.
    pub fn of(bytes: &'a [u8], message: &'static str) -> Self {
        Self { rest: bytes, message }
    }

    /// The next field with its number; `None` at the end. Groups are skipped, as no OTLP message has any.
    #[inline]
    pub fn next(&mut self) -> Result<Option<(u32, Payload<'a>)>, DecodeError> {
        // nearly all fields: a number below 16, and a short length or number
        let number = |tag: u8| u32::from(tag >> 3);
        let found = match self.rest {
            [tag @ 8..0x80, length @ 0..0x80, rest @ ..] if tag & 7 == 2 => {
                let split = rest.split_at_checked(usize::from(*length));
                split.map(|(taken, rest)| (number(*tag), Payload::Bytes(taken), rest))
            }
            [tag @ 8..0x80, low @ 0x80..=0xff, high @ 0..0x80, rest @ ..] if tag & 7 == 2 => {
                let split = rest.split_at_checked(usize::from(*high) << 7 | usize::from(*low & 0x7f));
                split.map(|(taken, rest)| (number(*tag), Payload::Bytes(taken), rest))
            }
            [tag @ 8..0x80, value @ 0..0x80, rest @ ..] if tag & 7 == 0 => {
                Some((number(*tag), Payload::Varint(u64::from(*value)), rest))
            }
            [tag @ 8..0x80, rest @ ..] if tag & 7 == 1 => rest
                .split_first_chunk()
                .map(|(taken, rest)| (number(*tag), Payload::Fixed64(u64::from_le_bytes(*taken)), rest)),
            _ => None,
        };
        if let Some((number, payload, rest)) = found {
            self.rest = rest;
            return Ok(Some((number, payload)));
        }
        self.next_of_any()
    }

    fn next_of_any(&mut self) -> Result<Option<(u32, Payload<'a>)>, DecodeError> {
        let mut open_groups = [0_u32; MAX_GROUPS];
        let mut depth = 0;
        while !self.rest.is_empty() {
            let tag = self.varint()?;
            let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
            let Some(number) = number else { return Err(self.fault("field number out of range")) };
            let payload = match tag & 7 {
                0 => Payload::Varint(self.varint()?),
                1 => Payload::Fixed64(u64::from_le_bytes(self.array()?)),
                2 => {
                    let length = self.varint()?;
                    Payload::Bytes(self.take(length)?)
                }
                3 if depth == MAX_GROUPS => return Err(self.fault("groups nested too deep")),
                3 => {
                    open_groups[depth] = number;
                    depth += 1;
                    continue;
                }
                4 if depth > 0 && open_groups[depth - 1] == number => {
                    depth -= 1;
                    continue;
                }
                4 => return Err(self.fault("end of a group that was not opened")),
                5 => Payload::Fixed32(u32::from_le_bytes(self.array()?)),
                _ => return Err(self.fault("unknown wire type")),
            };
            if depth == 0 {
                return Ok(Some((number, payload)));
            }
        }
        if depth > 0 { Err(self.fault("group without end")) } else { Ok(None) }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.rest.split_first() {
            // nearly all tags and lengths
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(self.fault(if self.rest.len() < 10 { "ends inside a number" } else { "number longer than 64 bits" }))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.rest.len());
        let Some(length) = length else { return Err(self.fault("length reaches past the end")) };
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.fault("ends inside a number"));
        };
        self.rest = rest;
        Ok(*taken)
    }

    fn fault(&self, problem: &'static str) -> DecodeError {
        DecodeError::Protobuf { field: self.message, problem }
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a nested message whose length is known only afterwards.
pub(crate) fn put_message<E>(
    out: &mut Vec<u8>,
    number: u32,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_tag(out, number, 2);
    let start = out.len();
    write(out)?;
    let mut length = Vec::with_capacity(5);
    put_varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
    Ok(())
}

#[cfg(test)]
mod tests;
