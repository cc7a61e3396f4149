//! The index beside a file: which slices hold a trace.
//!
//! A sidecar says nothing the file does not say; it can be built again from it, and one that is missing, damaged or of
//! another file is as good as none: then the file is scanned. All numbers are little endian.
//!
//! ```text
//! magic "THIX"  version u32  length of the file u64  checksum of the file u32  rows u64  slice rows u32  sections u32
//! per section: kind u32  offset u64  length u64  CRC-32C u32
//! CRC-32C of everything above u32
//! sections
//! ```
//!
//! Section 1 is a filter over the hashes of the trace ids (binary fuse, 8 bits: Graf and Lemire 2022; one lookup in 256 of
//! an absent trace goes on to the map). Section 2 is the map: buckets by the upper bits of the hash, in them the lower 32
//! bits with the slice. Neither ever denies a trace that is there.

use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;

use model::TraceId;
use model::signal::TRACE_ID;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xorf::{BinaryFuse8, Descriptor, Filter as _};

use crate::row_order::SLICE_ROWS;
use crate::{FileEntry, LakeError, disk, row_order};

const MAGIC: [u8; 4] = *b"THIX";
/// The layout written now.
const VERSION: u32 = 1;
const FILTER: u32 = 1;
const MAP: u32 = 2;
/// Bytes before the table of sections.
const HEAD_BYTES: usize = 36;
const SECTION_BYTES: usize = 24;
/// More sections than any version has are a damaged header.
const MAX_SECTIONS: usize = 64;
/// Bytes before the fingerprints of a filter.
const FILTER_HEAD_BYTES: usize = 20;
/// Entries of a bucket of the map, about.
const BUCKET_ENTRIES: usize = 16;
const MAX_BUCKET_BITS: u32 = 20;

/// Collects what the index of one file says, slice by slice.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    /// Hash and slice, each pair once; 0 is no trace.
    entries: Vec<(u64, u16)>,
    slices: u16,
    rows: u64,
}

impl Builder {
    /// Takes in the traces of the next slice; `None` for rows without one.
    pub(crate) fn add_slice(&mut self, traces: impl Iterator<Item = Option<TraceId>>) {
        let from = self.entries.len();
        for trace in traces {
            self.rows += 1;
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

    /// The sidecar of a file with this length and checksum.
    pub(crate) fn finish(mut self, file_bytes: u64, file_checksum: u32) -> Vec<u8> {
        self.entries.sort_unstable();
        let mut sections: Vec<(u32, Vec<u8>)> = Vec::new();
        sections.extend(self.filter().map(|filter| (FILTER, filter)));
        sections.push((MAP, self.map()));
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(file_bytes.to_le_bytes());
        out.extend(file_checksum.to_le_bytes());
        out.extend(self.rows.to_le_bytes());
        out.extend((SLICE_ROWS as u32).to_le_bytes());
        out.extend((sections.len() as u32).to_le_bytes());
        let mut offset = (HEAD_BYTES + sections.len() * SECTION_BYTES + 4) as u64;
        for (kind, section) in &sections {
            out.extend(kind.to_le_bytes());
            out.extend(offset.to_le_bytes());
            out.extend((section.len() as u64).to_le_bytes());
            out.extend(crc32c::crc32c(section).to_le_bytes());
            offset += section.len() as u64;
        }
        out.extend(crc32c::crc32c(&out).to_le_bytes());
        sections.iter().for_each(|(_, section)| out.extend(section));
        out
    }

    /// `None` when there is nothing to filter, or no filter was found for these hashes.
    fn filter(&self) -> Option<Vec<u8>> {
        let mut hashes: Vec<u64> = self.entries.iter().map(|(hash, _)| *hash).collect();
        hashes.dedup();
        if hashes.is_empty() {
            return None;
        }
        let filter = BinaryFuse8::try_from(&hashes).ok()?;
        let mut out = Vec::with_capacity(FILTER_HEAD_BYTES + filter.fingerprints.len());
        let Descriptor { seed, segment_length, segment_length_mask, segment_count_length } = filter.descriptor;
        out.extend(seed.to_le_bytes());
        for number in [segment_length, segment_length_mask, segment_count_length] {
            out.extend(number.to_le_bytes());
        }
        out.extend(&filter.fingerprints);
        Some(out)
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

/// Which slices of one file hold a trace.
#[derive(Debug)]
pub struct SliceIndex {
    filter: Option<BinaryFuse8>,
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
    /// Reads the index of a file whole; blocking.
    ///
    /// # Errors
    /// [`LakeError::Disk`] when there is none, [`LakeError::Index`] when it is damaged or of another file.
    pub fn open(entry: &FileEntry) -> Result<Self, LakeError> {
        let path = entry.index_path();
        let mut bytes = Vec::new();
        let mut file = File::open(&path).map_err(LakeError::disk("open", &path))?;
        file.read_to_end(&mut bytes).map_err(LakeError::disk("read", &path))?;
        Self::read(&bytes, entry.bytes, entry.checksum_crc32c)
            .filter(|index| index.rows == entry.zone.rows)
            .ok_or(LakeError::Index { path })
    }

    /// `None` when the bytes are not an index of that file.
    fn read(bytes: &[u8], file_bytes: u64, file_checksum: u32) -> Option<Self> {
        let mut head = Cursor(bytes);
        let is_ours = head.take(4)? == MAGIC
            && head.u32()? == VERSION
            && head.u64()? == file_bytes
            && head.u32()? == file_checksum;
        let rows = head.u64()?;
        if !is_ours || head.u32()? as usize != SLICE_ROWS {
            return None;
        }
        let sections = usize::try_from(head.u32()?).ok().filter(|sections| *sections <= MAX_SECTIONS)?;
        let head_bytes = HEAD_BYTES + sections * SECTION_BYTES;
        if crc32c::crc32c(bytes.get(..head_bytes)?) != Cursor(bytes.get(head_bytes..)?).u32()? {
            return None;
        }
        let (mut filter, mut map) = (None, None);
        for _ in 0..sections {
            let (kind, offset, length, checksum) = (head.u32()?, head.u64()?, head.u64()?, head.u32()?);
            let start = usize::try_from(offset).ok()?;
            let section = bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)?;
            if crc32c::crc32c(section) != checksum {
                return None;
            }
            match kind {
                FILTER => filter = Some(read_filter(section)?),
                MAP => map = Some(Map::read(section)?),
                _ => {}
            }
        }
        Some(Self { filter, map: map?, rows })
    }

    /// The rows that may be of any of the traces, as whole slices, ascending and not overlapping. A trace that is in the
    /// file is in them.
    pub fn rows_of(&self, traces: &[TraceId]) -> Vec<Range<u64>> {
        let mut slices: Vec<u16> = Vec::new();
        for trace in traces {
            let hash = hash(*trace);
            if self.filter.as_ref().is_none_or(|filter| filter.contains(&hash)) {
                slices.extend(self.map.slices_of(hash));
            }
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
        let filter = self.filter.as_ref().map_or(0, |filter| filter.fingerprints.len());
        filter + self.map.starts.len() * 4 + self.map.hashes.len() * 6
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

fn read_filter(section: &[u8]) -> Option<BinaryFuse8> {
    let mut cursor = Cursor(section);
    let descriptor = Descriptor {
        seed: cursor.u64()?,
        segment_length: cursor.u32()?,
        segment_length_mask: cursor.u32()?,
        segment_count_length: cursor.u32()?,
    };
    let fingerprints: Box<[u8]> = cursor.0.into();
    // a lookup goes to three neighbouring segments, the last one of which must be there
    let reach = u64::from(descriptor.segment_count_length) + 2 * u64::from(descriptor.segment_length);
    let fits = descriptor.segment_length.is_power_of_two()
        && descriptor.segment_length_mask == descriptor.segment_length - 1
        && descriptor.segment_count_length.is_multiple_of(descriptor.segment_length)
        && reach <= fingerprints.len() as u64;
    fits.then_some(BinaryFuse8 { descriptor, fingerprints })
}

/// Puts an index beside its file, whole or not at all.
pub(crate) fn write(bytes: &[u8], temporary: &Path, path: &Path) -> Result<(), LakeError> {
    let mut file = File::create(temporary).map_err(LakeError::disk("create", temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(LakeError::disk("write", temporary))?;
    disk::publish(temporary, path)
}

/// Builds the index of a file from its rows and puts it in the place of the one that is there. Blocking.
///
/// # Errors
/// [`LakeError::Read`] when the file cannot be read, [`LakeError::Checksum`] when it is not what was written, the disk's.
pub(crate) fn rebuild(entry: &FileEntry) -> Result<(), LakeError> {
    entry.verify()?;
    let file = File::open(&entry.path).map_err(LakeError::disk("open", &entry.path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(LakeError::read(&entry.path))?;
    let mask = ProjectionMask::roots(reader.parquet_schema(), [reader.schema().index_of(TRACE_ID)?]);
    let reader = reader.with_projection(mask).with_batch_size(SLICE_ROWS).build();
    let mut builder = Builder::default();
    for slice in reader.map_err(LakeError::read(&entry.path))? {
        let slice = slice.map_err(|error| LakeError::read(&entry.path)(error.into()))?;
        builder.add_slice(row_order::traces(&slice)?);
    }
    let bytes = builder.finish(entry.bytes, entry.checksum_crc32c);
    let path = entry.index_path();
    write(&bytes, &path.with_extension("idx.new"), &path)
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

/// Takes numbers off the front of bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests;
