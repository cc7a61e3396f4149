//! Attributes that were read a moment ago: telemetry says the same things over and over.
//!
//! Spans of one service carry the same method, route and address again and again, byte for byte. A KeyValue message that
//! stands here already is not read again: a comparison of bytes tells where its value went. The table is direct-mapped
//! and holds borrowed bytes only, so that a request of nothing but new values costs one store an attribute more.

use std::ops::Range;

use crate::derive::Clue;

/// Most messages that are remembered; 56 bytes each, so that the table stays in the first cache.
const MAX_SLOTS: usize = 512;
const MIN_SLOTS: usize = 16;
/// Spreads over all bits; the fraction of the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What an attribute's value said, as far as it can be said without a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said<'a> {
    Text(&'a str),
    Int(i64),
    /// Something else, which tells nothing.
    Other,
}

/// Where the value of an attribute went.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// Into a promoted column of labels, under this id.
    Label { column: u16, id: i32 },
    /// Into a promoted column of another kind.
    Column(u16),
    /// Among the entries, at this place.
    Rest { start: u32, end: u32 },
    /// Nowhere: only the server may say it.
    Nowhere,
}

impl Place {
    /// Whether it is a column of the attribute's own.
    pub fn is_column(self) -> bool {
        matches!(self, Self::Label { .. } | Self::Column(_))
    }

    /// A place among the entries; `None` where they are too long to be pointed into.
    pub fn rest(range: &Range<usize>) -> Option<Self> {
        let (start, end) = (u32::try_from(range.start).ok()?, u32::try_from(range.end).ok()?);
        Some(Self::Rest { start, end })
    }
}

/// An attribute that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read<'a> {
    /// The KeyValue message.
    pub bytes: &'a [u8],
    pub said: Said<'a>,
    pub place: Place,
    pub clue: Option<Clue>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Recent<'a> {
    slots: Vec<Read<'a>>,
    shift: u32,
}

impl<'a> Recent<'a> {
    /// A table for a request of about so many attributes.
    pub fn new(attributes: usize) -> Self {
        let slots = attributes.clamp(MIN_SLOTS, MAX_SLOTS).next_power_of_two();
        let vacant = Read { bytes: &[], said: Said::Other, place: Place::Nowhere, clue: None };
        Self { slots: vec![vacant; slots], shift: u64::BITS - slots.trailing_zeros() }
    }

    /// The attribute with these very bytes, when it was read lately.
    pub fn get(&self, bytes: &[u8]) -> Option<Read<'a>> {
        let read = self.slots[self.slot(bytes)];
        (read.bytes == bytes && !bytes.is_empty()).then_some(read)
    }

    /// Remembers an attribute, in the place of another.
    pub fn put(&mut self, read: Read<'a>) {
        let slot = self.slot(read.bytes);
        self.slots[slot] = read;
    }

    /// From the length, the middle and the end of a message: where messages of one kind differ. Whoever sends messages
    /// that share a slot only makes his own request be read in full.
    fn slot(&self, bytes: &[u8]) -> usize {
        let half = bytes.len() / 2;
        let word =
            |from: usize| bytes.get(from..from + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes);
        let (middle, end) = (word(half.saturating_sub(4)), word(bytes.len().saturating_sub(8)));
        let mixed = end ^ middle.rotate_left(25) ^ bytes.len() as u64;
        (mixed.wrapping_mul(SPREAD) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests;
