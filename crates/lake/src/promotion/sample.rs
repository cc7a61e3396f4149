//! Some rows of what is to be merged: which keys they have, how often, and in which order.

use std::collections::HashMap;

use arrow::array::{AsArray, ListArray};
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use model::signal::ATTRS_REST;

use super::{PromotedKey, parts_of};
use crate::row_order::wrong;

/// Keys that are counted; further ones are not.
const MAX_KEYS: usize = 4_096;
/// Sequences of keys that are remembered; further ones do not count for the order.
const MAX_SEQUENCES: usize = 4_096;
/// Entries of a row that are looked at.
const MAX_ENTRIES: usize = 64;

/// What was seen: a megabyte or two at most.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    keys: Vec<PromotedKey>,
    /// Rows that have each key.
    counts: Vec<u64>,
    /// By what an entry begins with: key, separator, tag.
    numbers: HashMap<String, u16, RandomState>,
    /// How many rows have which keys in which order.
    sequences: HashMap<Vec<u16>, u64, RandomState>,
    rows: u64,
}

impl Sample {
    /// Takes in the residual lists of some rows.
    pub(crate) fn add(&mut self, list: &ListArray) -> Result<(), ArrowError> {
        let texts = list.values().as_string_opt::<i32>().ok_or_else(|| wrong(ATTRS_REST))?;
        let (mut keys, mut sequence) = (Vec::new(), Vec::new());
        for ends in list.value_offsets().windows(2) {
            self.rows += 1;
            keys.clear();
            sequence.clear();
            for at in (ends[0]..ends[1]).take(MAX_ENTRIES) {
                let entry = texts.value(at as usize);
                let Some((key, tag, text)) = parts_of(entry) else { continue };
                if keys.contains(&key) {
                    continue;
                }
                keys.push(key);
                let head = &entry[..entry.len() - text.len()];
                if let Some(number) = self.number(head, key, tag) {
                    self.counts[usize::from(number)] += 1;
                    sequence.push(number);
                }
            }
            if let Some(count) = self.sequences.get_mut(&sequence) {
                *count += 1;
            } else if self.sequences.len() < MAX_SEQUENCES {
                self.sequences.insert(sequence.clone(), 1);
            }
        }
        Ok(())
    }

    fn number(&mut self, head: &str, key: &str, tag: char) -> Option<u16> {
        if let Some(number) = self.numbers.get(head) {
            return Some(*number);
        }
        let number = u16::try_from(self.keys.len()).ok().filter(|number| usize::from(*number) < MAX_KEYS)?;
        self.numbers.insert(head.to_owned(), number);
        self.keys.push(PromotedKey { key: key.to_owned(), tag });
        self.counts.push(0);
        Some(number)
    }

    /// Every key that was seen with the share of the rows that have it, the most frequent first.
    pub(crate) fn shares(&self) -> Vec<(&PromotedKey, f64)> {
        let rows = self.rows.max(1) as f64;
        let mut shares: Vec<_> =
            self.keys.iter().zip(&self.counts).map(|(key, count)| (key, *count as f64 / rows)).collect();
        shares.sort_by(|(left, left_share), (right, right_share)| {
            right_share.total_cmp(left_share).then_with(|| left.cmp(right))
        });
        shares
    }

    /// The keys in the order in which most rows have them, so that few rows need an order of their own.
    pub(crate) fn in_order(&self, keys: Vec<PromotedKey>) -> Vec<PromotedKey> {
        let mut place_of = vec![None; self.keys.len()];
        for (place, key) in keys.iter().enumerate() {
            if let Some(number) = self.keys.iter().position(|seen| seen == key) {
                place_of[number] = Some(place);
            }
        }
        // how many more rows have the one before the other than the other way round
        let mut before = vec![vec![0_i64; keys.len()]; keys.len()];
        for (sequence, rows) in &self.sequences {
            let places: Vec<usize> = sequence.iter().filter_map(|number| place_of[usize::from(*number)]).collect();
            for (at, left) in places.iter().enumerate() {
                for right in &places[at + 1..] {
                    before[*left][*right] += *rows as i64;
                    before[*right][*left] -= *rows as i64;
                }
            }
        }
        let mut left: Vec<usize> = (0..keys.len()).collect();
        let mut sorted = Vec::with_capacity(keys.len());
        while !left.is_empty() {
            // rows in which some key that is left comes before this one
            let behind = |place: &usize| left.iter().map(|other| before[*other][*place].max(0)).sum::<i64>();
            let at = (0..left.len()).min_by_key(|at| behind(&left[*at])).unwrap_or(0);
            sorted.push(keys[left.remove(at)].clone());
        }
        sorted
    }
}
