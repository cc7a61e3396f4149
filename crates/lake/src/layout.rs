//! Where files lie below the lake's directory.
//!
//! ```text
//! <dir>/<tenant>/<signal>/<hour>/<first lsn>-<last lsn>.parquet    committed, or left by an interrupted flush
//! <dir>/.tmp/<any name>                                            being written; never read
//! ```
//!
//! `<hour>` is `2026-11-22T14` or `odd`; log positions are 16 hexadecimal digits. A name says everything that is needed
//! to tell what an interrupted flush left, and the same log range always gives the same name.

use std::path::{Path, PathBuf};

use model::{Lsn, Signal, TenantId};

use crate::Partition;

const TEMPORARY: &str = ".tmp";
const EXTENSION: &str = ".parquet";

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

    /// A file's name: its path below the directory.
    pub(crate) fn name(tenant: &TenantId, signal: Signal, partition: Partition, range: (Lsn, Lsn)) -> String {
        format!("{tenant}/{signal}/{partition}/{:016x}-{:016x}{EXTENSION}", range.0.0, range.1.0)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where a file is written before it gets its name.
    pub(crate) fn temporary_path(&self, name: &str) -> PathBuf {
        self.temporary_dir().join(name.replace('/', "."))
    }

    /// The log range a file name claims; `None` when the lake does not give such names.
    pub(crate) fn range_of(name: &str) -> Option<(Lsn, Lsn)> {
        let stem = name.rsplit('/').next()?.strip_suffix(EXTENSION)?;
        let (first, last) = stem.split_once('-')?;
        let number = |text: &str| (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        Some((Lsn(number(first)?), Lsn(number(last)?)))
    }
}
