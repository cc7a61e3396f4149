//! One moment of one tenant's signal: files and memory as one version.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use model::{Signal, TenantId, TimeRange, TraceId, UnixNanos};

use crate::rollup::Callers;
use crate::{FileEntry, FrozenBatch, Lake, LakeError};

/// What a query reads. Each event inserted before it was taken is seen exactly once, in a file or in a batch.
///
/// Files and batches that cannot hold a row of `range` are left out; those that are in may hold rows outside of it.
/// The files stay readable while the snapshot, or a clone of their entries, is alive.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whose events.
    pub tenant: TenantId,
    /// What kind of events.
    pub signal: Signal,
    /// The range of event time asked for.
    pub range: TimeRange,
    /// Committed files, the one with the latest event first.
    pub files: Vec<Arc<FileEntry>>,
    /// Files that should be here and are damaged or gone: what is in them is missing from any answer.
    pub missing: Vec<Arc<FileEntry>>,
    /// Rows in memory with [`Signal::stored_schema`], newest last.
    pub batches: Vec<RecordBatch>,
    pub(crate) frozen: Vec<Arc<FrozenBatch>>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) lake: Lake,
}

impl Snapshot {
    /// Whether a file is what was written, before its rows are used; asks the disk once a process. Blocking.
    ///
    /// # Errors
    /// As [`FileEntry::verify`].
    pub fn check(&self, file: &FileEntry) -> Result<(), LakeError> {
        self.lake.check(file)
    }

    /// Opens a file, which may have to come from the object store first. Blocking.
    ///
    /// # Errors
    /// As [`Lake::open_file`].
    pub fn open_file(&self, file: &FileEntry) -> Result<File, LakeError> {
        self.lake.open_file(file)
    }

    /// Whether a file has to come from the object store before its rows are read; it is checked when it does.
    pub fn is_away(&self, file: &FileEntry) -> bool {
        self.lake.is_away(file)
    }

    /// The same batches with their trace indexes, in the same order.
    pub fn frozen(&self) -> &[Arc<FrozenBatch>] {
        &self.frozen
    }

    /// The rows in memory that belong to a trace, without a scan; newest last, no empty batch.
    ///
    /// # Errors
    /// When the rows cannot be copied out, which a batch with the stored schema does not cause.
    pub fn batches_with_trace(&self, trace: TraceId) -> Result<Vec<RecordBatch>, ArrowError> {
        let mut found = Vec::new();
        for frozen in &self.frozen {
            let rows = frozen.rows_of_trace(trace);
            if !rows.is_empty() {
                found.push(take_record_batch(frozen.records(), &UInt32Array::from(rows))?);
            }
        }
        Ok(found)
    }

    /// The earliest and the latest event of the files and batches, those outside the range included; `None` without any.
    pub fn bounds(&self) -> Option<(UnixNanos, UnixNanos)> {
        let in_files = self.files.iter().map(|file| (file.zone.min_time, file.zone.max_time));
        let in_memory = self.frozen.iter().filter_map(|frozen| frozen.bounds());
        in_files.chain(in_memory).reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// Rows in memory plus rows of files, those outside the range included.
    pub fn rows(&self) -> u64 {
        let in_memory: u64 = self.batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let in_files: u64 = self.files.iter().map(|file| file.zone.rows).sum();
        in_memory + in_files
    }
}
