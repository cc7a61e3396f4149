//! A segment: a preallocated file of frames.
//!
//! Format version 3; versions 1 and 2 differ in their frames alone and are read too. Numbers are little-endian. The name is `<first lsn, 20 digits>-<id, 16 hexadecimal digits>.wal`, so
//! that a segment whose header is damaged can still be read, and an empty directory listing tells the order.
//!
//! ```text
//! offset size
//!      0    8  magic "THWALSEG"
//!      8    4  format version, 1 to 3
//!     12    4  zero
//!     16    8  segment id, random
//!     24    8  lsn of the first frame that may be in here
//!     32   28  zero
//!     60    4  crc32c of bytes 0..60
//!     64       frames, then zeros: space that is not written yet
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use model::Lsn;
use runtime::Random;

use crate::{WalError, disk};

/// Bytes of a segment header; the first frame begins here.
pub(crate) const HEADER_BYTES: u64 = 64;
/// Newest format version this program reads, and the one it writes.
pub(crate) const VERSION: u32 = 3;
/// Oldest format version this program reads.
const OLDEST_VERSION: u32 = 1;
/// Extension of segment files.
const EXTENSION: &str = ".wal";
const MAGIC: [u8; 8] = *b"THWALSEG";

/// Names a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    /// Lsn of the first frame that may be in it.
    pub first: Lsn,
    /// Random id.
    pub id: u64,
}

impl SegmentName {
    /// A new name for a segment that begins with `first`.
    pub(crate) fn fresh(first: Lsn) -> Self {
        Self { first, id: u64::from_le_bytes(Random.bytes()) }
    }

    /// The file name.
    pub(crate) fn file_name(&self) -> String {
        format!("{:020}-{:016x}{EXTENSION}", self.first.0, self.id)
    }

    /// Reads a file name; `None` for files that are not segments.
    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let (first, id) = file_name.strip_suffix(EXTENSION)?.split_once('-')?;
        if first.len() != 20 || id.len() != 16 {
            return None;
        }
        // no log ever comes this far: somebody else's file, which must not use up all positions
        let first = first.parse().ok().filter(|first| *first < 1 << 62)?;
        Some(Self { first: Lsn(first), id: u64::from_str_radix(id, 16).ok()? })
    }

    fn header(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.0.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

/// What the first 64 bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderState {
    /// Whole; names the segment.
    Whole(SegmentName),
    /// Whole, and from a newer program.
    Newer(u32),
    /// The file is shorter than a header or the header is all zeros: the segment was being made.
    Unwritten,
    /// Not what it was when it was written.
    Damaged,
}

/// Reads the header of a segment file.
pub(crate) fn read_header(file: &File, file_bytes: u64) -> io::Result<HeaderState> {
    if file_bytes < HEADER_BYTES {
        return Ok(HeaderState::Unwritten);
    }
    let mut bytes = [0; HEADER_BYTES as usize];
    file.read_exact_at(&mut bytes, 0)?;
    if bytes == [0; HEADER_BYTES as usize] {
        return Ok(HeaderState::Unwritten);
    }
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    if bytes[0..8] != MAGIC || crc32c::crc32c(&bytes[..60]) != word(60) {
        return Ok(HeaderState::Damaged);
    }
    match word(8) {
        OLDEST_VERSION..=VERSION => Ok(HeaderState::Whole(SegmentName { id: long(16), first: Lsn(long(24)) })),
        newer => Ok(HeaderState::Newer(newer)),
    }
}

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct Active {
    pub name: SegmentName,
    pub path: PathBuf,
    pub file: File,
    /// Where the next frame begins.
    pub len_bytes: u64,
    /// Size of the file.
    pub capacity_bytes: u64,
}

impl Active {
    /// Makes a segment: create, preallocate, write the header, fsync the file, fsync the directory. Only then is it used.
    ///
    /// # Errors
    /// [`WalError::Full`] when the disk has no room for it, else [`WalError::Io`]; nothing is left behind.
    pub(crate) fn create(dir: &Path, first: Lsn, capacity_bytes: u64) -> Result<Self, WalError> {
        let name = SegmentName::fresh(first);
        let path = dir.join(name.file_name());
        Self::write_new(dir, name, &path, capacity_bytes).map_err(|source| {
            // an unfinished file would be swept at the next start; sooner is better
            let _ = std::fs::remove_file(&path);
            if disk::is_out_of_space(&source) {
                return WalError::Full {
                    reason: format!("the disk has no room for a segment of {capacity_bytes} bytes"),
                };
            }
            WalError::Io { doing: "create segment", path: path.clone(), source }
        })
    }

    fn write_new(dir: &Path, name: SegmentName, path: &Path, capacity_bytes: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        disk::preallocate(&file, capacity_bytes)?;
        file.write_all(&name.header())?;
        file.sync_all()?;
        disk::sync_dir(dir)?;
        Ok(Self { name, path: path.to_owned(), file, len_bytes: HEADER_BYTES, capacity_bytes })
    }

    /// Bytes left for frames.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.len_bytes)
    }

    /// Gives back the space that was never written. The frames are on disk already, so losing this is harmless.
    pub(crate) fn seal(&self) -> io::Result<()> {
        self.file.set_len(self.len_bytes)
    }
}
