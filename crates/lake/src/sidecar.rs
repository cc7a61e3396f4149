//! The index beside a file, as a container of sections.
//!
//! A sidecar says nothing the file does not say, but for calls to other files in the counts; it can be built again, and one that is missing, damaged or of
//! another file is as good as none: then the file is scanned. All numbers are little endian.
//!
//! ```text
//! magic "THIX"  version u32  length of the file u64  checksum of the file u32  rows u64  slice rows u32  sections u32
//! per section: kind u32  offset u64  length u64  CRC-32C u32
//! CRC-32C of everything above u32
//! sections
//! ```
//!
//! | kind | section |
//! |---|---|
//! | 1, 2 | filter and map of traces, [`crate::slice_index`] |
//! | 3 | values by row group, [`crate::value_index`] |
//! | 4, 5 | counts of spans, [`crate::rollup`] |
//! | 16 | words of bodies by slice, [`crate::word_index`] |
//!
//! A reader passes over kinds it does not know. Beside an encrypted file all of this is encrypted ([`crate::cover`]).

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use arrow::array::RecordBatch;
use model::Signal;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xorf::{BinaryFuse8, Descriptor};

use crate::cover::{Cover, FileKey};
use crate::promotion::Promoted;
use crate::rollup::{self, Rollup};
use crate::row_order::SLICE_ROWS;
use crate::{FileEntry, LakeError, disk, row_order, slice_index, value_index, word_index};

const MAGIC: [u8; 4] = *b"THIX";
/// The layout written now.
const VERSION: u32 = 1;
/// Bytes before the table of sections.
const HEAD_BYTES: usize = 36;
const SECTION_BYTES: usize = 24;
/// More sections than any version has are a damaged header.
const MAX_SECTIONS: usize = 64;
/// Bytes before the fingerprints of a filter.
const FILTER_HEAD_BYTES: usize = 20;

/// Collects what the sidecar of one file says, slice by slice.
#[derive(Debug)]
pub(crate) struct Builder {
    traces: slice_index::Builder,
    /// `None` where values are not worth their index.
    values: Option<value_index::Builder>,
    /// Of logs, where they have values.
    words: Option<word_index::Builder>,
    rows: u64,
}

impl Builder {
    pub(crate) fn new(signal: Signal, with_values: bool) -> Self {
        let values = with_values.then(|| value_index::Builder::new(signal));
        let words = (with_values && signal == Signal::Logs).then(word_index::Builder::default);
        Self { traces: slice_index::Builder::default(), values, words, rows: 0 }
    }

    /// Takes in the next slice.
    pub(crate) fn add_slice(&mut self, slice: &RecordBatch) -> Result<(), LakeError> {
        self.rows += slice.num_rows() as u64;
        self.traces.add_slice(row_order::traces(slice)?);
        if let Some(values) = &mut self.values {
            values.add_slice(slice)?;
        }
        if let Some(words) = &mut self.words {
            words.add_slice(slice)?;
        }
        Ok(())
    }

    /// The sidecar of a file with this length, this checksum and, when it has spans, these counts of them.
    pub(crate) fn finish(self, file_bytes: u64, file_checksum: u32, rollup: Option<&Rollup>) -> Vec<u8> {
        let mut sections = self.traces.finish();
        sections.extend(self.values.map(value_index::Builder::finish));
        sections.extend(rollup.into_iter().flat_map(rollup::sections));
        sections.extend(self.words.map(word_index::Builder::finish));
        write_sections(&sections, file_bytes, file_checksum, self.rows)
    }
}

pub(crate) fn write_sections(sections: &[(u32, Vec<u8>)], file_bytes: u64, file_checksum: u32, rows: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend(file_bytes.to_le_bytes());
    out.extend(file_checksum.to_le_bytes());
    out.extend(rows.to_le_bytes());
    out.extend((SLICE_ROWS as u32).to_le_bytes());
    out.extend((sections.len() as u32).to_le_bytes());
    let mut offset = (HEAD_BYTES + sections.len() * SECTION_BYTES + 4) as u64;
    for (kind, section) in sections {
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

/// Reads the sections of these kinds that are there; blocking.
///
/// # Errors
/// [`LakeError::Disk`] when there is no sidecar, [`LakeError::Index`] when it is damaged or of another file.
pub(crate) fn open(entry: &FileEntry, kinds: &[u32]) -> Result<Vec<(u32, Vec<u8>)>, LakeError> {
    let path = entry.index_path();
    if entry.is_encrypted() {
        let sealed = fs::read(&path).map_err(LakeError::disk("read", &path))?;
        let found = open_covered(&entry.cover, &sealed, (entry.bytes, entry.checksum_crc32c), kinds);
        let found = found.filter(|(rows, _)| *rows == entry.zone.rows);
        return found.map(|(_, sections)| sections).ok_or(LakeError::Index { path });
    }
    let file = File::open(&path).map_err(LakeError::disk("open", &path))?;
    let length = file.metadata().map_err(LakeError::disk("look at", &path))?.len();
    let read_at = |offset: u64, bytes: usize| {
        // a length that is not there would only ask for memory
        offset.checked_add(bytes as u64).filter(|end| *end <= length)?;
        let mut read = vec![0; bytes];
        file.read_exact_at(&mut read, offset).ok().map(|()| read)
    };
    let found = read_sections(read_at, entry.bytes, entry.checksum_crc32c, kinds);
    found.filter(|(rows, _)| *rows == entry.zone.rows).map(|(_, sections)| sections).ok_or(LakeError::Index { path })
}

/// The index as it is put on disk.
pub(crate) fn covered(plain: Vec<u8>, key: Option<&FileKey>, bound_to: (u64, u32)) -> Vec<u8> {
    match key {
        Some(key) => key.seal_index(&plain, bound_to),
        None => plain,
    }
}

/// As [`read_sections`], of an encrypted index.
fn open_covered(
    cover: &Cover,
    sealed: &[u8],
    bound_to: (u64, u32),
    kinds: &[u32],
) -> Option<(u64, Vec<(u32, Vec<u8>)>)> {
    let plain = cover.open_index(sealed, bound_to)?;
    let read_at = |offset: u64, bytes: usize| {
        let start = usize::try_from(offset).ok()?;
        plain.get(start..start.checked_add(bytes)?).map(<[u8]>::to_vec)
    };
    read_sections(read_at, bound_to.0, bound_to.1, kinds)
}

/// The rows of the file and the sections; `None` when this is no sidecar of that file.
pub(crate) fn read_sections(
    read_at: impl Fn(u64, usize) -> Option<Vec<u8>>,
    file_bytes: u64,
    file_checksum: u32,
    kinds: &[u32],
) -> Option<(u64, Vec<(u32, Vec<u8>)>)> {
    let head = read_at(0, HEAD_BYTES)?;
    let mut cursor = Cursor(&head);
    let is_ours = cursor.take(4)? == MAGIC
        && cursor.u32()? == VERSION
        && cursor.u64()? == file_bytes
        && cursor.u32()? == file_checksum;
    let rows = cursor.u64()?;
    if !is_ours || cursor.u32()? as usize != SLICE_ROWS {
        return None;
    }
    let sections = usize::try_from(cursor.u32()?).ok().filter(|sections| *sections <= MAX_SECTIONS)?;
    let table_end = HEAD_BYTES + sections * SECTION_BYTES;
    let head = read_at(0, table_end + 4)?;
    if crc32c::crc32c(&head[..table_end]) != Cursor(&head[table_end..]).u32()? {
        return None;
    }
    let mut table = Cursor(&head[HEAD_BYTES..table_end]);
    let mut found = Vec::new();
    for _ in 0..sections {
        let (kind, offset, length, checksum) = (table.u32()?, table.u64()?, table.u64()?, table.u32()?);
        if kinds.contains(&kind) {
            let section = read_at(offset, usize::try_from(length).ok()?)?;
            if crc32c::crc32c(&section) != checksum {
                return None;
            }
            found.push((kind, section));
        }
    }
    Some((rows, found))
}

/// Builds the index of a file from its rows and puts it in the place of the one that is there. Blocking.
///
/// # Errors
/// [`LakeError::Read`] when the file cannot be read, [`LakeError::Checksum`] when it is not what was written, the disk's.
pub(crate) fn rebuild(entry: &FileEntry, rows: &Path) -> Result<(), LakeError> {
    entry.verify_at(rows)?;
    let file = File::open(rows).map_err(LakeError::disk("open", rows))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, entry.reader_options());
    let reader = reader.map_err(LakeError::read(rows))?;
    let promoted = Promoted::of(reader.schema());
    let reader = reader.with_batch_size(SLICE_ROWS).build();
    let mut builder = Builder::new(entry.signal, entry.level.has_values());
    for slice in reader.map_err(LakeError::read(rows))? {
        let slice = slice.map_err(|error| LakeError::read(rows)(error.into()))?;
        builder.add_slice(&promoted.as_ref().map_or(Ok(slice.clone()), |promoted| promoted.restore(&slice))?)?;
    }
    let rollup = (entry.signal == Signal::Spans).then(|| rollup::as_written(entry, rows)).transpose()?;
    let bytes = builder.finish(entry.bytes, entry.checksum_crc32c, rollup.as_ref());
    let key = if entry.is_encrypted() { entry.cover.key(&entry.name)? } else { None };
    let bytes = covered(bytes, key.as_ref(), (entry.bytes, entry.checksum_crc32c));
    let path = entry.index_path();
    write(&bytes, &path.with_extension("idx.new"), &path)
}

/// Puts an index beside its file, whole or not at all.
pub(crate) fn write(bytes: &[u8], temporary: &Path, path: &Path) -> Result<(), LakeError> {
    let mut file = File::create(temporary).map_err(LakeError::disk("create", temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(LakeError::disk("write", temporary))?;
    disk::publish(temporary, path)
}

/// A filter over hashes, each of which is there once; `None` when there is none, or no filter was found for them.
pub(crate) fn filter_of(hashes: &[u64]) -> Option<Vec<u8>> {
    if hashes.is_empty() {
        return None;
    }
    let filter = BinaryFuse8::try_from(hashes).ok()?;
    let mut out = Vec::with_capacity(FILTER_HEAD_BYTES + filter.fingerprints.len());
    let Descriptor { seed, segment_length, segment_length_mask, segment_count_length } = filter.descriptor;
    out.extend(seed.to_le_bytes());
    for number in [segment_length, segment_length_mask, segment_count_length] {
        out.extend(number.to_le_bytes());
    }
    out.extend(&filter.fingerprints);
    Some(out)
}

/// A section of filters: how many u32, then for each its length u32 (0 for none) and its bytes.
pub(crate) fn write_filters(filters: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend((filters.len() as u32).to_le_bytes());
    for filter in filters {
        let filter = filter.as_deref().unwrap_or_default();
        out.extend((filter.len() as u32).to_le_bytes());
        out.extend(filter);
    }
    out
}

pub(crate) fn read_filters(section: &[u8]) -> Option<Vec<Option<BinaryFuse8>>> {
    let mut cursor = Cursor(section);
    let count = cursor.u32()?;
    let mut filters = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(cursor.u32()?).ok()?;
        let filter = cursor.take(length)?;
        filters.push(if filter.is_empty() { None } else { Some(read_filter(filter)?) });
    }
    cursor.0.is_empty().then_some(filters)
}

pub(crate) fn read_filter(section: &[u8]) -> Option<BinaryFuse8> {
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

/// Takes numbers off the front of bytes.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}
