//! Trace filters and footers of files, kept in memory within a limit.
//!
//! They are kept apart because they are needed at different rates: to look for a trace asks the filter of every file,
//! a few kilobytes each, and needs the footer, ten times as large, of the few files that may hold it.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lake::FileEntry;
use model::TraceId;
use model::signal::TRACE_ID;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::PageIndexPolicy;

use crate::QueryError;

/// Bytes of one block of a split-block Bloom filter.
const FILTER_BLOCK_BYTES: usize = 32;
/// What an entry of a shelf costs besides its own bytes.
const ENTRY_BYTES: usize = 256;

/// The trace filters of one file, one per row group; `None` where the file has no filter.
#[derive(Debug)]
pub(crate) struct TraceFilters(Vec<Option<Sbbf>>);

impl TraceFilters {
    fn load(entry: &FileEntry) -> Result<Self, QueryError> {
        let file = open(entry)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|error| unreadable(entry, &error))?;
        let groups = metadata.metadata().num_row_groups();
        let column = metadata.parquet_schema().columns().iter().position(|column| column.name() == TRACE_ID);
        let Some(column) = column else { return Ok(Self((0..groups).map(|_| None).collect())) };
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let filters = (0..groups).map(|group| builder.get_row_group_column_bloom_filter(group, column));
        filters.collect::<Result<_, _>>().map(Self).map_err(|error| unreadable(entry, &error))
    }

    /// The row groups that may hold any of the traces.
    pub(crate) fn groups_with(&self, traces: &[TraceId]) -> Vec<usize> {
        let may_hold = |filter: &Option<Sbbf>| {
            filter.as_ref().is_none_or(|filter| traces.iter().any(|trace| filter.check(&trace.0[..])))
        };
        let groups = self.0.iter().enumerate().filter(|(_, filter)| may_hold(filter));
        groups.map(|(group, _)| group).collect()
    }

    fn bytes(&self) -> usize {
        self.0.iter().flatten().map(|filter| filter.num_blocks() * FILTER_BLOCK_BYTES).sum()
    }
}

/// Opens the file behind an entry.
pub(crate) fn open(entry: &FileEntry) -> Result<File, QueryError> {
    File::open(&entry.path).map_err(|error| unreadable(entry, &error))
}

pub(crate) fn unreadable(entry: &FileEntry, error: &dyn std::error::Error) -> QueryError {
    QueryError::File { path: entry.path.display().to_string(), reason: error.to_string() }
}

/// The filters and footers of the files used last. A file never changes, so nothing in here grows stale.
#[derive(Debug)]
pub(crate) struct Footers {
    filters: Shelf<TraceFilters>,
    footers: Shelf<ArrowReaderMetadata>,
}

impl Footers {
    /// With a limit for filters and the same for footers.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { filters: Shelf::new(limit_bytes), footers: Shelf::new(limit_bytes) }
    }

    /// The trace filters of a file, read when they are not in memory. Blocking.
    ///
    /// # Errors
    /// [`QueryError::File`].
    pub(crate) fn filters(&self, entry: &FileEntry) -> Result<Arc<TraceFilters>, QueryError> {
        self.filters.get(&entry.name, TraceFilters::bytes, || TraceFilters::load(entry))
    }

    /// The footer of a file with its page index, read when it is not in memory. Blocking.
    ///
    /// # Errors
    /// [`QueryError::File`].
    pub(crate) fn footer(&self, entry: &FileEntry) -> Result<Arc<ArrowReaderMetadata>, QueryError> {
        let bytes = |footer: &ArrowReaderMetadata| footer.metadata().memory_size();
        self.footers.get(&entry.name, bytes, || {
            let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
            ArrowReaderMetadata::load(&open(entry)?, options).map_err(|error| unreadable(entry, &error))
        })
    }
}

/// Things by file name, the least recently used dropped first.
#[derive(Debug)]
struct Shelf<T> {
    kept: Mutex<Kept<T>>,
    limit_bytes: usize,
}

#[derive(Debug)]
struct Kept<T> {
    things: HashMap<String, Thing<T>>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Thing<T> {
    thing: Arc<T>,
    bytes: usize,
    last_used: u64,
}

impl<T> Shelf<T> {
    fn new(limit_bytes: usize) -> Self {
        Self { kept: Mutex::new(Kept { things: HashMap::new(), bytes: 0, uses: 0 }), limit_bytes }
    }

    fn get(
        &self,
        name: &str,
        bytes: impl FnOnce(&T) -> usize,
        load: impl FnOnce() -> Result<T, QueryError>,
    ) -> Result<Arc<T>, QueryError> {
        if let Some(thing) = self.kept().take_up(name) {
            return Ok(thing);
        }
        // read without the lock; of two threads that read the same, one keeps what the other did
        let thing = Arc::new(load()?);
        let bytes = bytes(&thing) + ENTRY_BYTES;
        self.kept().put(name, Arc::clone(&thing), bytes, self.limit_bytes);
        Ok(thing)
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Kept<T> {
    fn take_up(&mut self, name: &str) -> Option<Arc<T>> {
        self.uses += 1;
        let found = self.things.get_mut(name)?;
        found.last_used = self.uses;
        Some(Arc::clone(&found.thing))
    }

    fn put(&mut self, name: &str, thing: Arc<T>, bytes: usize, limit_bytes: usize) {
        if bytes > limit_bytes {
            return;
        }
        self.bytes += bytes;
        if let Some(old) = self.things.insert(name.to_owned(), Thing { thing, bytes, last_used: self.uses }) {
            self.bytes -= old.bytes;
        }
        if self.bytes > limit_bytes {
            self.make_room(limit_bytes);
        }
    }

    /// Drops the least recently used until a tenth is free, so that not every insertion has to sort.
    fn make_room(&mut self, limit_bytes: usize) {
        let mut by_use: Vec<(u64, String)> =
            self.things.iter().map(|(name, thing)| (thing.last_used, name.clone())).collect();
        by_use.sort_unstable();
        for (_, name) in by_use {
            if self.bytes <= limit_bytes - limit_bytes / 10 {
                break;
            }
            if let Some(old) = self.things.remove(&name) {
                self.bytes -= old.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests;
