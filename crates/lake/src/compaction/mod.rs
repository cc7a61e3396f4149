//! Fewer and larger files: what a flush wrote is merged with its neighbours of the same hour.
//!
//! Order of steps: read the inputs, write the merged file under a temporary name, sync it, rename it, sync its directory,
//! retire the inputs and add the file in one catalog transaction, replace the version. Flushes go on meanwhile. A crash
//! before the commit leaves a file whose rows the catalog has elsewhere, which the next start removes; a crash after it
//! leaves retired inputs, which are unlinked when no snapshot needs them any more.

mod plan;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use model::{Lsn, UnixNanos};
use runtime::{Pace, Stop, metric};
use tokio::time::Instant;

use crate::cover::Cover;
use crate::file_entry::Origin;
use crate::flush::publish;
use crate::guard::lock;
use crate::layout::Layout;
use crate::memtable::TableKey;
use crate::merge::merge;
use crate::promotion::{Chosen, MAX_COLUMNS, Remembered};
use crate::retention::Retired;
use crate::version::Version;
use crate::{FileEntry, Lake, LakeError, disk};
use plan::Plan;

/// How often [`Lake::keep_compacted`] looks for something to merge.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Pause after a merge that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(30);
/// Pause before it is asked again whether memory has room.
const MAX_PAUSE: Duration = Duration::from_millis(500);
/// Merges wait while memory is fuller than this share of its limit: what comes in goes first.
const PRESSURE: f64 = 0.5;
/// Plans that wait, past which merges do not hold back any more: reading would suffer more than ingest.
const MAX_DEBT: usize = 16;

impl Lake {
    /// Merges files whenever there is something to merge; a task for the supervisor. Takes at most
    /// `Settings::compaction_share` of a core, less while memory is filling; does nothing when that is 0.
    pub async fn keep_compacted(&self, stop: Stop) {
        let share = self.inner.settings.compaction_share;
        if share <= 0.0 {
            return;
        }
        while !stop.is_asked() {
            let pause = match self.compact(share, Some(stop.clone())).await {
                Ok(true) => Duration::ZERO,
                Ok(false) => LOOK_EVERY,
                Err(LakeError::Stopping) => return,
                Err(error) => {
                    metrics::counter!(metric::LAKE_MERGE_FAILURES).increment(1);
                    tracing::error!(%error, "merging files failed and will be tried again");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = stop.asked() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Does one merge, as fast as it goes, when there is one to do; returns whether there was.
    ///
    /// # Errors
    /// The disk's or the catalog's; [`LakeError::Read`] for a damaged input. The inputs stay as they are.
    pub async fn compact_once(&self) -> Result<bool, LakeError> {
        self.compact(1.0, None).await
    }

    async fn compact(&self, share: f64, stop: Option<Stop>) -> Result<bool, LakeError> {
        let turn = Arc::clone(&self.inner.merging).lock_owned().await;
        let now = UnixNanos(self.inner.clock.unix_nanos());
        let version = self.version();
        let plans = self.plans(&version, now);
        metrics::gauge!(metric::LAKE_MERGES_WAITING).set(plans.len() as f64);
        let debt = plans.len();
        let Some(plan) = plans.into_iter().max_by(|left, right| left.urgency().cmp(&right.urgency())) else {
            return Ok(false);
        };
        if let Some(first) = plan.inputs.first() {
            // files from before there were keys are encrypted by the merge
            let failed = |source| LakeError::Key { file: first.name.clone(), source };
            self.inner.settings.keys.ensure(first.tenant.as_str()).await.map_err(failed)?;
        }
        if let Some(committed) = self.committed(&plan.name()).await? {
            self.show(&plan, &Arc::new(committed), now);
            return Ok(true);
        }
        let remembered = match plan.inputs.first() {
            Some(first) => self.inner.catalog.promoted(&first.tenant, first.signal).await?,
            None => Vec::new(),
        };
        let started = Instant::now();
        let (lake, layout) = (self.clone(), self.inner.layout.clone());
        let share = if debt > MAX_DEBT { 1.0 } else { share };
        let work = move || {
            let mut pause = pausing(&lake, share, stop);
            (write(&lake, &layout, &plan, &remembered, now, &mut pause), plan, turn)
        };
        let worked = tokio::task::spawn_blocking(work).await;
        let (merged, plan, _turn) = worked.map_err(|_| LakeError::Worker("merge"))?;
        if let Err(error @ (LakeError::Read { path, .. } | LakeError::Checksum { path, .. })) = &merged
            && let Some(input) = plan.inputs.iter().find(|input| input.path == *path)
        {
            // or every merge from now on would fail at it
            lock(&self.inner.unreadable).insert(input.name.clone());
            let (lake, entry) = (self.clone(), Arc::clone(input));
            let checked = tokio::task::spawn_blocking(move || lake.check_again(&entry));
            let checked = checked.await.map_err(|_| LakeError::Worker("merge"))?;
            if checked.is_err_and(|reason| reason.is_damage()) {
                self.quarantine(input, &error.to_string()).await?;
            }
        }
        if let Err(LakeError::Arrow(_) | LakeError::Parquet { .. } | LakeError::Rows { .. }) = &merged {
            // these rows do not go into one file, and would keep every other merge from its turn
            lock(&self.inner.unreadable).extend(plan.inputs.iter().map(|input| input.name.clone()));
        }
        let (merged, chosen) = merged?;
        let merged = Arc::new(merged);
        self.put_in_place(&plan, &merged, now).await?;
        self.remember(&merged, &chosen).await;
        let level = merged.level.number().to_string();
        metrics::histogram!(metric::LAKE_MERGE_SECONDS, "level" => level.clone())
            .record(started.elapsed().as_secs_f64());
        metrics::counter!(metric::LAKE_MERGED_FILES, "level" => level).increment(plan.inputs.len() as u64);
        self.publish_metrics();
        Ok(true)
    }

    fn plans(&self, version: &Version, now: UnixNanos) -> Vec<Plan> {
        let mut unreadable = lock(&self.inner.unreadable).clone();
        // one that comes back must not find its log positions in another file
        let quarantined = lock(&self.inner.quarantined).clone();
        unreadable.extend(quarantined.iter().map(|file| file.name.clone()));
        let of_table = |((tenant, signal), files): (&TableKey, &Arc<[Arc<FileEntry>]>)| {
            let is_here = |file: &&Arc<FileEntry>| file.tenant == *tenant && file.signal == *signal;
            let all: Vec<_> = files.iter().chain(quarantined.iter().filter(is_here)).cloned().collect();
            plan::plans(&all, &unreadable, now)
        };
        version.files.iter().flat_map(of_table).collect()
    }

    /// Has the next merge of the same tenant's signal choose the same columns. The merge is done, whatever comes of this.
    async fn remember(&self, merged: &FileEntry, chosen: &Chosen) {
        if chosen.refused > 0 {
            metrics::counter!(metric::LAKE_PROMOTIONS_REFUSED).increment(chosen.refused as u64);
            tracing::warn!(
                tenant = %merged.tenant, signal = %merged.signal, refused = chosen.refused, limit = MAX_COLUMNS,
                "frequent attributes have no column, since all are used up"
            );
        }
        metrics::gauge!(metric::LAKE_PROMOTED_COLUMNS, "signal" => merged.signal.as_str())
            .set(chosen.remembered.len() as f64);
        let remembered = self.inner.catalog.remember_promoted(&merged.tenant, merged.signal, &chosen.remembered);
        if let Err(error) = remembered.await {
            tracing::warn!(%error, file = merged.name, "the next merge may choose other columns for attributes");
        }
    }

    async fn put_in_place(&self, plan: &Plan, merged: &Arc<FileEntry>, now: UnixNanos) -> Result<(), LakeError> {
        let _turn = self.inner.upkeep.lock().await;
        if let Err(error) = self.inner.catalog.replace(&plan.inputs, merged, now).await {
            if !matches!(error, LakeError::Superseded { .. }) {
                // the commit may have come through all the same; then the file is needed
                return Err(error);
            }
            let known = self.inner.catalog.files(self.inner.layout.clone()).await?;
            if !known.iter().any(|file| file.entry.name == merged.name) {
                disk::remove(&merged.path)?;
            }
            return Err(error);
        }
        self.show(plan, merged, now);
        Ok(())
    }

    /// The file of this name, when an earlier commit of it was reported as failed and came through. It must not be written
    /// again: an encrypted one would have other bytes than the catalog says.
    async fn committed(&self, name: &str) -> Result<Option<FileEntry>, LakeError> {
        if !self.inner.catalog.is_live(name).await? {
            return Ok(None);
        }
        let known = self.inner.catalog.files(self.inner.layout.clone()).await?;
        Ok(known.into_iter().map(|file| file.entry).find(|entry| entry.name == name))
    }

    /// Puts a committed merge into the version.
    fn show(&self, plan: &Plan, merged: &Arc<FileEntry>, now: UnixNanos) {
        self.mark_checked(merged);
        self.replace_version(|version| version.with_merged(&plan.inputs, Arc::clone(merged)));
        let retired = |file: &Arc<FileEntry>| Retired { file: Arc::clone(file), since_unix_nanos: now.0 };
        lock(&self.inner.retired).extend(plan.inputs.iter().map(retired));
    }
}

/// What a merge does between two slices: asks whether it is still wanted, and rests for as long as its share demands, or
/// much longer when others want its core.
fn pausing(lake: &Lake, share: f64, stop: Option<Stop>) -> impl FnMut() -> Result<(), LakeError> {
    let mut pace = Pace::new(share);
    let lake = lake.clone();
    move || {
        let is_stopping = || stop.as_ref().is_some_and(Stop::is_asked);
        if is_stopping() {
            return Err(LakeError::Stopping);
        }
        if share < 1.0 {
            thread::sleep(pace.rest());
            while lake.memtable_bytes() as f64 > lake.settings().memtable_limit_bytes as f64 * PRESSURE {
                if is_stopping() {
                    return Err(LakeError::Stopping);
                }
                thread::sleep(MAX_PAUSE);
            }
        }
        pace.go_on();
        Ok(())
    }
}

fn write(
    lake: &Lake,
    layout: &Layout,
    plan: &Plan,
    remembered: &[Remembered],
    now: UnixNanos,
    pause: &mut dyn FnMut() -> Result<(), LakeError>,
) -> Result<(FileEntry, Chosen), LakeError> {
    let first = &plan.inputs[0];
    let (range, name): ((Lsn, Lsn), String) = (plan.range(), plan.name());
    let temporary = layout.temporary_path(&name);
    let _stay = lake.hold(&plan.inputs)?;
    // rows that are not what was written must not be written anew under a checksum that says they are
    plan.inputs.iter().try_for_each(|input| lake.check(input))?;
    let cover = Cover::fresh(&lake.settings().keys, first.tenant.as_str());
    let key = cover.key(&name)?;
    let rows: u64 = plan.inputs.iter().map(|input| input.zone.rows).sum();
    let promotion = (remembered, rows >= lake.settings().promote_from_rows);
    let (written, chosen) = match merge(&plan.inputs, &temporary, plan.level, range, key, promotion, pause) {
        Ok(merged) => merged,
        Err(error) => {
            disk::remove_file(&temporary)?;
            return Err(error);
        }
    };
    if written.zone.rows != rows {
        disk::remove_file(&temporary)?;
        return Err(LakeError::Rows { file: name, expected: rows, found: written.zone.rows });
    }
    publish(layout, &name, &written)?;
    let origin = Origin {
        name,
        tenant: first.tenant.clone(),
        signal: first.signal,
        level: plan.level,
        partition: first.partition,
        range,
        created_unix_nanos: now.0,
        cover,
    };
    Ok((FileEntry::of(origin, layout, written), chosen))
}
