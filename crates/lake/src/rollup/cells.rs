//! Counts under a key, by step and size class, sorted and without gaps for what did not happen.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::RangeInclusive;

use foldhash::fast::RandomState;

use super::{Call, MAX_KEYS, OTHER, Operation};

/// So many durations of a size class within a step, under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Which key: its place among the keys of the table.
    pub key: u16,
    /// Number of the step since 1970; 0 in totals.
    pub step: i32,
    /// Size class of the durations.
    pub class: u16,
    /// How many; negative when they are taken back.
    pub count: i64,
}

/// What counts stand under.
pub trait Key: Clone + Ord + Hash {
    /// Where a key goes when there are too many.
    fn other(&self) -> Self;
    /// Where it goes when there are too many of those as well.
    fn last(&self) -> Self;
}

impl Key for Operation {
    fn other(&self) -> Self {
        Self { service: self.service.clone(), name: OTHER.to_owned(), kind: 0, status: self.status.clamp(0, 2) }
    }

    fn last(&self) -> Self {
        Self { service: OTHER.to_owned(), ..self.other() }
    }
}

impl Key for Call {
    fn other(&self) -> Self {
        Self { caller: OTHER.to_owned(), callee: OTHER.to_owned(), ..*self }
    }

    fn last(&self) -> Self {
        self.other()
    }
}

/// Counts by key, step and size class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<K> {
    /// Sorted.
    keys: Vec<K>,
    /// Sorted by key, step and class, each once.
    cells: Vec<Cell>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), cells: Vec::new() }
    }
}

impl<K> Table<K> {
    /// Each key with its cells.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &[Cell])> {
        self.cells
            .chunk_by(|left, right| left.key == right.key)
            .map(|cells| (&self.keys[usize::from(cells[0].key)], cells))
    }

    pub(crate) fn keys(&self) -> &[K] {
        &self.keys
    }

    pub(crate) fn into_keys(self) -> Vec<K> {
        self.keys
    }

    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The parts of one that was written; `None` when a cell has no key.
    pub(crate) fn from_parts(keys: Vec<K>, cells: Vec<Cell>) -> Option<Self> {
        let has_key = |cell: &Cell| usize::from(cell.key) < keys.len();
        cells.iter().all(has_key).then_some(Self { keys, cells })
    }

    pub(crate) fn keep_steps(&mut self, steps: &RangeInclusive<i32>) {
        self.cells.retain(|cell| steps.contains(&cell.step));
    }

    /// The cells without their steps.
    pub(crate) fn totals(&self) -> Vec<Cell> {
        added(self.cells.iter().map(|cell| Cell { step: 0, ..*cell }).collect())
    }
}

impl<K: Key> Table<K> {
    /// Counts under keys in any order, each key once; keys past [`MAX_KEYS`] go where their kind goes.
    pub(crate) fn new(keys: Vec<K>, mut cells: Vec<Cell>) -> Self {
        let mut sorted: Vec<(K, u16)> = keys.into_iter().zip(0..).collect();
        sorted.sort_unstable();
        let mut place = vec![0; sorted.len()];
        sorted.iter().zip(0..).for_each(|((_, before), after)| place[usize::from(*before)] = after);
        cells.iter_mut().for_each(|cell| cell.key = place[usize::from(cell.key)]);
        Self { keys: sorted.into_iter().map(|(key, _)| key).collect(), cells: added(cells) }
    }

    pub(crate) fn sum(mut parts: Vec<Self>) -> Self {
        if parts.len() < 2 {
            return parts.pop().unwrap_or_default();
        }
        let mut keys = Keys::default();
        let mut cells = Vec::with_capacity(parts.iter().map(|part| part.cells.len()).sum());
        for part in parts {
            let places: Vec<u16> = part.keys.into_iter().map(|key| keys.place(key)).collect();
            cells.extend(part.cells.into_iter().map(|cell| Cell { key: places[usize::from(cell.key)], ..cell }));
        }
        Self::new(keys.all, cells)
    }
}

/// Keys with their places.
#[derive(Debug)]
pub(crate) struct Keys<K> {
    places: HashMap<K, u16, RandomState>,
    pub(crate) all: Vec<K>,
}

impl<K> Default for Keys<K> {
    fn default() -> Self {
        Self { places: HashMap::default(), all: Vec::new() }
    }
}

impl<K: Key> Keys<K> {
    pub(crate) fn place(&mut self, key: K) -> u16 {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let key = match self.all.len() {
            few if few < MAX_KEYS => key,
            many if many < 2 * MAX_KEYS => key.other(),
            _ => key.last(),
        };
        *self.places.entry(key).or_insert_with_key(|key| {
            self.all.push(key.clone());
            // there are four last ones at most, so this stays far below 2^16
            self.all.len() as u16 - 1
        })
    }
}

/// Sorted, each place once, without those that come to nothing.
fn added(mut cells: Vec<Cell>) -> Vec<Cell> {
    let place = |cell: &Cell| {
        (u64::from(cell.key) << 48) | (u64::from(cell.step as u32 ^ (1 << 31)) << 16) | u64::from(cell.class)
    };
    cells.sort_unstable_by_key(place);
    cells.dedup_by(|next, kept| {
        let is_same = place(next) == place(kept);
        if is_same {
            kept.count += next.count;
        }
        is_same
    });
    cells.retain(|cell| cell.count != 0);
    cells
}
