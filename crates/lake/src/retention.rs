//! Whole hours leave when they are old: out of sight first, off the disk later.

use std::collections::HashSet;
use std::sync::Arc;

use model::UnixNanos;
use model::time::NANOS_PER_HOUR;
use runtime::metric;
use tokio::sync::OwnedMutexGuard;

use crate::catalog::FileState;
use crate::guard::lock;
use crate::{FileEntry, Lake, LakeError, Partition, disk};

/// A file that no new snapshot has.
#[derive(Debug, Clone)]
pub(crate) struct Retired {
    pub(crate) file: Arc<FileEntry>,
    pub(crate) since_unix_nanos: i64,
}

impl Lake {
    /// Retires the files of hours that are wholly older than the retention, and unlinks files retired for longer than
    /// the grace period that no snapshot holds. Odd files age by the hour they were written in. Returns how many files
    /// were retired now.
    ///
    /// # Errors
    /// The disk's or the catalog's; what was not done is done next time.
    pub async fn retain(&self) -> Result<u64, LakeError> {
        let turn = Arc::clone(&self.inner.upkeep).lock_owned().await;
        let retired = self.retire().await?;
        self.unlink_retired(turn).await?;
        self.publish_metrics();
        Ok(retired)
    }

    async fn retire(&self) -> Result<u64, LakeError> {
        let now = UnixNanos(self.inner.clock.unix_nanos());
        let retention_nanos = i64::try_from(self.inner.settings.retention.as_nanos()).unwrap_or(i64::MAX);
        let cutoff = now.plus(retention_nanos.saturating_neg());
        let mut old: Vec<Arc<FileEntry>> = lock(&self.inner.quarantined).clone();
        old.extend(self.version().all_files().cloned());
        old.retain(|file| is_over(file, cutoff));
        if old.is_empty() {
            return Ok(0);
        }
        let names: Vec<String> = old.iter().map(|file| file.name.clone()).collect();
        self.inner.catalog.set_state(&names, FileState::Retired, now).await?;
        let gone: HashSet<&str> = names.iter().map(String::as_str).collect();
        self.replace_version(|version| version.with_files_kept(|file| !gone.contains(file.name.as_str())));
        lock(&self.inner.quarantined).retain(|file| !gone.contains(file.name.as_str()));
        let count = old.len() as u64;
        lock(&self.inner.retired)
            .extend(old.iter().map(|file| Retired { file: Arc::clone(file), since_unix_nanos: now.0 }));
        metrics::counter!(metric::LAKE_RETIRED_FILES).increment(count);
        Ok(count)
    }

    /// Names of retired files whose grace is over and that no snapshot holds.
    pub(crate) fn names_due(&self) -> Vec<String> {
        let now_unix_nanos = self.inner.clock.unix_nanos();
        let grace_nanos = i64::try_from(self.inner.settings.unlink_grace.as_nanos()).unwrap_or(i64::MAX);
        // once out of the version, only snapshots hold a file; this list is the one holder that is left
        let is_due = |file: &&Retired| {
            now_unix_nanos.saturating_sub(file.since_unix_nanos) >= grace_nanos && Arc::strong_count(&file.file) == 1
        };
        lock(&self.inner.retired).iter().filter(is_due).map(|retired| retired.file.name.clone()).collect()
    }

    async fn unlink_retired(&self, turn: OwnedMutexGuard<()>) -> Result<(), LakeError> {
        // what the object store has is deleted there first, by whoever may wait for it
        let names: HashSet<String> =
            self.names_due().into_iter().filter(|name| self.inner.remote.cache.may_forget(name)).collect();
        let is_due = |file: &&Retired| names.contains(&file.file.name);
        let due: Vec<Retired> = lock(&self.inner.retired).iter().filter(is_due).cloned().collect();
        if due.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = due.iter().map(|retired| retired.file.name.clone()).collect();
        let unlink = move || (due.iter().try_for_each(|gone| disk::remove(&gone.file.path)), turn);
        let (unlinked, _turn) = tokio::task::spawn_blocking(unlink).await.map_err(|_| LakeError::Worker("unlink"))?;
        unlinked?;
        self.inner.catalog.remove(&names).await?;
        self.inner.remote.cache.forget(&names);
        let gone: HashSet<&str> = names.iter().map(String::as_str).collect();
        lock(&self.inner.retired).retain(|retired| !gone.contains(retired.file.name.as_str()));
        lock(&self.inner.checked).retain(|name, _| !gone.contains(name.as_str()));
        lock(&self.inner.unreadable).retain(|name| !gone.contains(name.as_str()));
        Ok(())
    }
}

/// Whether the last moment of the file's hour lies before `cutoff`.
fn is_over(file: &FileEntry, cutoff: UnixNanos) -> bool {
    let hour = match file.partition {
        Partition::Hour(hour) => hour,
        Partition::Odd => UnixNanos(file.created_unix_nanos).hour(),
    };
    hour.saturating_add(1).saturating_mul(NANOS_PER_HOUR) <= cutoff.0
}
