//! Objects that the catalog does not know, as of an upload whose file was merged before it was noted and that could not be
//! taken back.

use std::collections::HashSet;
use std::time::Duration;

use runtime::metric;

use crate::catalog::{CatalogFile, FileState};
use crate::layout::Layout;
use crate::{Lake, LakeError, orphan};

/// What is younger stays, whatever the catalog says; also bounds how far the clocks of store and lake may differ.
const GRACE: Duration = Duration::from_secs(24 * 3_600);
/// Objects looked at in one sweep that are not known to be needed; what is beyond waits for the next.
const MAX_STRAYS: usize = 10_000;

impl Lake {
    /// Deletes objects below the prefix that the catalog does not know, that are older than a day, and whose rows lie in a
    /// live file as well; returns how many. Listed first and looked up afterwards, so that what is put meanwhile is known.
    /// A list that is not complete only means that less is found. What no live file covers is left alone: the catalog may
    /// be an older copy that was put back, and the object all there is of its rows.
    ///
    /// # Errors
    /// [`LakeError::Store`], [`LakeError::Foreign`], [`LakeError::Fenced`], the catalog's.
    pub async fn sweep_store(&self) -> Result<u64, LakeError> {
        let Some(bucket) = &self.inner.remote.bucket else { return Ok(0) };
        bucket.claim(&self.identity().await?).await?;
        let wants = |name: &str| Layout::claims_of(name).is_some() && !self.is_remote(name);
        let listed = bucket.list(MAX_STRAYS, wants).await?;
        if listed.is_empty() {
            return Ok(0);
        }
        self.inner.catalog.check_epoch().await?;
        let known = self.inner.catalog.files(self.inner.layout.clone()).await?;
        let names: HashSet<&str> = orphan::names(&known);
        let grace_nanos = i64::try_from(GRACE.as_nanos()).unwrap_or(i64::MAX);
        let old_at = self.inner.clock.unix_nanos().saturating_sub(grace_nanos);
        let mut deleted = 0;
        for object in listed {
            if names.contains(object.name.as_str()) || object.modified_unix_nanos > old_at {
                continue;
            }
            if !is_covered(&object.name, &known) {
                tracing::warn!(object = object.name, "object without a catalog row is left: its rows are nowhere else");
                continue;
            }
            bucket.delete(&object.name).await?;
            tracing::warn!(object = object.name, "object without a catalog row deleted");
            deleted += 1;
        }
        metrics::counter!(metric::LAKE_STORE_ORPHANS).increment(deleted);
        Ok(deleted)
    }
}

/// Whether a live file of the same folder has all rows that the name of an object claims.
fn is_covered(object: &str, known: &[CatalogFile]) -> bool {
    let Some(((first, last), _)) = Layout::claims_of(object) else { return false };
    let folder = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    known.iter().any(|file| {
        file.state == FileState::Live
            && file.entry.min_lsn <= first
            && last <= file.entry.max_lsn
            && folder(&file.entry.name) == folder(object)
    })
}
