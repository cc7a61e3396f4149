//! Bytes that changed on disk are found, and never answer a query.
//!
//! A file's length and checksum stand in the catalog. It is read whole and compared once before its rows are used for the
//! first time after a start, again whenever a reader stumbles, and over and over in the background. One that is not what
//! was written is **quarantined**: its bytes stay where they are, and every snapshot names it as missing.

use std::sync::Arc;
use std::time::Duration;

use model::UnixNanos;
use runtime::{Stop, metric};

use crate::catalog::FileState;
use crate::guard::lock;
use crate::{FileEntry, Lake, LakeError};

/// Every file is read again after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// How often the scrubber looks for a file whose time has come.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes per second that scrubbing reads at most, on average.
const BYTES_PER_SECOND: u64 = 16 << 20;

impl Lake {
    /// Whether a file is what was written; asks the disk only when it was not compared since the start. Blocking.
    ///
    /// # Errors
    /// As [`FileEntry::verify`].
    pub fn check(&self, file: &FileEntry) -> Result<(), LakeError> {
        if lock(&self.inner.checked).contains_key(&file.name) {
            return Ok(());
        }
        self.check_again(file)
    }

    /// Forgets what was compared: a reader stumbled, so every file is read whole before its rows are used again.
    pub fn doubt(&self) {
        lock(&self.inner.checked).clear();
    }

    /// Reads a file whole and compares, whenever it was compared last. Blocking.
    ///
    /// # Errors
    /// As [`FileEntry::verify`].
    pub fn check_again(&self, file: &FileEntry) -> Result<(), LakeError> {
        let checked = self.verify(file);
        match &checked {
            Ok(()) => self.mark_checked(file),
            Err(_) => {
                lock(&self.inner.checked).remove(&file.name);
            }
        }
        checked
    }

    /// Takes a file out of sight, for as long as its bytes are not what was written. Snapshots name it as missing.
    ///
    /// # Errors
    /// The catalog's.
    pub async fn quarantine(&self, file: &Arc<FileEntry>, reason: &str) -> Result<(), LakeError> {
        let _turn = self.inner.upkeep.lock().await;
        if !self.version().all_files().any(|live| live.name == file.name) {
            return Ok(());
        }
        let now = UnixNanos(self.inner.clock.unix_nanos());
        let names = [file.name.clone()];
        self.inner.catalog.set_state(&names, FileState::Quarantined, now).await?;
        self.replace_version(|version| version.with_files_kept(|live| live.name != file.name));
        lock(&self.inner.quarantined).push(Arc::clone(file));
        metrics::counter!(metric::LAKE_DAMAGED_FILES).increment(1);
        tracing::error!(
            reason,
            file = file.name,
            rows = file.zone.rows,
            "damaged file quarantined, its rows are missing from answers"
        );
        self.publish_metrics();
        Ok(())
    }

    /// Compares the file that was compared longest ago, when that is a day or more; returns its length.
    ///
    /// # Errors
    /// The catalog's. A damaged file is quarantined and is no error.
    pub async fn scrub_once(&self) -> Result<Option<u64>, LakeError> {
        let now = UnixNanos(self.inner.clock.unix_nanos());
        let version = self.version();
        let due = {
            let checked = lock(&self.inner.checked);
            let last = |file: &&Arc<FileEntry>| checked.get(&file.name).copied().unwrap_or(UnixNanos(i64::MIN));
            let oldest = version.all_files().filter(|file| !self.is_away(file)).min_by_key(last);
            let again = now.plus(-i64::try_from(AGAIN_AFTER.as_nanos()).unwrap_or(i64::MAX));
            oldest.filter(|file| last(file) <= again).cloned()
        };
        let Some(file) = due else { return Ok(None) };
        let (lake, entry) = (self.clone(), Arc::clone(&file));
        let checked = tokio::task::spawn_blocking(move || lake.check_again(&entry));
        metrics::counter!(metric::LAKE_SCRUBBED_BYTES).increment(file.bytes);
        match checked.await.map_err(|_| LakeError::Worker("scrub"))? {
            Err(reason) if reason.is_damage() => self.quarantine(&file, &reason.to_string()).await?,
            Err(error) => {
                tracing::warn!(%error, file = file.name, "a file could not be compared and will be tried again")
            }
            Ok(()) => {}
        }
        Ok(Some(file.bytes))
    }

    /// Compares files in the background, about 16 MiB a second, each once a day; a task for the supervisor.
    pub async fn keep_scrubbed(&self, stop: Stop) {
        while !stop.is_asked() {
            let pause = match self.scrub_once().await {
                Ok(Some(bytes)) => Duration::from_millis(bytes * 1_000 / BYTES_PER_SECOND),
                Ok(None) => LOOK_EVERY,
                Err(error) => {
                    tracing::error!(%error, "a damaged file could not be quarantined, and will be found again");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                () = stop.asked() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// What this process has just written and synced is what was written.
    pub(crate) fn mark_checked(&self, file: &FileEntry) {
        let now = UnixNanos(self.inner.clock.unix_nanos());
        lock(&self.inner.checked).insert(file.name.clone(), now);
    }
}
