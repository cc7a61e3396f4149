//! Payment card numbers in text.
//!
//! A number counts when it stands alone, has the length and the leading digits of a card network, and its last digit is
//! right (Luhn). Ids of 16 or 19 digits have that by chance about once in a hundred when they begin like a card, and
//! never when they are times: those begin with 1.

use std::ops::Range;

/// Fewest digits of a card number.
pub(super) const MIN_DIGITS: usize = 13;
/// Most digits of a card number.
const MAX_DIGITS: usize = 19;
/// Longest run that is worth a closer look before it is walked.
const MAX_RUN_BYTES: usize = 64;

/// Whether a byte may be part of a card number as people write it.
pub(super) fn is_part(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b' ' || byte == b'-'
}

/// Whether digits that follow each other in a run of [`is_part`] bytes can be a card number, wherever it begins: the
/// bytes at the ends of the run need not belong to the text in which the number stands.
pub(super) fn may_be_in(run: &[u8]) -> bool {
    if run.len() > MAX_RUN_BYTES {
        return true;
    }
    let digits: Vec<u8> = run.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect();
    let lengths = MIN_DIGITS..=MAX_DIGITS.min(digits.len());
    lengths.into_iter().any(|length| digits.windows(length).any(is_card))
}

/// Where card numbers stand, in order.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let groups = digit_groups(bytes);
    let mut found = Vec::new();
    let mut first = 0;
    while first < groups.len() {
        match longest_from(bytes, &groups, first) {
            Some(last) => {
                found.push(groups[first].start..groups[last].end);
                first = last + 1;
            }
            None => first += 1,
        }
    }
    found
}

fn digit_groups(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for at in (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()) {
        match groups.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

/// The last group of the longest card number that begins with group `first`.
fn longest_from(bytes: &[u8], groups: &[Range<usize>], first: usize) -> Option<usize> {
    let start = groups[first].start;
    if start > 0 && is_word(bytes[start - 1]) {
        return None;
    }
    let (mut digits, mut best) = (Vec::with_capacity(MAX_DIGITS), None);
    for (last, group) in groups.iter().enumerate().skip(first) {
        let joins = last == first || {
            let before = &groups[last - 1];
            // written in groups, a card begins with four digits, and one space or dash stands between
            groups[first].len() == 4
                && group.start == before.end + 1
                && matches!(bytes[before.end], b' ' | b'-')
                && (3..=6).contains(&group.len())
        };
        if !joins || digits.len() + group.len() > MAX_DIGITS {
            break;
        }
        digits.extend(bytes[group.clone()].iter().map(|byte| byte - b'0'));
        let ends = match bytes.get(group.end..) {
            Some([b'.']) => true,
            Some([b'.', next, ..]) => !next.is_ascii_digit(),
            Some([next, ..]) => !is_word(*next),
            _ => true,
        };
        if ends && is_card(&digits) {
            best = Some(last);
        }
    }
    best
}

/// What makes a number part of a longer word: letters, other scripts, and the point of a decimal fraction.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || byte >= 0x80
}

fn is_card(digits: &[u8]) -> bool {
    digits.len() >= MIN_DIGITS && has_network(digits) && is_luhn(digits)
}

/// Visa, Mastercard, American Express, Discover, JCB, Diners Club, UnionPay: leading digits and lengths.
fn has_network(digits: &[u8]) -> bool {
    let prefix = digits[..4].iter().fold(0_u16, |number, digit| number * 10 + u16::from(*digit));
    match digits.len() {
        13 => prefix / 1000 == 4,
        14 => matches!(prefix / 10, 300..=305) || matches!(prefix / 100, 36 | 38 | 39),
        15 => matches!(prefix / 100, 34 | 37),
        16 => {
            prefix / 1000 == 4
                || matches!(prefix / 100, 51..=55 | 62 | 65)
                || matches!(prefix, 2221..=2720 | 3528..=3589 | 6011)
                || matches!(prefix / 10, 644..=649)
        }
        17 | 18 => matches!(prefix / 100, 62 | 65) || matches!(prefix, 3528..=3589),
        19 => prefix / 1000 == 4 || matches!(prefix / 100, 62 | 65) || matches!(prefix, 3528..=3589 | 6011),
        _ => false,
    }
}

fn is_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| u32::from(if index % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests;
