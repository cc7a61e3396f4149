//! How far each reader has come, kept durably.
//!
//! The file `cursors`, format version 1, little-endian, replaced as a whole (write aside, fsync, rename, fsync directory):
//!
//! ```text
//! offset size
//!      0    8  magic "THCURSOR"
//!      8    4  format version, 1
//!     12    4  zero
//!     16    8  lsn the archive reader has finished with
//!     24    8  lsn the detect reader has finished with
//!     32    4  crc32c of bytes 0..32
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use model::Lsn;

use crate::disk;

const FILE_NAME: &str = "cursors";
const FILE_NAME_ASIDE: &str = "cursors.tmp";
const MAGIC: [u8; 8] = *b"THCURSOR";
const VERSION: u32 = 1;
const FILE_BYTES: usize = 36;

/// The two readers of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReaderName {
    /// Writes events to files.
    Archive,
    /// Evaluates rules.
    Detect,
}

impl ReaderName {
    /// Both readers, in the order of the cursor file.
    pub const ALL: [Self; 2] = [Self::Archive, Self::Detect];

    /// The name used in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Detect => "detect",
        }
    }
}

/// The cursors of all readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cursors([Lsn; 2]);

impl Cursors {
    pub(crate) fn get(&self, who: ReaderName) -> Lsn {
        self.0[who as usize]
    }

    pub(crate) fn set(&mut self, who: ReaderName, through: Lsn) {
        self.0[who as usize] = through;
    }

    /// Everything up to here is finished with by every reader.
    pub(crate) fn lowest(&self) -> Lsn {
        self.0[0].min(self.0[1])
    }

    /// The highest position any reader has seen.
    pub(crate) fn highest(&self) -> Lsn {
        self.0[0].max(self.0[1])
    }

    /// Reads the file. An absent file is a new log; a damaged one reads as `None`, and the readers begin again: what
    /// they do twice is recognised by the position.
    pub(crate) fn load(dir: &Path) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        match File::open(dir.join(FILE_NAME)) {
            Ok(file) => file.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Self::default())),
            Err(error) => return Err(error),
        };
        Ok(Self::decode(&bytes))
    }

    /// Replaces the file; returns when the new one is on disk.
    pub(crate) fn store(&self, dir: &Path) -> io::Result<()> {
        let aside = dir.join(FILE_NAME_ASIDE);
        let mut file = File::create(&aside)?;
        file.write_all(&self.encode())?;
        file.sync_all()?;
        std::fs::rename(&aside, dir.join(FILE_NAME))?;
        disk::sync_dir(dir)
    }

    fn encode(&self) -> [u8; FILE_BYTES] {
        let mut bytes = [0; FILE_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.0[0].0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.0[1].0.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..32]);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; FILE_BYTES] = bytes.try_into().ok()?;
        let long = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
        let cursors = Self([Lsn(long(16)), Lsn(long(24))]);
        (cursors.encode() == *bytes).then_some(cursors)
    }
}
