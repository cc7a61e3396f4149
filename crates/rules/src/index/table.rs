//! Texts of all rules on one field, found in a value together.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use foldhash::fast::RandomState;

use crate::atom::Anchor;

/// Who asks for a text, by where it must stand.
#[derive(Debug, Default)]
struct Needle {
    contains: Vec<u32>,
    starts: Vec<u32>,
    ends: Vec<u32>,
}

/// Texts and who asks for them; whoever asks is a number.
#[derive(Debug, Default)]
pub struct Table {
    exact: HashMap<Box<str>, Vec<u32>, RandomState>,
    numbers: HashMap<Box<str>, usize, RandomState>,
    needles: Vec<Needle>,
    /// Texts, until they are in the automaton.
    texts: Vec<Box<str>>,
    automaton: Option<AhoCorasick>,
    /// Who asks for nothing: every value will do.
    empty: Vec<u32>,
}

impl Table {
    /// Asks for a text at a place.
    pub fn add(&mut self, text: &str, anchor: Anchor, who: u32) {
        if anchor == Anchor::Whole {
            return self.exact.entry(text.into()).or_default().push(who);
        }
        if text.is_empty() {
            return self.empty.push(who);
        }
        let number = *self.numbers.entry(text.into()).or_insert_with(|| {
            self.texts.push(text.into());
            self.needles.push(Needle::default());
            self.needles.len() - 1
        });
        let needle = &mut self.needles[number];
        match anchor {
            Anchor::Start => needle.starts.push(who),
            Anchor::End => needle.ends.push(who),
            Anchor::Contains | Anchor::Whole => needle.contains.push(who),
        }
    }

    /// Builds the automaton. When the texts are too many for one, they are looked for one by one.
    pub fn finish(&mut self) {
        if !self.texts.is_empty() {
            // a table of all steps was no quicker on the rules of SigmaHQ, and takes hundreds of bytes for one of text
            let built = AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .match_kind(MatchKind::Standard)
                .build(self.texts.iter().map(|text| text.as_bytes()));
            self.automaton = built.ok();
        }
        if self.automaton.is_some() {
            self.texts = Vec::new();
        }
        self.numbers = HashMap::default();
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.needles.is_empty() && self.empty.is_empty()
    }

    /// Says who finds what they ask for; some may be named more than once.
    pub fn find(&self, value: &str, seen: &mut Seen, hit: &mut impl FnMut(u32)) {
        self.exact.get(value).into_iter().flatten().for_each(|who| hit(*who));
        self.empty.iter().for_each(|who| hit(*who));
        seen.begin(self.needles.len());
        let mut found = |number: usize, start: usize, end: usize| {
            let needle = &self.needles[number];
            if !needle.contains.is_empty() && seen.is_new(number) {
                needle.contains.iter().for_each(|who| hit(*who));
            }
            if start == 0 {
                needle.starts.iter().for_each(|who| hit(*who));
            }
            if end == value.len() {
                needle.ends.iter().for_each(|who| hit(*who));
            }
        };
        match &self.automaton {
            Some(automaton) => automaton
                .find_overlapping_iter(value)
                .for_each(|found_at| found(found_at.pattern().as_usize(), found_at.start(), found_at.end())),
            None => {
                for (number, text) in self.texts.iter().enumerate() {
                    value.match_indices(&**text).for_each(|(at, _)| found(number, at, at + text.len()));
                }
            }
        }
    }
}

/// Which texts were found in the value at hand.
#[derive(Debug, Default)]
pub struct Seen {
    last: Vec<u32>,
    value: u32,
}

impl Seen {
    fn begin(&mut self, needles: usize) {
        if self.last.len() < needles {
            self.last.resize(needles, 0);
        }
        self.value = self.value.checked_add(1).unwrap_or_else(|| {
            self.last.fill(0);
            1
        });
    }

    fn is_new(&mut self, needle: usize) -> bool {
        std::mem::replace(&mut self.last[needle], self.value) != self.value
    }
}
