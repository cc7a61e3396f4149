//! Finds out in one quick pass over a request which of its bytes can need redaction at all.
//!
//! Nearly every request needs none, so the walk through its messages must not happen. The pass looks for *needles* in
//! the raw protobuf bytes, knowing nothing of fields, and gives the ranges in which it found one. A message, attribute
//! or text that touches no range is copied unread.
//!
//! Why that is sound:
//!
//! 1. Every rule that can match a text or key names needles, one of which stands in whatever it matches (a pattern's
//!    literals, the longest word of a key's glob, the digits of a card). A rule without needles switches the pass
//!    off: everything is walked.
//! 2. Protobuf keeps a text as one run of bytes. A needle in a text is a needle in the request, inside the range of the
//!    text and of every message around it. JSON is transcoded before.
//! 3. Every needle of the payload is found, each for itself, so that none hides another. Joining ranges, and adding
//!    ranges that are not needles, only adds to what is walked; too many ranges make it everything.
//!
//! What a key rule covers as a whole (its value) is walked whatever the pass says; see [`otlp::rewrite::Rule::is_whole`].
//! The property test `tests/redaction.rs` compares the result with and without the pass.
//!
//! Speed: literals are searched two bytes at a time ([`super::literal`]); digits are looked at in steps of thirteen.

use std::ops::Range;

use memchr::memchr_iter;

use super::card;
use super::literal::{Finder, Literal};

/// Ranges nearer than this are joined, which bounds their number.
const JOIN_BYTES: usize = 32;
/// More ranges than one per this many bytes are not worth keeping, nor the memory.
const RANGE_EVERY_BYTES: usize = 256;

/// What a text must hold for a rule to match it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needle {
    /// This text.
    Exact(&'static str),
    /// This text in any mixture of upper and lower case; written in lower case.
    AnyCase(&'static str),
    /// `th_`, sixteen hexadecimal digits, and another `_`.
    OwnKey,
    /// An `@` behind `://`, with a `:` between them and nothing that ends an authority.
    UrlAt,
    /// An `@`.
    At,
    /// The digits of a card number, with spaces and dashes between them.
    Digits,
}

/// Collects needles, and makes the pass of them.
#[derive(Debug, Default)]
pub(super) struct Needles {
    literals: Vec<Literal>,
    url_at: bool,
    at: bool,
    digits: bool,
    /// Whether some rule has no needle.
    everything: bool,
}

impl Needles {
    pub fn add(&mut self, needle: Needle) {
        match needle {
            Needle::Exact(text) => self.add_literal(Literal::new(text.as_bytes(), false)),
            Needle::AnyCase(text) => self.add_literal(Literal::new(text.as_bytes(), true)),
            Needle::OwnKey => self.add_literal(Literal::own_key()),
            Needle::UrlAt => self.url_at = true,
            Needle::At => self.at = true,
            Needle::Digits => self.digits = true,
        }
    }

    /// Adds a literal; one that is too short to search for switches the pass off.
    pub fn add_literal(&mut self, literal: Literal) {
        if literal.is_too_short() {
            self.everything = true;
            return;
        }
        if self.covers(&literal) {
            return;
        }
        self.literals.retain(|other| !other.implies(&literal));
        self.literals.push(literal);
    }

    /// Whether whoever holds this literal is found already.
    pub fn covers(&self, literal: &Literal) -> bool {
        self.literals.iter().any(|other| literal.implies(other) || literal == other)
    }

    /// Some rule can match anything.
    pub fn add_everything(&mut self) {
        self.everything = true;
    }

    pub fn build(self) -> Prefilter {
        let Self { literals, url_at, at, digits, everything } = self;
        Prefilter { finder: Finder::of(literals), url_at, at, digits, everything }
    }
}

/// The pass.
#[derive(Debug)]
pub(super) struct Prefilter {
    finder: Finder,
    url_at: bool,
    at: bool,
    digits: bool,
    everything: bool,
}

impl Prefilter {
    /// The ranges of a request that must be walked.
    pub fn scan(&self, payload: &[u8]) -> Candidates {
        if self.everything {
            return Candidates::everything();
        }
        let mut ranges = Ranges { limit: payload.len() / RANGE_EVERY_BYTES + 64, ..Ranges::default() };
        ranges.begin();
        self.finder.find(payload, |found| ranges.add(found));
        if self.at {
            memchr_iter(b'@', payload).for_each(|at| ranges.add(at..at + 1));
        } else if self.url_at {
            find_url_ats(payload, &mut ranges);
        }
        if self.digits {
            find_digits(payload, &mut ranges);
        }
        ranges.candidates()
    }
}

/// Looks back from every `@`, each byte at most once.
fn find_url_ats(payload: &[u8], ranges: &mut Ranges) {
    ranges.begin();
    let is_stop =
        |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | b'/' | b'"' | b'\'' | b'<' | b'>');
    let mut before = 0;
    let (mut has_scheme, mut has_colon) = (false, false);
    for at in memchr_iter(b'@', payload) {
        let between = &payload[before..at];
        let tail = match between.iter().rposition(is_stop) {
            Some(stop) => {
                has_scheme = payload[..=before + stop].ends_with(b"://");
                has_colon = false;
                &between[stop + 1..]
            }
            None => between,
        };
        has_colon |= tail.contains(&b':');
        if has_scheme && has_colon {
            ranges.add(at..at + 1);
        }
        before = at + 1;
    }
}

/// Runs of digits, spaces and dashes that may hold a card number. Such a run covers every thirteenth byte, so only those are
/// looked at until one fits.
fn find_digits(payload: &[u8], ranges: &mut Ranges) {
    ranges.begin();
    let (mut at, mut floor) = (card::MIN_DIGITS - 1, 0);
    while at < payload.len() {
        if !card::is_part(payload[at]) {
            at += card::MIN_DIGITS;
            continue;
        }
        let back = payload[floor..at].iter().rev().take_while(|byte| card::is_part(**byte)).count();
        let ahead = payload[at..].iter().take_while(|byte| card::is_part(**byte)).count();
        let run = at - back..at + ahead;
        if card::may_be_in(&payload[run.clone()]) {
            ranges.add(run.clone());
        }
        floor = run.end;
        at = run.end + card::MIN_DIGITS;
    }
}

/// Ranges as the searchers find them.
#[derive(Debug, Default)]
struct Ranges {
    found: Vec<Range<usize>>,
    /// Where those of the present searcher begin.
    own: usize,
    /// Most ranges that are kept.
    limit: usize,
}

impl Ranges {
    fn begin(&mut self) {
        self.own = self.found.len();
    }

    fn add(&mut self, range: Range<usize>) {
        let is_full = self.found.len() > self.limit;
        match self.found[self.own..].last_mut() {
            // literals of different lengths may be found a little out of order
            Some(last) if range.start <= last.end + JOIN_BYTES && range.end + JOIN_BYTES >= last.start => {
                last.start = last.start.min(range.start);
                last.end = last.end.max(range.end);
            }
            // one past the limit tells that there were more
            _ if is_full => {}
            _ => self.found.push(range),
        }
    }

    /// All ranges in order, none touching the next.
    fn candidates(mut self) -> Candidates {
        if self.found.len() > self.limit {
            return Candidates::everything();
        }
        self.found.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(self.found.len());
        for range in self.found {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Candidates { ranges: joined, everything: false }
    }
}

/// Which bytes of a request must be looked at.
#[derive(Debug)]
pub(super) struct Candidates {
    ranges: Vec<Range<usize>>,
    everything: bool,
}

impl Candidates {
    /// Every byte.
    pub fn everything() -> Self {
        Self { ranges: Vec::new(), everything: true }
    }

    /// Whether no byte must be looked at.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.ranges.is_empty()
    }

    /// Whether nothing in a range must be looked at.
    pub fn are_outside(&self, range: &Range<usize>) -> bool {
        if self.everything {
            return false;
        }
        let next = self.ranges.partition_point(|candidate| candidate.end <= range.start);
        self.ranges.get(next).is_none_or(|candidate| candidate.start >= range.end)
    }
}

#[cfg(test)]
mod tests;
