//! From memory to committed files.
//!
//! Order of steps: seal the generation, write each file under a temporary name, sync it, rename it, sync its directory,
//! commit {files, mark} in one catalog transaction, replace the version. A crash before the commit leaves files without a
//! catalog row, which the next start removes; the log still has their events. A crash after it leaves nothing to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::TimestampNanosecondType;
use model::{Lsn, Signal, TenantId, UnixNanos, join};
use runtime::{KeyRing, metric};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::cover::Cover;
use crate::file_entry::Origin;
use crate::layout::Layout;
use crate::memtable::{FrozenBatch, Generation};
use crate::parquet_file::{FileWriter, Written};
use crate::partition::{Partition, Plausible, partitions};
use crate::rollup::{Callers, Remembered, Rollup};
use crate::row_order::{Keys, SLICE_ROWS, SliceOrder};
use crate::{FileEntry, Lake, LakeError, Level, disk, layout, rollup, sidecar};

impl Lake {
    /// Writes all events that are in memory now to files and commits them; returns the new mark. Without events it
    /// returns the mark as it is. One flush runs at a time; a second one waits, and finds what came in meanwhile.
    ///
    /// # Errors
    /// The disk's or the catalog's. The events stay in memory and stay visible, and the next flush tries them again.
    pub async fn flush(&self) -> Result<Lsn, LakeError> {
        let mut turn = Arc::clone(&self.inner.upkeep).lock_owned().await;
        let before = self.version();
        // a generation whose flush failed goes first, then what has come in since
        let rounds = if before.sealed.is_some() { 2 } else { 1 };
        for round in 0..rounds {
            let Some(sealed) = self.seal() else { break };
            let started = Instant::now();
            let failed_before = before.sealed.is_some() && round == 0;
            let flushed = self.flush_sealed(turn, &sealed, failed_before).await;
            turn = flushed.inspect_err(|_| metrics::counter!(metric::LAKE_FLUSH_FAILURES).increment(1))?;
            metrics::histogram!(metric::LAKE_FLUSH_SECONDS).record(started.elapsed().as_secs_f64());
            self.publish_metrics();
        }
        Ok(self.mark())
    }

    /// Takes the turn and gives it back.
    async fn flush_sealed(
        &self,
        turn: OwnedMutexGuard<()>,
        sealed: &Arc<Generation>,
        failed_before: bool,
    ) -> Result<OwnedMutexGuard<()>, LakeError> {
        let mark = sealed.last_lsn();
        let is_committed = failed_before && self.inner.catalog.mark().await? >= mark;
        let keys = self.inner.settings.keys.clone();
        for ((tenant, _), _) in sealed.tables() {
            let failed = |source| LakeError::Key { file: format!("a file of {tenant}"), source };
            if !is_committed {
                keys.ensure(tenant.as_str()).await.map_err(failed)?;
            }
        }
        let job = Job {
            keys,
            layout: self.inner.layout.clone(),
            plausible: Plausible::at(UnixNanos(self.inner.clock.unix_nanos()), self.inner.settings.retention),
            max_hours: self.inner.settings.max_hours_per_flush,
            range: (sealed.first_lsn(), mark),
            now_unix_nanos: self.inner.clock.unix_nanos(),
            callers: self.version().callers.clone(),
            only_counts: is_committed,
        };
        let generation = Arc::clone(sealed);
        let files = tokio::task::spawn_blocking(move || (job.run(&generation), turn));
        let (files, turn) = files.await.map_err(|_| LakeError::Worker("flush"))?;
        let (mut files, callers) = files?;
        if is_committed {
            // the commit was reported as failed and is there all the same: its files are the ones to show
            let known = self.inner.catalog.files(self.inner.layout.clone()).await?;
            files = known.into_iter().map(|file| file.entry).filter(|file| file.max_lsn == mark).collect();
        } else {
            self.inner.catalog.commit(&files, mark).await?;
            files.iter().for_each(|file| self.mark_checked(file));
        }
        let files = files.into_iter().map(Arc::new);
        self.replace_version(|version| version.with_flushed(files, mark).with_callers(callers));
        publish_callers(&self.version().callers);
        Ok(turn)
    }
}

/// The blocking part of a flush: everything up to the commit.
struct Job {
    layout: Layout,
    keys: KeyRing,
    plausible: Plausible,
    max_hours: usize,
    range: (Lsn, Lsn),
    now_unix_nanos: i64,
    /// What is remembered of each tenant's earlier spans.
    callers: Remembered,
    /// The files are there already.
    only_counts: bool,
}

/// What is to be remembered of each tenant's spans.
type NextCallers = Vec<(TenantId, Callers)>;

impl Job {
    fn run(&self, generation: &Generation) -> Result<(Vec<FileEntry>, NextCallers), LakeError> {
        let (mut files, mut next_callers) = (Vec::new(), Vec::new());
        for ((tenant, signal), table) in generation.tables() {
            generation.fold(&table);
            let split = self.split(signal, &table.batches())?;
            let mut rollups = Vec::new();
            if signal == Signal::Spans {
                let parts: Vec<&[RecordBatch]> = split.values().map(Vec::as_slice).collect();
                let (counted, next) = rollup::count(&parts, &self.callers.of(&tenant), &|| true)?;
                rollups = counted;
                next_callers.push((tenant.clone(), next));
            }
            let mut rollups = rollups.into_iter();
            if self.only_counts {
                continue;
            }
            for (partition, parts) in split {
                files.push(self.write(&tenant, signal, partition, &parts, rollups.next().as_ref())?);
            }
        }
        Ok((files, next_callers))
    }

    /// The batches cut along the partitions; a batch that lies in one partition is not copied.
    fn split(
        &self,
        signal: Signal,
        batches: &[Arc<FrozenBatch>],
    ) -> Result<BTreeMap<Partition, Vec<RecordBatch>>, LakeError> {
        let mut times = Vec::with_capacity(batches.len());
        for batch in batches {
            let column = batch.records().column_by_name(signal.time_column());
            let column = column.and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
            let missing = || arrow::error::ArrowError::SchemaError(format!("no column {}", signal.time_column()));
            times.push(&column.ok_or_else(missing)?.values()[..]);
        }
        let mut split: BTreeMap<Partition, Vec<RecordBatch>> = BTreeMap::new();
        let partitions = partitions(&times, self.plausible, self.max_hours);
        for (batch, partition_of) in batches.iter().zip(partitions) {
            let mut rows_of: BTreeMap<Partition, Vec<u32>> = BTreeMap::new();
            for (row, partition) in (0_u32..).zip(partition_of) {
                rows_of.entry(partition).or_default().push(row);
            }
            for (partition, rows) in rows_of {
                let whole = rows.len() == batch.rows();
                let part = match whole {
                    true => batch.records().clone(),
                    false => take_record_batch(batch.records(), &UInt32Array::from(rows))?,
                };
                split.entry(partition).or_default().push(part);
            }
        }
        Ok(split)
    }

    fn write(
        &self,
        tenant: &TenantId,
        signal: Signal,
        partition: Partition,
        parts: &[RecordBatch],
        rollup: Option<&Rollup>,
    ) -> Result<FileEntry, LakeError> {
        let name = Layout::name(tenant, signal, partition, self.range, Level::L0);
        let records = join(&signal.stored_schema(), parts)?;
        let mut keys = Keys::default();
        keys.add(signal, &records)?;
        let mut order = keys.order(signal)?;
        let slices = SliceOrder::of(signal, &records)?;
        let cover = Cover::fresh(&self.keys, tenant.as_str());
        let (path, key) = (self.layout.temporary_path(&name), cover.key(&name)?);
        let mut writer = FileWriter::create(&path, signal, Level::L0, self.range, key, None)?;
        for slice in order.chunks_mut(SLICE_ROWS) {
            slices.sort(slice, |row| row as usize, |row| keys.time(row));
            writer.write_slice(&take_record_batch(&records, &UInt32Array::from(slice.to_vec()))?)?;
        }
        let written = writer.finish(rollup)?;
        publish(&self.layout, &name, &written)?;
        let origin = Origin {
            name,
            tenant: tenant.clone(),
            signal,
            level: Level::L0,
            partition,
            range: self.range,
            created_unix_nanos: self.now_unix_nanos,
            cover,
        };
        Ok(FileEntry::of(origin, &self.layout, written))
    }
}

fn publish_callers(callers: &Remembered) {
    let (spans, waiting) = callers.sizes();
    metrics::gauge!(metric::LAKE_REMEMBERED_SPANS).set(spans as f64);
    metrics::gauge!(metric::LAKE_WAITING_CALLS).set(waiting as f64);
}

/// Gives a finished file its name, its index first: a file is never seen without one.
pub(crate) fn publish(layout: &Layout, name: &str, written: &Written) -> Result<(), LakeError> {
    let path = layout.path(name);
    if let Some(dir) = path.parent() {
        disk::make_dir(dir)?;
    }
    let temporary = layout.temporary_path(name);
    sidecar::write(&written.index, &layout::index_path(&temporary), &layout::index_path(&path))?;
    disk::publish(&temporary, &path)
}
