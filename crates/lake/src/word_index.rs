//! Which slices of a file of logs may hold a word in a body.
//!
//! Per slice a filter (binary fuse, 8 bits: one absent word in 256 passes) over the hashes of the words of its bodies
//! ([`crate::word`]). It never denies a word that is there; a slice without a filter may hold anything, as one with more
//! than [`MAX_SLICE_WORDS`] different words.

use std::collections::HashSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use model::signal::log;
use xorf::{BinaryFuse8, Filter as _};

use crate::row_order::{SLICE_ROWS, column, slices_of, wrong};
use crate::{FileEntry, LakeError, sidecar, word};

pub(crate) const WORDS: u32 = 16;
/// Different words of a slice that its filter takes, eight a row: what is past it has bodies of random digits.
const MAX_SLICE_WORDS: usize = 8 * SLICE_ROWS;

/// Collects the words of the slices of one file.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    hashes: HashSet<u64, RandomState>,
    slices: Vec<Option<Vec<u8>>>,
}

impl Builder {
    /// Takes in the next slice.
    pub(crate) fn add_slice(&mut self, slice: &RecordBatch) -> Result<(), ArrowError> {
        let bodies = column(slice, log::BODY)?.as_string_opt::<i32>().ok_or_else(|| wrong(log::BODY))?;
        self.hashes.clear();
        let mut last = None;
        for body in bodies.iter().flatten() {
            // lines without numbers come in runs of the same
            if last.replace(body) == Some(body) {
                continue;
            }
            word::each_hash(body, |hash| {
                self.hashes.insert(hash);
            });
            if self.hashes.len() > MAX_SLICE_WORDS {
                self.slices.push(None);
                return Ok(());
            }
        }
        let hashes: Vec<u64> = self.hashes.iter().copied().collect();
        self.slices.push(sidecar::filter_of(&hashes));
        Ok(())
    }

    /// A list of filters, one for each slice.
    pub(crate) fn finish(self) -> (u32, Vec<u8>) {
        (WORDS, sidecar::write_filters(&self.slices))
    }
}

/// Which slices of one file may hold a word.
#[derive(Debug)]
pub struct WordIndex {
    slices: Vec<Option<BinaryFuse8>>,
}

impl WordIndex {
    /// Reads the index of a file; blocking. `None` when the file has no such index, as those of a flush.
    ///
    /// # Errors
    /// [`LakeError::Disk`] when there is no sidecar, [`LakeError::Index`] when it is damaged or of another file.
    pub fn open(entry: &FileEntry) -> Result<Option<Self>, LakeError> {
        let sections = sidecar::open(entry, &[WORDS])?;
        let Some((_, section)) = sections.first() else { return Ok(None) };
        let read = Self::read(section).filter(|read| read.slices.len() == slices_of(entry.zone.rows));
        read.map(Some).ok_or_else(|| LakeError::Index { path: entry.index_path() })
    }

    fn read(section: &[u8]) -> Option<Self> {
        Some(Self { slices: sidecar::read_filters(section)? })
    }

    /// Of each slice, whether it may hold a body that has, of every set, one of its words (see [`word::word_hash`]).
    pub fn slices_with(&self, sets: &[Vec<u64>]) -> Vec<bool> {
        let may_hold = |slice: &Option<BinaryFuse8>| {
            slice.as_ref().is_none_or(|filter| sets.iter().all(|set| set.iter().any(|hash| filter.contains(hash))))
        };
        self.slices.iter().map(may_hold).collect()
    }

    /// Bytes it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.slices.iter().flatten().map(|filter| filter.fingerprints.len()).sum()
    }
}

#[cfg(test)]
mod tests;
