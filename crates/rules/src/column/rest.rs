//! The residual attribute lists of a batch, turned into one column per key.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use model::attribute::ENTRY_SEPARATOR;
use model::signal;

use super::Map;

/// A key that was found, and the values that rows have under it.
#[derive(Debug)]
pub struct Slot<'b> {
    /// The key as it stands in an entry.
    pub key: &'b str,
    /// Distinct entries of the key.
    pub entries: Vec<&'b str>,
    /// Row and entry, in order of rows.
    pub rows: Vec<(u32, u32)>,
    numbers: Map<&'b str, u32>,
    is_wanted: bool,
    /// The slot that came after this one last time: lists tend to have their keys in the same order.
    next: usize,
}

/// The keys of a batch.
#[derive(Debug, Default)]
pub struct Rest<'b> {
    /// By first appearance.
    pub slots: Vec<Slot<'b>>,
    numbers: Map<&'b str, usize>,
}

impl<'b> Rest<'b> {
    /// Reads the lists once. Values of keys that are not wanted are passed over.
    pub fn read(batch: &'b RecordBatch, is_wanted: impl Fn(&str) -> bool) -> Self {
        let mut rest = Self { slots: Vec::new(), numbers: HashMap::default() };
        let lists = batch.column_by_name(signal::ATTRS_REST).and_then(|column| column.as_list_opt::<i32>());
        let Some((lists, entries)) = lists.and_then(|lists| Some((lists, lists.values().as_string_opt::<i32>()?)))
        else {
            return rest;
        };
        let mut first = 0;
        for row in 0..lists.len() {
            let (start, end) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
            let (mut guess, mut before) = (first, None);
            for entry in start..end {
                let text: &'b str = entries.value(entry);
                let Some(slot) = rest.find(guess, text, &is_wanted) else { continue };
                match before {
                    None => first = slot,
                    Some(before) => rest.follow(before, slot),
                }
                before = Some(slot);
                guess = rest.take(slot, row, text);
            }
        }
        rest
    }

    /// The values under a key, as it stands in an entry.
    pub fn slot(&self, key: &str) -> Option<&Slot<'b>> {
        self.slots.get(*self.numbers.get(key)?)
    }

    /// The slot of an entry, which is most likely the guessed one.
    fn find(&mut self, guess: usize, entry: &'b str, is_wanted: impl Fn(&str) -> bool) -> Option<usize> {
        let is_guessed = self.slots.get(guess).is_some_and(|slot| slot.owns(entry));
        if is_guessed {
            return Some(guess);
        }
        let (key, _) = entry.split_once(ENTRY_SEPARATOR)?;
        Some(*self.numbers.entry(key).or_insert_with(|| {
            self.slots.push(Slot {
                key,
                entries: Vec::new(),
                rows: Vec::new(),
                numbers: HashMap::default(),
                is_wanted: is_wanted(key),
                next: 0,
            });
            self.slots.len() - 1
        }))
    }

    fn follow(&mut self, before: usize, slot: usize) {
        if let Some(before) = self.slots.get_mut(before) {
            before.next = slot;
        }
    }

    /// Takes an entry into its slot; says which slot comes next, most likely.
    fn take(&mut self, slot: usize, row: usize, entry: &'b str) -> usize {
        let Some(slot) = self.slots.get_mut(slot) else { return 0 };
        if slot.is_wanted {
            let same = slot.rows.last().filter(|(_, last)| slot.entries.get(*last as usize) == Some(&entry));
            let number = match same {
                Some((_, last)) => *last,
                None => *slot.numbers.entry(entry).or_insert_with(|| {
                    slot.entries.push(entry);
                    super::number(slot.entries.len() - 1)
                }),
            };
            slot.rows.push((super::number(row), number));
        }
        slot.next
    }
}

impl Slot<'_> {
    fn owns(&self, entry: &str) -> bool {
        let after = entry.strip_prefix(self.key);
        after.is_some_and(|after| after.starts_with(ENTRY_SEPARATOR))
    }
}
