//! Rules by the key of an attribute.
//!
//! Keys are compared without regard to ASCII case, and `-`, `_` and `.` are the same: semantic conventions write
//! `http.request.header.x_api_key`, `http.request.header.x-api-key` and `X-API-Key` for one header.

use super::action::Action;
use super::literal::{Literal, MIN_BYTES};
use super::prefilter::Needles;
use super::settings::{MAX_PATTERN_BYTES, PolicyError, wrong};

/// Most separators of a piece that is tried in all its spellings.
const MAX_SPELLED: usize = 2;

/// The shipped rules by key: all are masked. Where it says so, the value is a credential whose scheme stays.
pub(super) const DEFAULTS: &[(&str, bool)] = &[
    ("authorization", true),
    ("*.authorization", true),
    ("cookie", false),
    ("*.cookie", false),
    ("cookies", false),
    ("*.cookies", false),
    ("*password*", false),
    ("*passwd*", false),
    ("*passphrase*", false),
    ("pwd", false),
    ("*.pwd", false),
    ("*secret*", false),
    ("*api.key", false),
    ("*apikey", false),
    ("*private.key*", false),
    ("*privatekey*", false),
    ("*access.token", true),
    ("*accesstoken", true),
    ("*refresh.token", true),
    ("*refreshtoken", true),
    ("id.token", true),
    ("*.id.token", true),
    ("idtoken", true),
    ("*.idtoken", true),
    ("auth.token", true),
    ("*.auth.token", true),
    ("*.security.token", true),
    ("*.vault.token", true),
];

/// A key as rules compare it.
pub(super) fn normal(key: &str) -> String {
    let plain = |c: char| if matches!(c, '-' | '_') { '.' } else { c.to_ascii_lowercase() };
    key.chars().map(plain).collect()
}

/// Keys, written as one with `*` for any part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    /// What stands between the stars, normalised.
    pieces: Vec<String>,
}

impl Glob {
    /// Reads what a setting says; `setting` names it in errors.
    pub fn read(setting: &'static str, text: &str) -> Result<Self, PolicyError> {
        if text.is_empty() || text.len() > MAX_PATTERN_BYTES {
            return wrong(setting, format!("must have 1 to {MAX_PATTERN_BYTES} bytes, got {text:?}"));
        }
        Ok(Self::new(text))
    }

    pub fn new(text: &str) -> Self {
        Self { pieces: normal(text).split('*').map(str::to_owned).collect() }
    }

    /// Whether a normalised key is meant.
    pub fn matches(&self, key: &str) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else {
            return self.pieces.first().is_some_and(|only| only == key);
        };
        let Some(mut rest) = key.strip_prefix(first.as_str()) else { return false };
        for piece in middle {
            match rest.find(piece.as_str()) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }

    /// Adds what any key that is meant must hold: needles that are there already if they do, else the longest word.
    pub fn add_needles(&self, needles: &mut Needles) {
        let is_covered = |text: &str| needles.covers(&Literal::new(text.as_bytes(), true));
        if self.pieces.iter().any(|piece| spellings(piece).iter().all(|text| is_covered(text))) {
            return;
        }
        let words = self.pieces.iter().flat_map(|piece| piece.split('.'));
        let words: Vec<_> = words.filter(|word| word.len() >= MIN_BYTES).collect();
        if words.iter().any(|word| is_covered(word)) {
            return;
        }
        match words.iter().max_by_key(|word| word.len()) {
            Some(word) => needles.add_literal(Literal::new(word.as_bytes(), true)),
            None => needles.add_everything(),
        }
    }
}

/// A piece with every separator that it may be written with.
fn spellings(piece: &str) -> Vec<String> {
    let words: Vec<_> = piece.split('.').collect();
    if words.len() > MAX_SPELLED + 1 {
        return vec![piece.to_owned()];
    }
    let mut spelled = vec![words[0].to_owned()];
    for word in &words[1..] {
        let longer = |text: &String| ['.', '-', '_'].map(|separator| format!("{text}{separator}{word}"));
        spelled = spelled.iter().flat_map(longer).collect();
    }
    spelled
}

/// What a rule says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ruling {
    pub action: Action,
    /// Whether the value is a credential, perhaps with its scheme in front.
    pub is_credential: bool,
}

/// Rules in order; the first that matches holds.
#[derive(Debug, Default)]
pub(super) struct KeyRules(Vec<(Glob, Ruling)>);

impl KeyRules {
    pub fn push(&mut self, glob: Glob, ruling: Ruling) {
        self.0.push((glob, ruling));
    }

    /// The ruling on a normalised key.
    pub fn on(&self, key: &str) -> Option<Ruling> {
        self.0.iter().find(|(glob, _)| glob.matches(key)).map(|(_, ruling)| *ruling)
    }

    /// Adds what the keys of every rule that changes something must hold.
    pub fn add_needles(&self, needles: &mut Needles) {
        for (glob, _) in self.0.iter().filter(|(_, ruling)| ruling.action != Action::Leave) {
            glob.add_needles(needles);
        }
    }
}

#[cfg(test)]
mod tests;
