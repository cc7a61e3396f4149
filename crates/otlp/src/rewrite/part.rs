//! The fields of a message with the bytes they stand in, so that they can be copied as they came.

use crate::fault::DecodeError;

/// Deepest nesting of (deprecated) groups.
const MAX_GROUPS: usize = 20;

/// One field, or one whole group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part<'a> {
    /// Where its tag begins in the message.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Field number; 0 for a group, which no OTLP message has.
    pub number: u32,
    pub payload: Payload<'a>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    /// A length-delimited field without its head, or a group with its tags. Always reaches to the end of the part.
    Bytes(&'a [u8]),
}

/// Reads a message part by part.
pub(super) struct Parts<'a> {
    bytes: &'a [u8],
    at: usize,
    message: &'static str,
}

enum Token<'a> {
    Field(u32, Payload<'a>),
    GroupStart(u32),
    GroupEnd(u32),
}

impl<'a> Parts<'a> {
    /// The parts of `bytes`; `message` names them in errors.
    pub fn of(bytes: &'a [u8], message: &'static str) -> Self {
        Self { bytes, at: 0, message }
    }

    /// The next part; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Part<'a>>, DecodeError> {
        let start = self.at;
        if start == self.bytes.len() {
            return Ok(None);
        }
        let (number, payload) = match self.token()? {
            Token::Field(number, payload) => (number, payload),
            Token::GroupStart(number) => {
                self.skip_group(number)?;
                (0, Payload::Bytes(&self.bytes[start..self.at]))
            }
            Token::GroupEnd(_) => return Err(self.fault("end of a group that was not opened")),
        };
        Ok(Some(Part { start, end: self.at, number, payload }))
    }

    fn skip_group(&mut self, number: u32) -> Result<(), DecodeError> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            if self.at == self.bytes.len() {
                return Err(self.fault("group without end"));
            }
            match self.token()? {
                Token::Field(..) => {}
                Token::GroupStart(_) if open.len() == MAX_GROUPS => {
                    return Err(self.fault("groups nested too deep"));
                }
                Token::GroupStart(number) => open.push(number),
                Token::GroupEnd(number) if number == innermost => {
                    open.pop();
                }
                Token::GroupEnd(_) => return Err(self.fault("end of a group that was not opened")),
            }
        }
        Ok(())
    }

    fn token(&mut self) -> Result<Token<'a>, DecodeError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let Some(number) = number else { return Err(self.fault("field number out of range")) };
        Ok(match tag & 7 {
            0 => Token::Field(number, Payload::Varint(self.varint()?)),
            1 => {
                let bytes = self.take(8)?.try_into().expect("eight bytes were taken");
                Token::Field(number, Payload::Fixed64(u64::from_le_bytes(bytes)))
            }
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Token::Field(number, Payload::Bytes(self.take(length)?))
            }
            3 => Token::GroupStart(number),
            4 => Token::GroupEnd(number),
            5 => {
                self.take(4)?;
                Token::Field(number, Payload::Fixed32)
            }
            _ => return Err(self.fault("unknown wire type")),
        })
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let rest = &self.bytes[self.at..];
        let mut value = 0_u64;
        for (index, &byte) in rest.iter().enumerate().take(10) {
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(self.fault(if rest.len() < 10 { "ends inside a number" } else { "number longer than 64 bits" }))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.bytes[self.at..].get(..length);
        let Some(taken) = taken else { return Err(self.fault("length reaches past the end")) };
        self.at += length;
        Ok(taken)
    }

    fn fault(&self, problem: &'static str) -> DecodeError {
        DecodeError::Protobuf { field: self.message, problem }
    }
}
