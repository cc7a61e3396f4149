//! Where files lie below the lake's directory.
//!
//! ```text
//! <dir>/<tenant>/<signal>/<hour>/<first lsn>-<last lsn>.parquet       written by a flush
//! <dir>/<tenant>/<signal>/<hour>/<first lsn>-<last lsn>.l2.parquet    merged to level 2 from all files of that range
//! <dir>/<tenant>/<signal>/<hour>/<the same>.idx                       the index beside it
//! <dir>/.tmp/<any name>                                               being written; never read
//! <dir>/.fetched/<any name>                                           coming from the object store; never read
//! ```
//!
//! `<hour>` is `2026-11-22T14` or `odd`; log positions are 16 hexadecimal digits. A name says everything that is needed
//! to tell what an interrupted flush or merge left, and the same log range always gives the same name.

use std::path::{Path, PathBuf};

use model::{Lsn, Signal, TenantId};

use crate::{Level, Partition};

const TEMPORARY: &str = ".tmp";
const FETCHED: &str = ".fetched";
const EXTENSION: &str = ".parquet";
const INDEX_EXTENSION: &str = "idx";

/// Spells every path of the lake.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn temporary_dir(&self) -> PathBuf {
        self.dir.join(TEMPORARY)
    }

    /// Where files are put together that come from the object store.
    pub(crate) fn fetched_dir(&self) -> PathBuf {
        self.dir.join(FETCHED)
    }

    /// A file's name: its path below the directory.
    pub(crate) fn name(
        tenant: &TenantId,
        signal: Signal,
        partition: Partition,
        range: (Lsn, Lsn),
        level: Level,
    ) -> String {
        let level = match level {
            Level::L0 => String::new(),
            merged => format!(".l{}", merged.number()),
        };
        format!("{tenant}/{signal}/{partition}/{:016x}-{:016x}{level}{EXTENSION}", range.0.0, range.1.0)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where a file is written before it gets its name.
    pub(crate) fn temporary_path(&self, name: &str) -> PathBuf {
        self.temporary_dir().join(name.replace('/', "."))
    }

    /// The log range and the level a file name claims; `None` when the lake does not give such names.
    pub(crate) fn claims_of(name: &str) -> Option<((Lsn, Lsn), Level)> {
        let stem = name.rsplit('/').next()?.strip_suffix(EXTENSION)?;
        let (range, level) = match stem.split_once(".l") {
            None => (stem, Level::L0),
            Some((range, number)) => {
                (range, Level::from_number(number.parse().ok()?).filter(|level| *level != Level::L0)?)
            }
        };
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        Some(((Lsn(number(first)?), Lsn(number(last)?)), level))
    }
}

/// Where the index of a file is.
pub(crate) fn index_path(path: &Path) -> PathBuf {
    path.with_extension(INDEX_EXTENSION)
}

/// The name of the file that an index is beside; `None` when it is no index.
pub(crate) fn indexed(name: &str) -> Option<String> {
    let stem = name.strip_suffix(INDEX_EXTENSION)?.strip_suffix('.')?;
    Some(format!("{stem}{EXTENSION}"))
}
