//! Which files of the object store have a copy on the local disk, within a limit.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use runtime::metric;

use crate::guard::lock;
use crate::{FileEntry, disk};

/// What is needed to fetch a file and to know it when it is there.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) checksum_crc32c: u32,
}

impl Wanted {
    pub(crate) fn of(file: &FileEntry) -> Self {
        let FileEntry { name, path, bytes, checksum_crc32c, .. } = file;
        Self { name: name.clone(), path: path.clone(), bytes: *bytes, checksum_crc32c: *checksum_crc32c }
    }
}

/// Every file of the store by name, and the copies, of which the one that was opened longest ago goes first.
#[derive(Debug)]
pub(crate) struct Cache {
    files: Mutex<Files>,
    limit_bytes: u64,
}

#[derive(Debug, Default)]
struct Files {
    by_name: HashMap<String, Far>,
    /// Bytes of the copies.
    copied_bytes: u64,
    uses: u64,
}

#[derive(Debug)]
struct Far {
    wanted: Wanted,
    /// Whether there is a copy.
    is_here: bool,
    last_used: u64,
    /// How many need the copy to stay.
    holders: usize,
    /// The store was told to forget it.
    is_deleted: bool,
    /// One fetches it at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A file without a copy.
#[derive(Debug)]
pub(crate) struct Away {
    pub(crate) wanted: Wanted,
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
}

impl Cache {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self { files: Mutex::default(), limit_bytes }
    }

    /// From now on the store has this file.
    pub(crate) fn add(&self, wanted: Wanted, is_here: bool) {
        let mut files = lock(&self.files);
        files.uses += 1;
        let far = Far {
            is_here: false,
            last_used: files.uses,
            holders: 0,
            is_deleted: false,
            turn: Arc::default(),
            wanted: wanted.clone(),
        };
        files.by_name.entry(wanted.name.clone()).or_insert(far);
        files.set_here(&wanted.name, is_here);
        self.publish(&files);
    }

    pub(crate) fn is_remote(&self, name: &str) -> bool {
        lock(&self.files).by_name.contains_key(name)
    }

    /// Whether the store has the file and the local disk has no copy. No use of it.
    pub(crate) fn is_away(&self, name: &str) -> bool {
        lock(&self.files).by_name.get(name).is_some_and(|far| !far.is_here)
    }

    /// The file, when it has to be fetched before it can be opened. Counts as a use.
    pub(crate) fn away(&self, name: &str) -> Option<Away> {
        let mut files = lock(&self.files);
        files.uses += 1;
        let uses = files.uses;
        let far = files.by_name.get_mut(name)?;
        far.last_used = uses;
        (!far.is_here).then(|| Away { wanted: far.wanted.clone(), turn: Arc::clone(&far.turn) })
    }

    /// A copy is there, or is not there any more.
    pub(crate) fn set_here(&self, name: &str, is_here: bool) {
        let mut files = lock(&self.files);
        files.set_here(name, is_here);
        self.publish(&files);
    }

    /// Removes copies until `incoming` bytes have room, or none is left that may go. Blocking.
    pub(crate) fn make_room(&self, incoming_bytes: u64) {
        let mut files = lock(&self.files);
        if files.copied_bytes.saturating_add(incoming_bytes) <= self.limit_bytes {
            return;
        }
        let may_go = |far: &&Far| far.is_here && far.holders == 0;
        let mut copies: Vec<(u64, Wanted)> =
            files.by_name.values().filter(may_go).map(|far| (far.last_used, far.wanted.clone())).collect();
        copies.sort_unstable_by_key(|(last_used, _)| *last_used);
        for (_, wanted) in copies {
            if files.copied_bytes.saturating_add(incoming_bytes) <= self.limit_bytes {
                break;
            }
            match disk::remove_file(&wanted.path) {
                Ok(()) => {
                    files.set_here(&wanted.name, false);
                    metrics::counter!(metric::LAKE_CACHE_EVICTIONS).increment(1);
                }
                Err(error) => tracing::warn!(%error, "a copy of a file in the object store cannot be removed"),
            }
        }
        self.publish(&files);
    }

    /// Its copy, once it is there, stays until [`Cache::release`].
    pub(crate) fn hold(&self, name: &str) {
        if let Some(far) = lock(&self.files).by_name.get_mut(name) {
            far.holders += 1;
        }
    }

    pub(crate) fn release(&self, name: &str) {
        if let Some(far) = lock(&self.files).by_name.get_mut(name) {
            far.holders = far.holders.saturating_sub(1);
        }
    }

    /// The store does not have it any more.
    pub(crate) fn set_deleted(&self, name: &str) {
        if let Some(far) = lock(&self.files).by_name.get_mut(name) {
            far.is_deleted = true;
        }
    }

    /// Whether nothing of it is left in the store, so that the catalog may forget it.
    pub(crate) fn may_forget(&self, name: &str) -> bool {
        lock(&self.files).by_name.get(name).is_none_or(|far| far.is_deleted)
    }

    /// The catalog has forgotten these.
    pub(crate) fn forget(&self, names: &[String]) {
        let mut files = lock(&self.files);
        for name in names {
            files.set_here(name, false);
            files.by_name.remove(name);
        }
        self.publish(&files);
    }

    fn publish(&self, files: &Files) {
        metrics::gauge!(metric::LAKE_REMOTE_FILES).set(files.by_name.len() as f64);
        metrics::gauge!(metric::LAKE_CACHE_BYTES).set(files.copied_bytes as f64);
        metrics::gauge!(metric::LAKE_CACHE_LIMIT_BYTES).set(self.limit_bytes as f64);
    }
}

impl Files {
    fn set_here(&mut self, name: &str, is_here: bool) {
        let Some(far) = self.by_name.get_mut(name) else { return };
        match (far.is_here, is_here) {
            (false, true) => self.copied_bytes += far.wanted.bytes,
            (true, false) => self.copied_bytes -= far.wanted.bytes,
            _ => {}
        }
        far.is_here = is_here;
    }
}

#[cfg(test)]
mod tests;
