//! A committed file, as the catalog knows it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::{Lsn, Signal, TenantId, TimeRange};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::file::metadata::PageIndexPolicy;

use crate::cover::Cover;
use crate::layout::Layout;
use crate::parquet_file::Written;
use crate::{LakeError, Partition, Zone, layout};

/// The layout of files written now. Files of every older version stay readable.
pub(crate) const FORMAT_VERSION: u32 = 3;

/// How often the rows of a file were merged with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Written by a flush.
    L0,
    /// Merged while its hour was going on.
    L1,
    /// Merged after its hour, or as large as files become.
    L2,
}

impl Level {
    /// Every level, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::L0, Self::L1, Self::L2];

    /// The number in names and in the catalog.
    pub fn number(self) -> u8 {
        match self {
            Self::L0 => 0,
            Self::L1 => 1,
            Self::L2 => 2,
        }
    }

    /// The level with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|level| i64::from(level.number()) == number)
    }

    /// Whether the index tells which values there are: what is merged soon is not worth it.
    pub(crate) fn has_values(self) -> bool {
        self != Self::L0
    }

    /// How hard zstd tries: what is read again soon is written quickly.
    pub(crate) fn zstd(self) -> i32 {
        match self {
            Self::L0 | Self::L1 => 1,
            Self::L2 => 3,
        }
    }
}

/// One Parquet file with the stored schema of its signal. Never changes once committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name for ever: the path below the lake's directory, which says tenant, signal, hour and log range.
    pub name: String,
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Whose rows.
    pub tenant: TenantId,
    /// What kind of rows.
    pub signal: Signal,
    /// How often its rows were merged.
    pub level: Level,
    /// The hour of event time, or odd.
    pub partition: Partition,
    /// Length of the file.
    pub bytes: u64,
    /// Length of the index beside it when it was written.
    pub index_bytes: u64,
    /// CRC-32C of the whole file.
    pub checksum_crc32c: u32,
    /// Version of the layout inside.
    pub format_version: u32,
    /// First log position that the flushes of its rows covered.
    pub min_lsn: Lsn,
    /// Last log position that the flushes of its rows covered.
    pub max_lsn: Lsn,
    /// When it was committed, in nanoseconds since 1970.
    pub created_unix_nanos: i64,
    /// Summary of the rows.
    pub zone: Zone,
    pub(crate) cover: Cover,
}

/// Where the rows of a file that was just written come from.
pub(crate) struct Origin {
    pub(crate) name: String,
    pub(crate) tenant: TenantId,
    pub(crate) signal: Signal,
    pub(crate) level: Level,
    pub(crate) partition: Partition,
    /// First and last log position that the flushes of its rows covered.
    pub(crate) range: (Lsn, Lsn),
    pub(crate) created_unix_nanos: i64,
    pub(crate) cover: Cover,
}

impl FileEntry {
    /// The entry of a file that was just written.
    pub(crate) fn of(origin: Origin, layout: &Layout, written: Written) -> Self {
        let Origin { name, tenant, signal, level, partition, range, created_unix_nanos, cover } = origin;
        Self {
            path: layout.path(&name),
            name,
            tenant,
            signal,
            level,
            partition,
            bytes: written.bytes,
            index_bytes: written.index.len() as u64,
            checksum_crc32c: written.checksum_crc32c,
            format_version: FORMAT_VERSION,
            min_lsn: range.0,
            max_lsn: range.1,
            created_unix_nanos,
            zone: written.zone,
            cover,
        }
    }

    /// Whether any row may lie in `range`.
    pub fn overlaps(&self, range: &TimeRange) -> bool {
        range.overlaps(self.zone.min_time, self.zone.max_time)
    }

    /// Whether any row may come from `service`; false is certain.
    pub fn may_have_service(&self, service: &str) -> bool {
        self.zone.services.as_ref().is_none_or(|services| services.contains(service))
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.cover.number.is_some()
    }

    /// How to read it: with its page index, and with its key if it has one.
    pub fn reader_options(&self) -> ArrowReaderOptions {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        match self.cover.decryption() {
            Some(decryption) => options.with_file_decryption_properties(decryption),
            None => options,
        }
    }

    /// Where the index beside it is, absolute; it may be missing.
    pub fn index_path(&self) -> PathBuf {
        layout::index_path(&self.path)
    }

    /// Reads the whole file and compares its checksum. Blocking.
    ///
    /// # Errors
    /// [`LakeError::Disk`] when it cannot be read, [`LakeError::Checksum`] when it is not what was written.
    pub fn verify(&self) -> Result<(), LakeError> {
        self.verify_at(&self.path)
    }

    /// As [`FileEntry::verify`], of a copy elsewhere.
    pub(crate) fn verify_at(&self, path: &Path) -> Result<(), LakeError> {
        let mut file = File::open(path).map_err(LakeError::disk("open", path))?;
        let mut chunk = vec![0; 1 << 18];
        let mut found = 0;
        loop {
            let read = file.read(&mut chunk).map_err(LakeError::disk("read", path))?;
            if read == 0 {
                break;
            }
            found = crc32c::crc32c_append(found, &chunk[..read]);
        }
        if found == self.checksum_crc32c {
            return Ok(());
        }
        Err(LakeError::Checksum { path: path.to_owned(), expected: self.checksum_crc32c, found })
    }
}
