//! Which row groups of a file may hold an attribute with a value.
//!
//! Per row group a filter (binary fuse, 8 bits: one absent value in 256 passes) over the hashes of every value of every
//! attribute column, every residual entry and every resource attribute. It never denies a value that is there; a row group
//! without a filter may hold anything.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use model::Signal;
use model::attribute::parse_list;
use model::field::PROMOTED;
use model::signal::{ATTRS_REST, KEY_ID, RESOURCE, span};
use twox_hash::XxHash3_128;
use xorf::{BinaryFuse8, Filter as _};

use crate::row_order::{GROUP_SLICES, column, wrong};
use crate::{FileEntry, LakeError, sidecar};

pub(crate) const VALUES: u32 = 3;

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a column of this name; integers as decimal digits.
    Column,
    /// Among the residual entries; the key is empty, the text is the encoded entry.
    Entry,
    /// In the resource; the text is the value as people read it.
    Resource,
}

/// The hash of a value, as the index knows it: XXH3 of the place, the key and the text. Part of the format.
pub fn value_hash(place: Place, key: &str, text: &str) -> u64 {
    let place: u8 = match place {
        Place::Column => b'c',
        Place::Entry => b'e',
        Place::Resource => b'r',
    };
    let mut bytes = Vec::with_capacity(key.len() + text.len() + 2);
    bytes.push(place);
    bytes.extend(key.as_bytes());
    bytes.push(0x1f);
    bytes.extend(text.as_bytes());
    XxHash3_128::oneshot(&bytes) as u64
}

/// Whether a column is one whose values are in the index, whatever the signal.
fn is_indexed(name: &str) -> bool {
    let named = [KEY_ID, span::EVENT_EXCEPTION_TYPE, span::EVENT_EXCEPTION_MESSAGE];
    named.contains(&name) || PROMOTED.iter().any(|promoted| promoted.name == name)
}

/// Collects the values of the row groups of one file.
#[derive(Debug)]
pub(crate) struct Builder {
    columns: Vec<String>,
    hashes: HashSet<u64, RandomState>,
    slices: usize,
    groups: Vec<Option<Vec<u8>>>,
}

impl Builder {
    pub(crate) fn new(signal: Signal) -> Self {
        let schema = signal.stored_schema();
        let columns = schema.fields().iter().map(|field| field.name()).filter(|name| is_indexed(name)).cloned();
        Self { columns: columns.collect(), hashes: HashSet::default(), slices: 0, groups: Vec::new() }
    }

    /// Takes in the next slice.
    pub(crate) fn add_slice(&mut self, slice: &RecordBatch) -> Result<(), ArrowError> {
        for name in &self.columns {
            let Some(values) = slice.column_by_name(name) else { continue };
            if values.null_count() == values.len() {
                continue;
            }
            add_column(&mut self.hashes, name, values.as_ref())?;
        }
        let entries = column(slice, ATTRS_REST)?.as_list_opt::<i32>().ok_or_else(|| wrong(ATTRS_REST))?;
        let entries = entries.values().as_string_opt::<i32>().ok_or_else(|| wrong(ATTRS_REST))?;
        self.hashes.extend(entries.iter().flatten().map(|entry| value_hash(Place::Entry, "", entry)));
        let resources = column(slice, RESOURCE)?.as_dictionary_opt::<Int32Type>().ok_or_else(|| wrong(RESOURCE))?;
        for list in labels(resources).ok_or_else(|| wrong(RESOURCE))? {
            let values = parse_list(list).map(|(key, value)| value_hash(Place::Resource, &key, &value.text()));
            self.hashes.extend(values);
        }
        self.slices += 1;
        if self.slices == GROUP_SLICES {
            self.end_group();
        }
        Ok(())
    }

    fn end_group(&mut self) {
        let hashes: Vec<u64> = self.hashes.drain().collect();
        self.groups.push(sidecar::filter_of(&hashes));
        self.slices = 0;
    }

    /// A list of filters, one for each row group.
    pub(crate) fn finish(mut self) -> (u32, Vec<u8>) {
        if self.slices > 0 {
            self.end_group();
        }
        (VALUES, sidecar::write_filters(&self.groups))
    }
}

fn add_column(hashes: &mut HashSet<u64, RandomState>, name: &str, values: &dyn Array) -> Result<(), ArrowError> {
    let mut add = |text: &str| {
        hashes.insert(value_hash(Place::Column, name, text));
    };
    match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().iter().flatten().for_each(add),
        DataType::Int64 => {
            // statuses and ports repeat, so that most are looked up once
            let mut last = None;
            for number in values.as_primitive::<Int64Type>().iter().flatten() {
                if last.replace(number) != Some(number) {
                    add(&number.to_string());
                }
            }
        }
        DataType::Dictionary(..) => {
            let found = values.as_dictionary_opt::<Int32Type>().and_then(|found| labels(found));
            found.ok_or_else(|| wrong(name))?.for_each(add);
        }
        _ => return Err(wrong(name)),
    }
    Ok(())
}

/// The labels that rows have.
fn labels(column: &arrow::array::DictionaryArray<Int32Type>) -> Option<impl Iterator<Item = &str>> {
    let texts = column.values().as_string_opt::<i32>()?;
    let mut used = vec![false; texts.len()];
    column.keys_iter().flatten().for_each(|key| used[key] = true);
    Some((0..texts.len()).filter(move |label| used[*label] && texts.is_valid(*label)).map(|label| texts.value(label)))
}

/// Which row groups of one file may hold a value.
#[derive(Debug)]
pub struct ValueIndex {
    groups: Vec<Option<BinaryFuse8>>,
}

impl ValueIndex {
    /// Reads the index of a file; blocking. `None` when the file has no such index, as those of a flush.
    ///
    /// # Errors
    /// [`LakeError::Disk`] when there is no sidecar, [`LakeError::Index`] when it is damaged or of another file.
    pub fn open(entry: &FileEntry) -> Result<Option<Self>, LakeError> {
        let sections = sidecar::open(entry, &[VALUES])?;
        let Some((_, section)) = sections.first() else { return Ok(None) };
        Self::read(section).map(Some).ok_or_else(|| LakeError::Index { path: entry.index_path() })
    }

    fn read(section: &[u8]) -> Option<Self> {
        Some(Self { groups: sidecar::read_filters(section)? })
    }

    /// Of each row group, whether it may hold a row that has, of every set, one of its values (see [`value_hash`]).
    pub fn groups_with(&self, sets: &[Vec<u64>]) -> Vec<bool> {
        let may_hold = |group: &Option<BinaryFuse8>| {
            group.as_ref().is_none_or(|filter| sets.iter().all(|set| set.iter().any(|hash| filter.contains(hash))))
        };
        self.groups.iter().map(may_hold).collect()
    }

    /// Bytes it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.groups.iter().flatten().map(|filter| filter.fingerprints.len()).sum()
    }
}

#[cfg(test)]
mod tests;
