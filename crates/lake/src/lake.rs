//! The front door: insert, snapshot, and how full it is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, UnixNanos};
use runtime::{Clock, Database, Stop, metric};
use tokio::sync::Notify;

use crate::catalog::Catalog;
use crate::guard::lock;
use crate::layout::Layout;
use crate::memtable::{FrozenBatch, Generation};
use crate::remote::Remote;
use crate::retention::Retired;
use crate::version::{Current, Version};
use crate::{FileEntry, LakeError, Settings, Snapshot, opening};

/// How long inserted batches wait at most until they are joined and indexed by [`Lake::keep_frozen`].
const FREEZE_INTERVAL: Duration = Duration::from_millis(250);

/// The store of one data directory. Cheap to clone; all clones are the same store.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) layout: Layout,
    pub(crate) catalog: Catalog,
    pub(crate) clock: Clock,
    current: Current,
    /// One of flush, retention and orphan sweep at a time: each assumes the others leave the files alone.
    /// The turn goes into the blocking part, so that one whose caller gave up still ends before the next begins.
    pub(crate) upkeep: Arc<tokio::sync::Mutex<()>>,
    /// One merge at a time, beside which flushes go on; whoever clears away what is unfinished takes this turn as well.
    pub(crate) merging: Arc<tokio::sync::Mutex<()>>,
    /// When each file was last found to be what was written.
    pub(crate) checked: Mutex<HashMap<String, UnixNanos>>,
    /// Names of files that a merge could not read, or not put together.
    pub(crate) unreadable: Mutex<HashSet<String>>,
    pub(crate) retired: Mutex<Vec<Retired>>,
    /// Files whose bytes are missing or not what was written.
    pub(crate) quarantined: Mutex<Vec<Arc<FileEntry>>>,
    /// Files in the object store.
    pub(crate) remote: Remote,
    freeze_wanted: Notify,
}

/// What the lake holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Everything up to here is in committed files.
    pub mark: Lsn,
    /// The newest position inserted.
    pub inserted_through: Lsn,
    /// Bytes of events in memory.
    pub memtable_bytes: u64,
    /// Files in the catalog whose bytes are missing or not what was written; their rows are not found by queries.
    pub quarantined_files: u64,
    /// Files that no query finds any more and that are not unlinked yet.
    pub retired_files: u64,
    /// Per signal, in the order of [`Signal::ALL`].
    pub signals: Vec<SignalStats>,
}

/// What the lake holds of one signal, over all tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalStats {
    /// The signal.
    pub signal: Signal,
    /// Rows in memory.
    pub memtable_rows: u64,
    /// Committed files.
    pub files: u64,
    /// Bytes of committed files.
    pub file_bytes: u64,
    /// Bytes of the indexes beside them.
    pub index_bytes: u64,
    /// Rows of committed files.
    pub file_rows: u64,
}

impl Lake {
    /// Opens the directory: makes or updates the catalog's tables, loads the catalog, quarantines files that are
    /// missing or have the wrong length, and removes what an interrupted flush left.
    ///
    /// # Errors
    /// [`LakeError::Setting`], [`LakeError::Disk`], or the catalog's.
    pub async fn open(settings: Settings, db: Database, clock: Clock) -> Result<Self, LakeError> {
        let opened = opening::open(&settings, db, &clock).await?;
        metrics::gauge!(metric::MEMTABLE_LIMIT_BYTES).set(settings.memtable_limit_bytes as f64);
        let lake = Self {
            inner: Arc::new(Inner {
                settings,
                layout: opened.layout,
                catalog: opened.catalog,
                clock,
                current: Current::new(opened.version),
                upkeep: Arc::default(),
                merging: Arc::default(),
                unreadable: Mutex::default(),
                checked: Mutex::default(),
                retired: Mutex::new(opened.retired),
                quarantined: Mutex::new(opened.quarantined),
                remote: opened.remote,
                freeze_wanted: Notify::new(),
            }),
        };
        lake.publish_metrics();
        Ok(lake)
    }

    /// Takes in a placed batch. Cheap: no row is copied. Called in log order, so that the mark can say "everything up
    /// to here"; batches at or below the last position inserted or flushed are known already and are ignored. The next
    /// [`Lake::snapshot`] sees the batch.
    pub fn insert(&self, batch: EventBatch) {
        debug_assert_eq!(batch.records.schema(), batch.signal.stored_schema(), "a batch is placed before it is stored");
        let now_unix_nanos = self.inner.clock.unix_nanos();
        let Some((wants_freeze, bytes)) = self.inner.current.insert(batch, now_unix_nanos) else { return };
        metrics::gauge!(metric::MEMTABLE_BYTES).set(bytes as f64);
        if wants_freeze {
            self.inner.freeze_wanted.notify_one();
        }
    }

    /// Everything up to here is in committed files; the log may be trimmed up to here.
    pub fn mark(&self) -> Lsn {
        self.version().mark
    }

    /// What there is of one tenant's signal now. Joins batches that came in since the last freeze, which may take a few
    /// milliseconds when [`Lake::keep_frozen`] is behind; touches no file.
    pub fn snapshot(&self, tenant: &TenantId, signal: Signal, range: TimeRange) -> Snapshot {
        let version = self.version();
        let key = (tenant.clone(), signal);
        let mut frozen: Vec<Arc<FrozenBatch>> = Vec::new();
        for generation in version.generations() {
            if let Some(table) = generation.table(&key) {
                generation.fold(&table);
                frozen.extend(table.batches().into_iter().filter(|batch| batch.overlaps(&range)));
            }
        }
        let files = version.files.get(&key).map(|files| files.iter()).unwrap_or_default();
        let files = files.filter(|file| file.overlaps(&range)).cloned().collect();
        let batches = frozen.iter().map(|batch| batch.records().clone()).collect();
        let missing = self.missing(tenant, signal, &range);
        let callers = version.callers.of(tenant);
        Snapshot { tenant: key.0, signal, range, files, missing, batches, frozen, callers, lake: self.clone() }
    }

    /// Files with events of the range that are damaged or gone: what is in them is missing from any answer.
    pub fn missing(&self, tenant: &TenantId, signal: Signal, range: &TimeRange) -> Vec<Arc<FileEntry>> {
        let is_asked_for =
            |file: &&Arc<FileEntry>| file.tenant == *tenant && file.signal == signal && file.overlaps(range);
        lock(&self.inner.quarantined).iter().filter(is_asked_for).cloned().collect()
    }

    /// Bytes of events in memory, those being flushed included.
    pub fn memtable_bytes(&self) -> u64 {
        self.version().memtable_bytes()
    }

    /// Whether the collector should refuse events until a flush has made room.
    pub fn is_full(&self) -> bool {
        self.memtable_bytes() >= self.inner.settings.memtable_limit_bytes
    }

    /// Whether it is time for [`Lake::flush`]: enough bytes, the oldest event waiting long enough, or a flush that failed.
    pub fn wants_flush(&self) -> bool {
        let version = self.version();
        if version.sealed.is_some() || version.open.bytes() >= self.inner.settings.flush_bytes {
            return true;
        }
        let Some(first_unix_nanos) = version.open.first_insert_unix_nanos() else { return false };
        let waited_nanos = self.inner.clock.unix_nanos().saturating_sub(first_unix_nanos);
        // a clock that was set back would otherwise put the flush off for as long as it was set back
        u64::try_from(waited_nanos)
            .map_or(true, |nanos| Duration::from_nanos(nanos) >= self.inner.settings.flush_interval)
    }

    /// Joins and indexes what came in, every 250 ms or as soon as 8,192 rows of one table wait; a task for the
    /// supervisor. Without it everything still works, at the expense of the queries.
    pub async fn keep_frozen(&self, stop: Stop) {
        while !stop.is_asked() {
            tokio::select! {
                () = stop.asked() => return,
                () = self.inner.freeze_wanted.notified() => {}
                () = tokio::time::sleep(FREEZE_INTERVAL) => {}
            }
            let version = self.version();
            let frozen = tokio::task::spawn_blocking(move || version.generations().for_each(|part| part.freeze()));
            if let Err(error) = frozen.await {
                tracing::error!(%error, "freezing events in memory failed");
            }
            self.publish_memtable_metrics();
        }
    }

    /// What the lake holds now.
    pub fn stats(&self) -> Stats {
        let version = self.version();
        let of_signal = |signal| {
            let files: Vec<_> = version.all_files().filter(|file| file.signal == signal).collect();
            SignalStats {
                signal,
                memtable_rows: version.memtable_rows(signal),
                files: files.len() as u64,
                file_bytes: files.iter().map(|file| file.bytes).sum(),
                index_bytes: files.iter().map(|file| file.index_bytes).sum(),
                file_rows: files.iter().map(|file| file.zone.rows).sum(),
            }
        };
        Stats {
            mark: version.mark,
            inserted_through: version.open.last_lsn(),
            memtable_bytes: version.memtable_bytes(),
            quarantined_files: lock(&self.inner.quarantined).len() as u64,
            retired_files: lock(&self.inner.retired).len() as u64,
            signals: Signal::ALL.map(of_signal).to_vec(),
        }
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn version(&self) -> Arc<Version> {
        self.inner.current.version()
    }

    /// Replaces the version in one step; no insert happens meanwhile.
    pub(crate) fn replace_version(&self, next: impl FnOnce(&Version) -> Version) {
        self.inner.current.replace(next);
    }

    /// The generation to flush: the one whose flush failed before, else the open one unless it is empty.
    pub(crate) fn seal(&self) -> Option<Arc<Generation>> {
        self.inner.current.seal()
    }

    fn publish_memtable_metrics(&self) {
        let version = self.version();
        metrics::gauge!(metric::MEMTABLE_BYTES).set(version.memtable_bytes() as f64);
        for signal in Signal::ALL {
            let rows = version.memtable_rows(signal) as f64;
            metrics::gauge!(metric::MEMTABLE_ROWS, "signal" => signal.as_str()).set(rows);
        }
    }

    pub(crate) fn publish_metrics(&self) {
        self.publish_memtable_metrics();
        let stats = self.stats();
        metrics::gauge!(metric::LAKE_QUARANTINED_FILES).set(stats.quarantined_files as f64);
        for part in stats.signals {
            let signal = part.signal.as_str();
            metrics::gauge!(metric::LAKE_FILES, "signal" => signal).set(part.files as f64);
            metrics::gauge!(metric::LAKE_BYTES, "signal" => signal).set(part.file_bytes as f64);
            metrics::gauge!(metric::LAKE_INDEX_BYTES, "signal" => signal).set(part.index_bytes as f64);
            metrics::gauge!(metric::LAKE_ROWS, "signal" => signal).set(part.file_rows as f64);
        }
    }
}
