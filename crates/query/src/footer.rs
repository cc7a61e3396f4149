//! Footers and trace filters of files, kept in memory within a limit.

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

/// What is needed to look for traces in one file.
#[derive(Debug)]
pub(crate) struct Footer {
    pub metadata: ArrowReaderMetadata,
    /// One per row group; `None` when the file has no filter there.
    filters: Vec<Option<Sbbf>>,
    bytes: usize,
}

impl Footer {
    fn load(entry: &FileEntry) -> Result<Self, QueryError> {
        let file = open(entry)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|error| unreadable(entry, &error))?;
        let mut bytes = metadata.metadata().memory_size();
        let groups = metadata.metadata().num_row_groups();
        let column = metadata.parquet_schema().columns().iter().position(|column| column.name() == TRACE_ID);
        let mut filters = Vec::with_capacity(groups);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
        for group in 0..groups {
            let filter = match column {
                Some(column) => builder.get_row_group_column_bloom_filter(group, column),
                None => Ok(None),
            };
            let filter = filter.map_err(|error| unreadable(entry, &error))?;
            bytes += filter.as_ref().map_or(0, |filter| filter.num_blocks() * FILTER_BLOCK_BYTES);
            filters.push(filter);
        }
        Ok(Self { metadata, filters, bytes })
    }

    /// The row groups that may hold any of the traces.
    pub(crate) fn groups_with(&self, traces: &[TraceId]) -> Vec<usize> {
        let may_hold = |filter: &Option<Sbbf>| {
            filter.as_ref().is_none_or(|filter| traces.iter().any(|trace| filter.check(&trace.0[..])))
        };
        let groups = self.filters.iter().enumerate().filter(|(_, filter)| may_hold(filter));
        groups.map(|(group, _)| group).collect()
    }
}

/// Opens the file behind an entry.
pub(crate) fn open(entry: &FileEntry) -> Result<File, QueryError> {
    File::open(&entry.path).map_err(|error| unreadable(entry, &error))
}

pub(crate) fn unreadable(entry: &FileEntry, error: &dyn std::error::Error) -> QueryError {
    QueryError::File { path: entry.path.display().to_string(), reason: error.to_string() }
}

#[derive(Debug)]
struct Kept {
    footer: Arc<Footer>,
    last_used: u64,
}

#[derive(Debug, Default)]
struct Shelf {
    kept: HashMap<String, Kept>,
    bytes: usize,
    uses: u64,
}

/// The footers of the files used last. A file never changes, so nothing in here grows stale.
#[derive(Debug)]
pub(crate) struct Footers {
    shelf: Mutex<Shelf>,
    limit_bytes: usize,
}

impl Footers {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { shelf: Mutex::default(), limit_bytes }
    }

    /// The footer of a file, read when it is not in memory. Blocking.
    ///
    /// # Errors
    /// [`QueryError::File`].
    pub(crate) fn get(&self, entry: &FileEntry) -> Result<Arc<Footer>, QueryError> {
        if let Some(footer) = self.shelf().take_up(&entry.name) {
            return Ok(footer);
        }
        // read without the lock; two threads that read the same footer keep one of them
        let footer = Arc::new(Footer::load(entry)?);
        self.shelf().put(&entry.name, Arc::clone(&footer), self.limit_bytes);
        Ok(footer)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn take_up(&mut self, name: &str) -> Option<Arc<Footer>> {
        self.uses += 1;
        let kept = self.kept.get_mut(name)?;
        kept.last_used = self.uses;
        Some(Arc::clone(&kept.footer))
    }

    fn put(&mut self, name: &str, footer: Arc<Footer>, limit_bytes: usize) {
        if footer.bytes > limit_bytes {
            return;
        }
        self.bytes += footer.bytes;
        if let Some(old) = self.kept.insert(name.to_owned(), Kept { footer, last_used: self.uses }) {
            self.bytes -= old.footer.bytes;
        }
        if self.bytes > limit_bytes {
            self.make_room(limit_bytes);
        }
    }

    /// Drops the least recently used until a tenth is free, so that not every insertion has to sort.
    fn make_room(&mut self, limit_bytes: usize) {
        let mut by_use: Vec<(u64, String)> =
            self.kept.iter().map(|(name, kept)| (kept.last_used, name.clone())).collect();
        by_use.sort_unstable();
        for (_, name) in by_use {
            if self.bytes <= limit_bytes - limit_bytes / 10 {
                break;
            }
            if let Some(old) = self.kept.remove(&name) {
                self.bytes -= old.footer.bytes;
            }
        }
    }
}
