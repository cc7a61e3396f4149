//! Files and memory that belong together at one moment.

use std::collections::HashMap;
use std::sync::Arc;

use model::{EventBatch, Lsn, Signal, TenantId};

use crate::FileEntry;
use crate::memtable::{Generation, TableKey};
use crate::order::{Mutex, lock};
use crate::rollup::{Callers, Remembered};

/// The version of now. The lock covers inserting and replacing the version, both short; whoever reads clones the version
/// out and holds no lock.
#[derive(Debug)]
pub(crate) struct Current(Mutex<Arc<Version>>);

impl Current {
    pub(crate) fn new(version: Version) -> Self {
        Self(Mutex::new(Arc::new(version)))
    }

    pub(crate) fn version(&self) -> Arc<Version> {
        Arc::clone(&lock(&self.0))
    }

    /// Adds a batch to the open generation; whether that wants folding now, and the bytes in memory. `None` for one
    /// whose position is covered already.
    pub(crate) fn insert(&self, batch: EventBatch, now_unix_nanos: i64) -> Option<(bool, u64)> {
        let version = lock(&self.0);
        if batch.lsn <= version.open.last_lsn() {
            return None;
        }
        Some((version.open.insert(batch, now_unix_nanos), version.memtable_bytes()))
    }

    /// Replaces the version in one step; no insert happens meanwhile.
    pub(crate) fn replace(&self, next: impl FnOnce(&Version) -> Version) {
        let mut version = lock(&self.0);
        *version = Arc::new(next(&version));
    }

    /// The generation to flush: the one whose flush failed before, else the open one unless it is empty.
    pub(crate) fn seal(&self) -> Option<Arc<Generation>> {
        let mut version = lock(&self.0);
        if version.sealed.is_none() && !version.open.is_empty() {
            *version = Arc::new(version.with_open_sealed());
        }
        version.sealed.clone()
    }
}

/// Replaced as a whole, never changed in place; only the open generation takes inserts. So whoever holds a version
/// sees each row in a file, in the sealed generation or in the open one, and never in two of them.
#[derive(Debug)]
pub(crate) struct Version {
    /// Committed files, the one with the latest event first.
    pub(crate) files: HashMap<TableKey, Arc<[Arc<FileEntry>]>>,
    /// Takes no inserts and is on its way into files.
    pub(crate) sealed: Option<Arc<Generation>>,
    /// Takes inserts.
    pub(crate) open: Arc<Generation>,
    /// What is remembered of the spans of each tenant's last flushes.
    pub(crate) callers: Remembered,
    /// Everything up to here is in committed files.
    pub(crate) mark: Lsn,
}

impl Version {
    pub(crate) fn new(mark: Lsn, files: impl IntoIterator<Item = Arc<FileEntry>>) -> Self {
        let open = Arc::new(Generation::after(mark));
        Self { files: by_table(HashMap::new(), files), sealed: None, open, callers: Remembered::default(), mark }
    }

    /// The open generation takes no more inserts and a new one follows it.
    pub(crate) fn with_open_sealed(&self) -> Self {
        let next = Arc::new(Generation::after(self.open.last_lsn()));
        Self {
            files: self.files.clone(),
            sealed: Some(Arc::clone(&self.open)),
            open: next,
            callers: self.callers.clone(),
            mark: self.mark,
        }
    }

    /// The sealed generation is gone and its files are there.
    pub(crate) fn with_flushed(&self, files: impl IntoIterator<Item = Arc<FileEntry>>, mark: Lsn) -> Self {
        Self {
            files: by_table(self.files.clone(), files),
            sealed: None,
            open: Arc::clone(&self.open),
            callers: self.callers.clone(),
            mark,
        }
    }

    /// The same, with what is to be remembered of spans after one more flush.
    pub(crate) fn with_callers(mut self, callers: impl IntoIterator<Item = (TenantId, Callers)>) -> Self {
        self.callers = self.callers.after(callers);
        self
    }

    /// One file in the place of others.
    pub(crate) fn with_merged(&self, inputs: &[Arc<FileEntry>], merged: Arc<FileEntry>) -> Self {
        let without = self.with_files_kept(|file| !inputs.iter().any(|input| input.name == file.name));
        Self { files: by_table(without.files, [merged]), ..without }
    }

    /// Only the files that `keep` holds on to.
    pub(crate) fn with_files_kept(&self, keep: impl Fn(&FileEntry) -> bool) -> Self {
        let files = self.all_files().filter(|file| keep(file)).cloned();
        Self {
            files: by_table(HashMap::new(), files),
            sealed: self.sealed.clone(),
            open: Arc::clone(&self.open),
            callers: self.callers.clone(),
            mark: self.mark,
        }
    }

    pub(crate) fn all_files(&self) -> impl Iterator<Item = &Arc<FileEntry>> {
        self.files.values().flat_map(|files| files.iter())
    }

    /// The generations, oldest first.
    pub(crate) fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        self.sealed.iter().chain([&self.open])
    }

    pub(crate) fn memtable_bytes(&self) -> u64 {
        self.generations().map(|generation| generation.bytes()).sum()
    }

    pub(crate) fn memtable_rows(&self, signal: Signal) -> u64 {
        self.generations().map(|generation| generation.rows(signal)).sum()
    }
}

fn by_table(
    mut files: HashMap<TableKey, Arc<[Arc<FileEntry>]>>,
    added: impl IntoIterator<Item = Arc<FileEntry>>,
) -> HashMap<TableKey, Arc<[Arc<FileEntry>]>> {
    let mut touched: HashMap<TableKey, Vec<Arc<FileEntry>>> = HashMap::new();
    for file in added {
        touched.entry((file.tenant.clone(), file.signal)).or_default().push(file);
    }
    for (key, mut list) in touched {
        list.extend(files.get(&key).into_iter().flat_map(|known| known.iter().cloned()));
        list.sort_by(|left, right| (right.zone.max_time, &right.name).cmp(&(left.zone.max_time, &left.name)));
        files.insert(key, list.into());
    }
    files
}

#[cfg(test)]
mod tests;
