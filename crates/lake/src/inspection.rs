//! The store looked at from outside, beside a running server: what it holds, and whether it is whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::{Lsn, Signal, TenantId};
use runtime::{Database, KeyRing};
use tokio::runtime::Handle;

use crate::catalog::{Catalog, CatalogFile, FileState};
use crate::layout::Layout;
use crate::promotion::{PromotedKey, Remembered};
use crate::remote::{Bucket, Wanted};
use crate::{
    FileEntry, LakeError, Level, ObjectStore, SliceIndex, TraceFilter, ValueIndex, WordIndex, disk, rollup, sidecar,
};

/// The catalog at one moment.
#[derive(Debug)]
pub struct Inspection {
    mark: Lsn,
    files: Vec<CatalogFile>,
    promoted: Vec<(TenantId, Signal, Remembered)>,
    layout: Layout,
    bucket: Option<Bucket>,
    /// Which lake this is, if that was ever asked.
    id: Option<String>,
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
    /// Of the files, those that the object store has.
    pub remote_files: u64,
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
    /// Reads the catalog of the lake in `dir`, whose files are encrypted with these keys if at all.
    ///
    /// # Errors
    /// The catalog's; also when it is of an older version, which the next start of the server brings up to date.
    pub async fn open(dir: &Path, db: Database, keys: KeyRing) -> Result<Self, LakeError> {
        let dir = std::path::absolute(dir).map_err(LakeError::disk("find", dir))?;
        let catalog = Catalog::read_only(db, keys);
        let id = catalog.known_identity().await?;
        let mark = catalog.mark().await?;
        let layout = Layout::new(dir);
        let promoted = catalog.all_promoted().await?;
        Ok(Self { mark, files: catalog.files(layout.clone()).await?, promoted, layout, bucket: None, id })
    }

    /// With the store that some files lie in.
    ///
    /// # Errors
    /// [`LakeError::Setting`].
    pub fn with_store(self, store: &ObjectStore) -> Result<Self, LakeError> {
        Ok(Self { bucket: Some(Bucket::open(store, self.id.clone())?), ..self })
    }

    /// Everything up to here is in files.
    pub fn mark(&self) -> Lsn {
        self.mark
    }

    /// The keys of attributes that have columns in merged files, with the share of the rows that had them lately, the most
    /// frequent first.
    pub fn promoted(&self) -> impl Iterator<Item = (&TenantId, Signal, &PromotedKey, f64)> {
        self.promoted.iter().map(|(tenant, signal, found)| (tenant, *signal, &found.key, found.share))
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
            sum.remote_files += u64::from(file.is_remote);
        }
        sums
    }

    /// Reads every file that answers queries, and its index, and compares; blocking, on a thread of a runtime. `each` is told of each file.
    pub fn verify(&self, mut each: impl FnMut(&FileEntry)) -> Vec<Fault> {
        let mut faults = Vec::new();
        for file in self.readable() {
            let entry = &file.entry;
            each(entry);
            let checked = self
                .here(file)
                .and_then(|here| here.map_or_else(|| entry.verify(), |_compared| Ok(())))
                .and_then(|()| TraceFilter::open(entry).map(drop))
                .and_then(|()| SliceIndex::open(entry).map(drop))
                .and_then(|()| ValueIndex::open(entry).map(drop))
                .and_then(|()| WordIndex::open(entry).map(drop))
                .and_then(|()| rollup::check(entry));
            faults.extend(checked.err().map(|error| Fault { file: entry.clone(), error }));
        }
        let quarantined = self.files.iter().filter(|file| file.state == FileState::Quarantined);
        faults.extend(quarantined.map(|file| {
            let file = file.entry.clone();
            let name = || file.name.clone();
            let refusal = file.cover.refusal().map(|source| LakeError::Key { file: name(), source });
            let error =
                refusal.or_else(|| file.verify().err()).unwrap_or_else(|| LakeError::Quarantined { file: name() });
            Fault { file, error }
        }));
        faults
    }

    /// Builds the index of every file anew from its rows; blocking. Returns what could not be.
    pub fn rebuild_indexes(&self, mut each: impl FnMut(&FileEntry)) -> Vec<Fault> {
        let mut faults = Vec::new();
        for file in self.readable() {
            let entry = &file.entry;
            each(entry);
            let rebuilt = self.here(file).and_then(|here| {
                let rows = here.as_ref().map_or(&entry.path, |fetched| &fetched.path);
                sidecar::rebuild(entry, rows)
            });
            faults.extend(rebuilt.err().map(|error| Fault { file: entry.clone(), error }));
        }
        faults
    }

    fn readable(&self) -> impl Iterator<Item = &CatalogFile> {
        self.files.iter().filter(|file| file.state == FileState::Live)
    }

    /// Fetches a file that lies in the object store alone, to a place of its own, and compares it; `None` when it is here
    /// already. Says so when its key is not there.
    fn here(&self, file: &CatalogFile) -> Result<Option<Fetched>, LakeError> {
        let entry = &file.entry;
        if let Some(source) = entry.cover.refusal() {
            return Err(LakeError::Key { file: entry.name.clone(), source });
        }
        if !file.is_remote || disk::length(&entry.path) == Some(entry.bytes) {
            return Ok(None);
        }
        let missing = || LakeError::Store {
            action: "fetch",
            file: entry.name.clone(),
            reason: "no object store is set".to_owned(),
        };
        let bucket = self.bucket.as_ref().ok_or_else(missing)?;
        let handle = Handle::try_current().map_err(|_| LakeError::Worker("fetch"))?;
        // neither its place nor its name are the server's, which may fetch the same file and count on its copy
        let coming = self.layout.fetched_dir().join(format!("{}.inspected", entry.name.replace('/', ".")));
        disk::make_dir(&self.layout.fetched_dir())?;
        let fetched = Fetched { path: coming };
        handle.block_on(bucket.get(&Wanted::of(entry), &fetched.path))?;
        Ok(Some(fetched))
    }
}

/// A copy for the inspection alone, which goes again.
struct Fetched {
    path: PathBuf,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        if let Err(error) = disk::remove_file(&self.path) {
            tracing::warn!(%error, "a copy of a file in the object store is left");
        }
    }
}
