//! A file of the object store made readable, once for all who ask for it at the same time.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;

use model::UnixNanos;
use runtime::metric;

use super::Wanted;
use crate::guard::lock;
use crate::{FileEntry, Lake, LakeError, disk};

/// How often a file is fetched for one who opens it; others may need its room between the two steps.
const ATTEMPTS: usize = 5;

/// Files whose copies stay for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    lake: Lake,
    names: Vec<String>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| self.lake.inner.remote.cache.release(name));
        self.lake.inner.remote.cache.make_room(0);
    }
}

impl Lake {
    /// Opens a file, which is fetched first when it lies in the object store alone. Blocking; on a thread of a runtime.
    ///
    /// # Errors
    /// [`LakeError::Disk`]; [`LakeError::Store`] when the store cannot be reached, which may pass; [`LakeError::Lost`] and
    /// [`LakeError::Checksum`] when what was stored is not there any more.
    pub fn open_file(&self, file: &FileEntry) -> Result<File, LakeError> {
        for _ in 0..ATTEMPTS {
            self.bring(&file.name)?;
            match File::open(&file.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_remote(&file.name) => {
                    self.miss(&file.name);
                }
                opened => return opened.map_err(LakeError::disk("open", &file.path)),
            }
        }
        let reason = "its copy had to go before it was opened; the cache is too small".to_owned();
        Err(LakeError::Store { action: "fetch", file: file.name.clone(), reason })
    }

    /// Fetches the file of this name when it lies in the object store alone. Its copy may go at any time, but not from
    /// under one who has opened it. Goes on to the end when whoever asked is gone. Blocking; on a thread of a runtime.
    ///
    /// # Errors
    /// As [`Lake::open_file`].
    pub fn bring(&self, name: &str) -> Result<(), LakeError> {
        if !self.is_remote(name) {
            return Ok(());
        }
        if self.inner.remote.cache.away(name).is_none() {
            metrics::counter!(metric::LAKE_CACHE_HITS).increment(1);
            return Ok(());
        }
        metrics::counter!(metric::LAKE_CACHE_MISSES).increment(1);
        // not on the threads of whoever asks: those may all be here, and a fetch needs some for its file
        self.inner.remote.runtime.block_on(self.fetch(name))
    }

    /// The live file of this name.
    pub fn find(&self, name: &str) -> Option<Arc<FileEntry>> {
        self.version().all_files().find(|file| file.name == name).cloned()
    }

    /// Notes that the copy of a file was not there when it was opened.
    pub fn miss(&self, name: &str) {
        self.inner.remote.cache.set_here(name, false);
    }

    /// Whether the object store has the file.
    pub fn is_remote(&self, name: &str) -> bool {
        self.inner.remote.cache.is_remote(name)
    }

    /// Whether a file has to be fetched before its rows can be read; it is compared with its checksum then. To ask is no
    /// use of its copy.
    pub(crate) fn is_away(&self, file: &FileEntry) -> bool {
        self.inner.remote.cache.is_away(&file.name)
    }

    /// Has files stay on the local disk, fetched if need be. Blocking; on a thread of a runtime.
    ///
    /// # Errors
    /// As [`Lake::open_file`].
    pub(crate) fn hold(&self, files: &[Arc<FileEntry>]) -> Result<Held, LakeError> {
        let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
        names.iter().for_each(|name| self.inner.remote.cache.hold(name));
        let held = Held { lake: self.clone(), names };
        held.names.iter().try_for_each(|name| self.bring(name))?;
        Ok(held)
    }

    /// As [`FileEntry::verify`]; a copy that is not what was written is no loss, and fetched again.
    pub(crate) fn verify(&self, file: &FileEntry) -> Result<(), LakeError> {
        if !self.is_remote(&file.name) {
            return file.verify();
        }
        if !self.is_away(file) {
            match file.verify() {
                Err(error) if error.is_damage() => {
                    tracing::warn!(%error, "a copy of a file in the object store is fetched again");
                    self.inner.remote.cache.set_here(&file.name, false);
                    disk::remove_file(&file.path)?;
                }
                verified => return verified,
            }
        }
        self.bring(&file.name)
    }

    async fn fetch(&self, name: &str) -> Result<(), LakeError> {
        let (remote, away) = (&self.inner.remote, self.inner.remote.cache.away(name));
        let Some(away) = away else { return Ok(()) };
        let _turn = away.turn.lock().await;
        if remote.cache.away(name).is_none() {
            return Ok(());
        }
        let _seat = remote.fetches.acquire().await.map_err(|_| LakeError::Worker("fetch"))?;
        let fetched = self.fetch_now(&away.wanted).await;
        let outcome = if fetched.is_ok() { "done" } else { "failed" };
        metrics::counter!(metric::LAKE_FETCHES, "outcome" => outcome).increment(1);
        fetched
    }

    async fn fetch_now(&self, wanted: &Wanted) -> Result<(), LakeError> {
        let remote = &self.inner.remote;
        let Some(bucket) = &remote.bucket else {
            let reason = "no object store is set".to_owned();
            return Err(LakeError::Store { action: "fetch", file: wanted.name.clone(), reason });
        };
        remote.cache.make_room(wanted.bytes);
        let coming = self.inner.layout.fetched_dir().join(wanted.name.replace('/', "."));
        if let Err(error) = bucket.get(wanted, &coming).await {
            disk::remove_file(&coming)?;
            return Err(error);
        }
        metrics::counter!(metric::LAKE_FETCHED_BYTES).increment(wanted.bytes);
        if let Some(dir) = wanted.path.parent() {
            disk::make_dir(dir)?;
        }
        // not synced: what a power cut leaves of it is compared before it is used
        fs::rename(&coming, &wanted.path).map_err(LakeError::disk("rename", &coming))?;
        lock(&self.inner.checked).insert(wanted.name.clone(), UnixNanos(self.inner.clock.unix_nanos()));
        remote.cache.set_here(&wanted.name, true);
        Ok(())
    }
}
