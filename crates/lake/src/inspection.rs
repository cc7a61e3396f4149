//! The store looked at from outside, beside a running server: what it holds, and whether it is whole.

use std::collections::BTreeMap;
use std::path::Path;

use model::{Lsn, Signal, TenantId};
use runtime::Database;

use crate::catalog::{Catalog, CatalogFile, FileState};
use crate::layout::Layout;
use crate::{FileEntry, LakeError, Level, SliceIndex, ValueIndex, rollup, sidecar};

/// The catalog at one moment.
#[derive(Debug)]
pub struct Inspection {
    mark: Lsn,
    files: Vec<CatalogFile>,
}

/// Files of one kind together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// Files.
    pub files: u64,
    /// Events in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the indexes beside them.
    pub index_bytes: u64,
}

/// What a file of the catalog is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Found by queries, at this level.
    Live(Level),
    /// Damaged or missing; answers say so.
    Quarantined,
    /// Merged or past its retention; waits for being unlinked.
    Retired,
}

/// What is wrong with a file.
#[derive(Debug)]
pub struct Fault {
    /// The file.
    pub file: FileEntry,
    /// Why.
    pub error: LakeError,
}

impl Inspection {
    /// Reads the catalog of the lake in `dir`.
    ///
    /// # Errors
    /// The catalog's; also when it is of an older version, which the next start of the server brings up to date.
    pub async fn open(dir: &Path, db: Database) -> Result<Self, LakeError> {
        let dir = std::path::absolute(dir).map_err(LakeError::disk("find", dir))?;
        let catalog = Catalog::read_only(db);
        let mark = catalog.mark().await?;
        Ok(Self { mark, files: catalog.files(Layout::new(dir)).await? })
    }

    /// Everything up to here is in files.
    pub fn mark(&self) -> Lsn {
        self.mark
    }

    /// What there is, by tenant, signal and standing.
    pub fn sums(&self) -> BTreeMap<(TenantId, Signal, Standing), Sum> {
        let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
        for file in &self.files {
            let standing = match file.state {
                FileState::Live => Standing::Live(file.entry.level),
                FileState::Quarantined => Standing::Quarantined,
                FileState::Retired => Standing::Retired,
            };
            let sum = sums.entry((file.entry.tenant.clone(), file.entry.signal, standing)).or_default();
            sum.files += 1;
            sum.rows += file.entry.zone.rows;
            sum.bytes += file.entry.bytes;
            sum.index_bytes += file.entry.index_bytes;
        }
        sums
    }

    /// Reads every file that answers queries, and its index, and compares; blocking. `each` is told of each file.
    pub fn verify(&self, mut each: impl FnMut(&FileEntry)) -> Vec<Fault> {
        let mut faults = Vec::new();
        for entry in self.readable() {
            each(entry);
            let checked = entry
                .verify()
                .and_then(|()| SliceIndex::open(entry).map(drop))
                .and_then(|()| ValueIndex::open(entry).map(drop))
                .and_then(|()| rollup::check(entry));
            faults.extend(checked.err().map(|error| Fault { file: entry.clone(), error }));
        }
        let quarantined = self.files.iter().filter(|file| file.state == FileState::Quarantined);
        faults.extend(quarantined.map(|file| {
            let file = file.entry.clone();
            let error = file.verify().err().unwrap_or(LakeError::Quarantined { file: file.name.clone() });
            Fault { file, error }
        }));
        faults
    }

    /// Builds the index of every file anew from its rows; blocking. Returns what could not be.
    pub fn rebuild_indexes(&self, mut each: impl FnMut(&FileEntry)) -> Vec<Fault> {
        let mut faults = Vec::new();
        for entry in self.readable() {
            each(entry);
            faults.extend(sidecar::rebuild(entry).err().map(|error| Fault { file: entry.clone(), error }));
        }
        faults
    }

    fn readable(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(|file| file.state == FileState::Live).map(|file| &file.entry)
    }
}
