//! Sealed files on their way into the object store, and those that are over on their way out of it.

use std::sync::Arc;
use std::time::Duration;

use model::UnixNanos;
use runtime::{Random, Stop, metric};
use tokio::time::Instant;

use super::{Bucket, Wanted};
use crate::guard::lock;
use crate::settings::ObjectStore;
use crate::{FileEntry, Lake, LakeError};

/// How often [`Lake::keep_offloaded`] looks for something to do.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Pause after the store failed.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How often the store is compared with the catalog.
const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3_600);

impl Lake {
    /// Moves sealed files into the object store and forgets what is over there; a task for the supervisor. Does nothing
    /// when no store is set. While the store cannot be reached everything stays where it is.
    pub async fn keep_offloaded(&self, stop: Stop) {
        if self.inner.remote.bucket.is_none() {
            return;
        }
        let mut sweep_at = Instant::now();
        let mut is_down = false;
        while !stop.is_asked() {
            let done = tokio::select! {
                // what was under way is done again after the next start
                () = stop.asked() => return,
                done = self.offload_round(&mut sweep_at) => done,
            };
            let pause = match done {
                Ok(true) => Duration::ZERO,
                Ok(false) => LOOK_EVERY,
                Err(error) => {
                    if !is_down {
                        tracing::error!(%error, "files stay on the local disk until the object store takes them");
                    }
                    RETRY_PAUSE
                }
            };
            if is_down && pause < RETRY_PAUSE {
                tracing::info!("the object store takes files again");
            }
            is_down = pause == RETRY_PAUSE;
            tokio::select! {
                () = stop.asked() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Whether there was something to do.
    async fn offload_round(&self, sweep_at: &mut Instant) -> Result<bool, LakeError> {
        // what cannot be deleted must not keep files from moving
        let cleared = self.clear_store().await;
        if self.offload_once().await?.is_some() {
            return Ok(true);
        }
        cleared?;
        if Instant::now() >= *sweep_at {
            *sweep_at = Instant::now() + SWEEP_EVERY;
            // a store that does not let us list takes files all the same
            if let Err(error) = self.sweep_store().await {
                tracing::warn!(%error, "objects without a catalog row are looked for again later");
            }
        }
        Ok(false)
    }

    /// Moves the sealed file that was written first into the object store, when there is one; returns its length. A file
    /// that could not be moved is tried again behind those that failed less often, so that it keeps none from moving.
    ///
    /// # Errors
    /// [`LakeError::Store`], [`LakeError::Foreign`], the disk's, the catalog's. The file stays where it is, and the next
    /// round tries again.
    pub async fn offload_once(&self) -> Result<Option<u64>, LakeError> {
        let inner = &self.inner;
        let (Some(bucket), Some(settings)) = (&inner.remote.bucket, &inner.settings.object_store) else {
            return Ok(None);
        };
        let sealed = self.sealed(settings);
        let waiting_bytes: u64 = sealed.iter().map(|file| file.bytes).sum();
        metrics::gauge!(metric::LAKE_UPLOAD_WAITING_BYTES).set(waiting_bytes as f64);
        let Some(file) = self.next_up(sealed) else { return Ok(None) };
        let put = self.put(bucket, &file).await;
        let outcome = if put.is_ok() { "done" } else { "failed" };
        metrics::counter!(metric::LAKE_UPLOADS, "outcome" => outcome).increment(1);
        self.note_put(&file.name, put.is_ok());
        if let Err(reason) = &put
            && reason.is_damage()
        {
            self.quarantine(&file, &reason.to_string()).await?;
        }
        put?;
        metrics::counter!(metric::LAKE_UPLOADED_BYTES).increment(file.bytes);
        metrics::gauge!(metric::LAKE_UPLOAD_WAITING_BYTES).set((waiting_bytes - file.bytes) as f64);
        let lake = self.clone();
        let made_room = tokio::task::spawn_blocking(move || lake.inner.remote.cache.make_room(0));
        made_room.await.map_err(|_| LakeError::Worker("eviction"))?;
        Ok(Some(file.bytes))
    }

    /// The file that failed least often, of those the one that was written first.
    fn next_up(&self, sealed: Vec<Arc<FileEntry>>) -> Option<Arc<FileEntry>> {
        let mut failing = lock(&self.inner.remote.failing);
        failing.retain(|name, _| sealed.iter().any(|file| file.name == *name));
        metrics::gauge!(metric::LAKE_UPLOAD_FAILING_FILES).set(failing.len() as f64);
        let failures = |name: &str| failing.get(name).copied().unwrap_or(0);
        sealed.into_iter().min_by_key(|file| (failures(&file.name), file.created_unix_nanos))
    }

    fn note_put(&self, name: &str, is_done: bool) {
        let mut failing = lock(&self.inner.remote.failing);
        match is_done {
            true => drop(failing.remove(name)),
            false => *failing.entry(name.to_owned()).or_default() += 1,
        }
        metrics::gauge!(metric::LAKE_UPLOAD_FAILING_FILES).set(failing.len() as f64);
    }

    async fn put(&self, bucket: &Bucket, file: &Arc<FileEntry>) -> Result<(), LakeError> {
        bucket.claim(&self.identity().await?).await?;
        bucket.put(file).await?;
        let is_wanted = {
            let _turn = self.inner.upkeep.lock().await;
            let now = UnixNanos(self.inner.clock.unix_nanos());
            let is_wanted = self.inner.catalog.set_remote(&file.name, now).await?;
            if is_wanted {
                // quarantined meanwhile, it is read from the store after the next start
                self.inner.remote.cache.add(Wanted::of(file), true);
            }
            is_wanted
        };
        if !is_wanted {
            // merged or over meanwhile
            bucket.delete(&file.name).await?;
        }
        Ok(())
    }

    pub(super) async fn identity(&self) -> Result<String, LakeError> {
        let fresh: String = Random.bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        self.inner.catalog.identity(&fresh).await
    }

    /// Files that belong into the store and are not there.
    fn sealed(&self, settings: &ObjectStore) -> Vec<Arc<FileEntry>> {
        let now_unix_nanos = self.inner.clock.unix_nanos();
        let min_age_nanos = i64::try_from(settings.min_age.as_nanos()).unwrap_or(i64::MAX);
        let is_sealed = |file: &&Arc<FileEntry>| {
            settings.levels.contains(&file.level)
                && now_unix_nanos.saturating_sub(file.created_unix_nanos) >= min_age_nanos
                && !self.is_remote(&file.name)
        };
        self.version().all_files().filter(is_sealed).cloned().collect()
    }

    /// Deletes from the store what was retired, once no query can be reading it; the catalog forgets it after that.
    ///
    /// # Errors
    /// [`LakeError::Store`]; what was not done is done next time.
    pub async fn clear_store(&self) -> Result<(), LakeError> {
        let Some(bucket) = &self.inner.remote.bucket else { return Ok(()) };
        let over = self.names_due();
        if !over.is_empty() {
            bucket.claim(&self.identity().await?).await?;
        }
        for name in over.iter().filter(|name| !self.inner.remote.cache.may_forget(name)) {
            bucket.delete(name).await?;
            self.inner.remote.cache.set_deleted(name);
        }
        Ok(())
    }
}
