//! What a word of a log body is, as the index beside a file knows it.
//!
//! A word is a longest run of characters that are no separators. Separators are all of ASCII but letters and digits, and
//! the ranges of [`SEPARATORS`]: controls, punctuation, spaces, arrows, boxes, symbols, emoji. Every other character
//! belongs to words, whatever it is. The ranges are part of the format, and do not change with versions of Unicode.
//!
//! Words are compared in folded form ([`fold`]): one character for one, so that both cases of the Latin, Greek and
//! Cyrillic letters of the table become one. Letters that are not in it stay as they are; whoever asks for them in either
//! case cannot use the index. Also part of the format.

use twox_hash::XxHash3_128;

/// Folded words of fewer bytes than this are not in the index: they are nearly everywhere.
pub const MIN_WORD_BYTES: usize = 2;
/// Folded words of more bytes than this are not in the index: they are rarely words.
pub const MAX_WORD_BYTES: usize = 64;

/// Characters outside of ASCII that belong to no word.
const SEPARATORS: [(char, char); 19] = [
    ('\u{80}', '\u{a9}'),
    ('\u{ab}', '\u{b4}'),
    ('\u{b6}', '\u{b9}'),
    ('\u{bb}', '\u{bf}'),
    ('\u{d7}', '\u{d7}'),
    ('\u{f7}', '\u{f7}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{206f}'),
    ('\u{20a0}', '\u{20cf}'),
    ('\u{2190}', '\u{245f}'),
    ('\u{2500}', '\u{2bff}'),
    ('\u{3000}', '\u{3004}'),
    ('\u{3008}', '\u{3020}'),
    ('\u{fe00}', '\u{fe6f}'),
    ('\u{ff00}', '\u{ff0f}'),
    ('\u{ff1a}', '\u{ff20}'),
    ('\u{ff3b}', '\u{ff40}'),
    ('\u{ff5b}', '\u{ff65}'),
    ('\u{1f000}', '\u{1faff}'),
];

/// Whether a character belongs to words.
pub fn is_of_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    !SEPARATORS.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// The character that stands for this one and its other cases.
pub fn fold(c: char) -> char {
    let moved_by = |distance: u32| char::from_u32(u32::from(c) + distance).unwrap_or(c);
    let next_if = |upper: bool| if upper { moved_by(1) } else { c };
    match c {
        'A'..='Z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{de}' => moved_by(32),
        // the long s, the signs of kelvin, angstrom and micro
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        '\u{212b}' => '\u{e5}',
        '\u{b5}' => '\u{3bc}',
        '\u{1e9e}' => '\u{df}',
        '\u{178}' => '\u{ff}',
        '\u{130}' | '\u{131}' | '\u{138}' | '\u{149}' => c,
        '\u{100}'..='\u{137}' | '\u{14a}'..='\u{177}' => next_if(u32::from(c).is_multiple_of(2)),
        '\u{139}'..='\u{148}' | '\u{179}'..='\u{17e}' => next_if(!u32::from(c).is_multiple_of(2)),
        '\u{391}'..='\u{3a1}' | '\u{3a3}'..='\u{3ab}' | '\u{410}'..='\u{42f}' => moved_by(32),
        '\u{3c2}' => '\u{3c3}',
        '\u{400}'..='\u{40f}' => moved_by(80),
        _ => c,
    }
}

/// The hash of a folded word; `None` when words of its length are not in the index. Part of the format: XXH3.
pub fn word_hash(folded: &str) -> Option<u64> {
    let is_indexed = (MIN_WORD_BYTES..=MAX_WORD_BYTES).contains(&folded.len());
    is_indexed.then(|| XxHash3_128::oneshot(folded.as_bytes()) as u64)
}

/// The words of a text, as they stand there.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_of_word(c)).filter(|word| !word.is_empty())
}

/// Calls `take` with the hash of every word of a text that the index has.
pub(crate) fn each_hash(text: &str, mut take: impl FnMut(u64)) {
    let bytes = text.as_bytes();
    let mut folded = [0_u8; MAX_WORD_BYTES];
    let mut at = 0;
    while at < bytes.len() {
        let mut length = 0;
        // nearly all of what services write is ASCII, which needs no table
        while let Some(byte) = bytes.get(at).filter(|byte| byte.is_ascii_alphanumeric()) {
            if let Some(place) = folded.get_mut(length) {
                *place = byte.to_ascii_lowercase();
            }
            (length, at) = (length + 1, at + 1);
        }
        if bytes.get(at).is_some_and(|byte| !byte.is_ascii()) {
            at = whole_word(text, at - length, &mut take);
            continue;
        }
        if (MIN_WORD_BYTES..=MAX_WORD_BYTES).contains(&length) {
            take(XxHash3_128::oneshot(&folded[..length]) as u64);
        }
        at += 1;
    }
}

/// A word with, or before, a character outside of ASCII: from where it begins. Gives where to go on.
fn whole_word(text: &str, from: usize, take: &mut impl FnMut(u64)) -> usize {
    let end = text[from..].find(|c| !is_of_word(c)).map_or(text.len(), |length| from + length);
    let folded: String = text[from..end].chars().map(fold).collect();
    word_hash(&folded).map(take);
    let separator = text[end..].chars().next().map_or(1, char::len_utf8);
    end + separator
}

#[cfg(test)]
mod tests;
