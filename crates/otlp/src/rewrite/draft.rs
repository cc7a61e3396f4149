//! A message that is copied only once something in it changes.

use super::part::Part;
use crate::wire::put_bytes;

/// The message so far. Parts are changed in the order in which they stand.
pub(super) struct Draft<'a> {
    source: &'a [u8],
    /// How much of the source is in `out`, or was taken out.
    done: usize,
    out: Option<Vec<u8>>,
}

impl<'a> Draft<'a> {
    pub fn of(source: &'a [u8]) -> Self {
        Self { source, done: 0, out: None }
    }

    /// Puts a length-delimited field in the place of a part.
    pub fn replace(&mut self, part: &Part<'_>, number: u32, bytes: &[u8]) {
        put_bytes(self.copied_to(part.start), number, bytes);
        self.done = part.end;
    }

    /// Leaves a part out.
    pub fn drop(&mut self, part: &Part<'_>) {
        self.copied_to(part.start);
        self.done = part.end;
    }

    /// Adds a length-delimited field at the end. Nothing before it can change afterwards.
    pub fn append(&mut self, number: u32, bytes: &[u8]) {
        let end = self.source.len();
        put_bytes(self.copied_to(end), number, bytes);
        self.done = end;
    }

    /// The changed message; `None` when it did not change.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        if self.out.is_some() {
            self.copied_to(self.source.len());
        }
        self.out
    }

    /// The output with everything up to `end` that was not changed.
    fn copied_to(&mut self, end: usize) -> &mut Vec<u8> {
        let out = self.out.get_or_insert_with(|| Vec::with_capacity(self.source.len() + 64));
        out.extend_from_slice(&self.source[self.done..end]);
        out
    }
}
