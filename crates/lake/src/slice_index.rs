//! Which slices of a file hold a trace.
//!
//! The filter is over the hashes of the trace ids (binary fuse, 8 bits: Graf and Lemire 2022; one lookup in 256 of an absent
//! trace goes on to the map). The map has buckets by the upper bits of the hash, in them the lower 32 bits with the slice.
//! Neither ever denies a trace that is there.

use std::ops::Range;

use model::TraceId;
use xorf::{BinaryFuse8, Filter as _};

use crate::row_order::SLICE_ROWS;
use crate::sidecar::{self, Cursor};
use crate::{FileEntry, LakeError};

pub(crate) const FILTER: u32 = 1;
pub(crate) const MAP: u32 = 2;
/// Entries of a bucket of the map, about.
const BUCKET_ENTRIES: usize = 16;
const MAX_BUCKET_BITS: u32 = 20;

/// Collects which traces the slices of a file hold.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    /// Hash and slice, each pair once; 0 is no trace.
    entries: Vec<(u64, u16)>,
    slices: u16,
}

impl Builder {
    /// Takes in the traces of the next slice; `None` for rows without one.
    pub(crate) fn add_slice(&mut self, traces: impl Iterator<Item = Option<TraceId>>) {
        let from = self.entries.len();
        for trace in traces {
            self.entries.extend(trace.map(|trace| (hash(trace), self.slices)));
        }
        self.entries[from..].sort_unstable();
        let mut last = None;
        let mut kept = from;
        for index in from..self.entries.len() {
            let entry = self.entries[index];
            if last.replace(entry) != Some(entry) {
                self.entries[kept] = entry;
                kept += 1;
            }
        }
        self.entries.truncate(kept);
        self.slices = self.slices.saturating_add(1);
    }

    /// Filter and map.
    pub(crate) fn finish(mut self) -> Vec<(u32, Vec<u8>)> {
        self.entries.sort_unstable();
        let mut hashes: Vec<u64> = self.entries.iter().map(|(hash, _)| *hash).collect();
        hashes.dedup();
        let mut sections: Vec<(u32, Vec<u8>)> = Vec::new();
        sections.extend(sidecar::filter_of(&hashes).map(|filter| (FILTER, filter)));
        sections.push((MAP, self.map()));
        sections
    }

    /// Bits of a bucket number u32, number of entries u32, where each bucket begins u32 (one more than buckets), lower
    /// halves of the hashes u32, slices u16.
    fn map(&self) -> Vec<u8> {
        let buckets = (self.entries.len() / BUCKET_ENTRIES).max(1).next_power_of_two();
        let bits = buckets.trailing_zeros().min(MAX_BUCKET_BITS);
        let mut starts = vec![0_u32; (1 << bits) + 1];
        for (hash, _) in &self.entries {
            starts[bucket(*hash, bits) + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut out = Vec::with_capacity(8 + starts.len() * 4 + self.entries.len() * 6);
        out.extend(bits.to_le_bytes());
        out.extend((self.entries.len() as u32).to_le_bytes());
        starts.iter().for_each(|start| out.extend(start.to_le_bytes()));
        self.entries.iter().for_each(|(hash, _)| out.extend((*hash as u32).to_le_bytes()));
        self.entries.iter().for_each(|(_, slice)| out.extend(slice.to_le_bytes()));
        out
    }
}

/// Whether a file may hold a trace: a ninth of what the map takes, so that the filters of all files stay in memory.
#[derive(Debug)]
pub struct TraceFilter {
    /// `None` when no filter could be made: then it may hold every trace.
    filter: Option<BinaryFuse8>,
}

impl TraceFilter {
    /// Reads the filter of a file; blocking.
    ///
    /// # Errors
    /// [`LakeError::Disk`] when there is no index, [`LakeError::Index`] when it is damaged or of another file.
    pub fn open(entry: &FileEntry) -> Result<Self, LakeError> {
        let sections = sidecar::open(entry, &[FILTER])?;
        Self::read(&sections).ok_or_else(|| LakeError::Index { path: entry.index_path() })
    }

    fn read(sections: &[(u32, Vec<u8>)]) -> Option<Self> {
        let found = sections.iter().find(|(kind, _)| *kind == FILTER);
        let filter = found.map(|(_, section)| sidecar::read_filter(section));
        // one that is there and cannot be read is damage
        Some(Self { filter: filter.map_or(Some(None), |read| read.map(Some))? })
    }

    /// Whether one of the traces may be in the file; never denies one that is.
    pub fn may_hold(&self, traces: &[TraceId]) -> bool {
        self.filter.as_ref().is_none_or(|filter| traces.iter().any(|trace| filter.contains(&hash(*trace))))
    }

    /// Bytes it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.filter.as_ref().map_or(0, |filter| filter.fingerprints.len())
    }
}

/// Which slices of one file hold a trace.
#[derive(Debug)]
pub struct SliceIndex {
    map: Map,
    rows: u64,
}

#[derive(Debug)]
struct Map {
    bits: u32,
    starts: Box<[u32]>,
    hashes: Box<[u32]>,
    slices: Box<[u16]>,
}

impl SliceIndex {
    /// Reads the map of a file; blocking.
    ///
    /// # Errors
    /// [`LakeError::Disk`] when there is none, [`LakeError::Index`] when it is damaged or of another file.
    pub fn open(entry: &FileEntry) -> Result<Self, LakeError> {
        let sections = sidecar::open(entry, &[MAP])?;
        Self::read(&sections, entry.zone.rows).ok_or_else(|| LakeError::Index { path: entry.index_path() })
    }

    fn read(sections: &[(u32, Vec<u8>)], rows: u64) -> Option<Self> {
        let (_, section) = sections.iter().find(|(kind, _)| *kind == MAP)?;
        Some(Self { map: Map::read(section)?, rows })
    }

    /// The rows that may be of any of the traces, as whole slices, ascending and not overlapping. A trace that is in the
    /// file is in them.
    pub fn rows_of(&self, traces: &[TraceId]) -> Vec<Range<u64>> {
        let mut slices: Vec<u16> = Vec::new();
        for trace in traces {
            slices.extend(self.map.slices_of(hash(*trace)));
        }
        slices.sort_unstable();
        slices.dedup();
        let start = |slice: u16| u64::from(slice) * SLICE_ROWS as u64;
        let mut found: Vec<Range<u64>> = Vec::new();
        for slice in slices {
            let rows = start(slice)..(start(slice) + SLICE_ROWS as u64).min(self.rows);
            match found.last_mut().filter(|last| last.end == rows.start) {
                Some(last) => last.end = rows.end,
                None => found.push(rows),
            }
        }
        found
    }

    /// Bytes it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.map.starts.len() * 4 + self.map.hashes.len() * 6
    }
}

impl Map {
    fn read(section: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(section);
        let bits = cursor.u32()?;
        let entries = usize::try_from(cursor.u32()?).ok()?;
        if bits > MAX_BUCKET_BITS {
            return None;
        }
        let numbers = |cursor: &mut Cursor<'_>, count: usize| -> Option<Box<[u32]>> {
            let bytes = cursor.take(count.checked_mul(4)?)?;
            Some(bytes.chunks_exact(4).map(|number| Cursor(number).u32().unwrap_or_default()).collect())
        };
        let starts = numbers(&mut cursor, (1 << bits) + 1)?;
        let hashes = numbers(&mut cursor, entries)?;
        let slices = cursor.take(entries.checked_mul(2)?)?;
        let slices = slices.chunks_exact(2).map(|number| u16::from_le_bytes([number[0], number[1]])).collect();
        let is_whole = starts.is_sorted() && starts.last().is_some_and(|last| *last as usize == entries);
        is_whole.then_some(Self { bits, starts, hashes, slices })
    }

    fn slices_of(&self, hash: u64) -> impl Iterator<Item = u16> {
        let bucket = bucket(hash, self.bits);
        let range = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        let hashes = self.hashes[range.clone()].iter().zip(&self.slices[range]);
        hashes.filter(move |(low, _)| **low == hash as u32).map(|(_, slice)| *slice)
    }
}

fn bucket(hash: u64, bits: u32) -> usize {
    // a shift by all 64 bits is none
    (hash.checked_shr(u64::BITS - bits).unwrap_or(0)) as usize
}

/// Both halves stirred with the finalizer of SplitMix64 (Steele, Lea, Flood 2014): some clients keep one half constant.
/// Part of the format. Ids made to collide cost whoever looks for them a slice more.
fn hash(trace: TraceId) -> u64 {
    let whole = u128::from_be_bytes(trace.0);
    mix((whole >> 64) as u64 ^ mix(whole as u64))
}

fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests;
