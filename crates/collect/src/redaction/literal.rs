//! Many literals searched at once, two bytes a step.
//!
//! Every literal is known by *blocks* of three bytes: two that follow each other, one of which begins at an even byte of
//! the payload wherever the literal stands (Wu and Manber, "A fast algorithm for multi-pattern searching", 1994, with a
//! step of two). The blocks are marked in a table of bits by their hash; only the even bytes of a payload are looked up,
//! and only where a bit is set the literals of that block are compared whole. Blocks are in one case, so that literals of
//! any case take no more of them.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::FixedState;

/// Fewest bytes of a literal.
pub(super) const MIN_BYTES: usize = 3;
/// Bytes of a block.
const BLOCK_BYTES: usize = 3;
/// Bytes between the places that are looked at.
const STEP: usize = 2;
/// Bytes that are read at once, and how far that brings the search: three blocks of them are whole.
const WORD_BYTES: usize = 8;
const WORD_STEP: usize = 3 * STEP;
/// The table of bits: 8 KiB, a quarter of the smallest first cache.
const HASH_BITS: u32 = 16;
/// Spreads a block over the upper bits; the fraction of the golden ratio.
const SPREAD: u32 = 0x9e37_79b1;
/// Makes letters lower case, and keeps blocks that differ in nothing else together.
const LOWER: u64 = 0x2020_2020_2020_2020;
const BLOCK_MASK: u32 = 0x00ff_ffff;
/// Letters from frequent to rare in the names and texts of telemetry.
const FREQUENT: &[u8] = b"etaoinsrlcdpmuhgbfvykwxjzq";

/// A literal of some length to be searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literal {
    /// In lower case when case does not count.
    bytes: Vec<u8>,
    any_case: bool,
    is_own_key: bool,
}

impl Literal {
    pub fn new(bytes: &[u8], any_case: bool) -> Self {
        let bytes = if any_case { bytes.to_ascii_lowercase() } else { bytes.to_vec() };
        Self { bytes, any_case, is_own_key: false }
    }

    /// The beginning of one of our own keys: `th_`, sixteen hexadecimal digits and `_` must stand there.
    pub fn own_key() -> Self {
        Self { is_own_key: true, ..Self::new(b"th_", false) }
    }

    /// Whether it has too few bytes to be searched for.
    pub fn is_too_short(&self) -> bool {
        self.bytes.len() < MIN_BYTES
    }

    /// Whether every text that holds `self` holds `other` too.
    pub fn implies(&self, other: &Self) -> bool {
        let holds = |own: &[u8]| own.windows(other.bytes.len().max(1)).any(|window| window == other.bytes);
        !other.is_own_key
            && (other.any_case && holds(&self.bytes.to_ascii_lowercase()) || !self.any_case && holds(&self.bytes))
    }

    /// Whether the literal stands at `at`.
    fn stands_at(&self, payload: &[u8], at: usize) -> bool {
        let Some(there) = payload.get(at..at + self.bytes.len()) else { return false };
        if self.is_own_key {
            let id = payload.get(at + 3..at + 20);
            return there == self.bytes
                && id.is_some_and(|id| id[16] == b'_' && id[..16].iter().all(u8::is_ascii_hexdigit));
        }
        if self.any_case { there.eq_ignore_ascii_case(&self.bytes) } else { there == self.bytes }
    }

    /// Its blocks, with how many bytes before each the literal begins: -1 for a block that begins a byte earlier.
    fn blocks(&self) -> Vec<(u32, isize)> {
        let block = |bytes: &[u8]| block_of(&[bytes[0], bytes[1], bytes[2]]);
        let windows = self.bytes.windows(BLOCK_BYTES + 1).enumerate();
        let rarest = windows.max_by_key(|(at, window)| (rarity(window), std::cmp::Reverse(*at)));
        if let Some((at, window)) = rarest {
            return vec![(block(window), at as isize), (block(&window[1..]), at as isize + 1)];
        }
        let [first, second, third] = [self.bytes[0], self.bytes[1], self.bytes[2]];
        // three bytes have one block; the other has any byte before or behind two of them
        let any = 0..=u8::MAX;
        let others: Vec<_> = if rarity(&[second, third]) >= rarity(&[first, second]) {
            any.map(|byte| (block_of(&[second, third, byte]), 1)).collect()
        } else {
            any.map(|byte| (block_of(&[byte, first, second]), -1)).collect()
        };
        let mut blocks = [vec![(block(&self.bytes), 0)], others].concat();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }
}

fn rarity(bytes: &[u8]) -> usize {
    let of = |byte: &u8| {
        let lower = byte.to_ascii_lowercase();
        FREQUENT.iter().position(|letter| *letter == lower).unwrap_or(FREQUENT.len())
    };
    bytes.iter().map(of).sum()
}

fn block_of(bytes: &[u8; BLOCK_BYTES]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) | LOWER as u32 & BLOCK_MASK
}

fn hash(block: u32) -> usize {
    (block.wrapping_mul(SPREAD) >> (u32::BITS - HASH_BITS)) as usize
}

/// Searches for literals.
#[derive(Debug)]
pub(super) struct Finder {
    literals: Vec<Literal>,
    /// One bit for every hash of a block.
    marked: Box<[u64; 1 << (HASH_BITS - 6)]>,
    /// By block: literals that have it, and how many bytes before it they begin.
    owners: HashMap<u32, Vec<(usize, isize)>, FixedState>,
}

impl Finder {
    /// A search for literals that are not too short.
    pub fn of(literals: Vec<Literal>) -> Self {
        let mut marked = Box::new([0; 1 << (HASH_BITS - 6)]);
        let mut owners: HashMap<u32, Vec<(usize, isize)>, FixedState> = HashMap::default();
        for (index, literal) in literals.iter().enumerate() {
            for (block, offset) in literal.blocks() {
                let hash = hash(block);
                marked[hash >> 6] |= 1_u64 << (hash & 63);
                owners.entry(block).or_default().push((index, offset));
            }
        }
        Self { literals, marked, owners }
    }

    /// Shows every place where a literal stands, nearly in order.
    pub fn find(&self, payload: &[u8], mut found: impl FnMut(Range<usize>)) {
        if self.literals.is_empty() {
            return;
        }
        let mut at = 0;
        while let Some(word) = payload[at..].first_chunk::<WORD_BYTES>() {
            let word = u64::from_le_bytes(*word) | LOWER;
            let blocks = [word, word >> 16, word >> 32].map(|word| word as u32 & BLOCK_MASK);
            if blocks.iter().fold(0, |bits, block| bits | self.bit(*block)) != 0 {
                for (number, block) in blocks.into_iter().enumerate() {
                    self.look(payload, at + number * STEP, block, &mut found);
                }
            }
            at += WORD_STEP;
        }
        // the last bytes, with zeros behind them
        let mut last = [0; WORD_BYTES + BLOCK_BYTES];
        let rest = &payload[at..];
        last[..rest.len()].copy_from_slice(rest);
        for offset in (0..rest.len()).step_by(STEP) {
            let block = block_of(&[last[offset], last[offset + 1], last[offset + 2]]);
            self.look(payload, at + offset, block, &mut found);
        }
    }

    /// 1 when the block's hash is marked.
    fn bit(&self, block: u32) -> u64 {
        let hash = hash(block);
        self.marked[hash >> 6] >> (hash & 63) & 1
    }

    fn look(&self, payload: &[u8], at: usize, block: u32, found: &mut impl FnMut(Range<usize>)) {
        if self.bit(block) == 0 {
            return;
        }
        for (index, offset) in self.owners.get(&block).into_iter().flatten() {
            let literal = &self.literals[*index];
            let start = at.checked_add_signed(-offset);
            if let Some(start) = start.filter(|start| literal.stands_at(payload, *start)) {
                found(start..start + literal.bytes.len());
            }
        }
    }
}

#[cfg(test)]
mod tests;
