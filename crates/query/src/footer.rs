//! Indexes and footers of files, kept in memory within a limit.
//!
//! They are kept apart because they are needed at different rates: to look for a trace asks the filter of every file, and
//! needs the map and the footer of the few files that hold it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lake::{FileEntry, LakeError, SliceIndex, Snapshot, TraceFilter, ValueIndex, WordIndex};
use model::TraceId;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use runtime::metric;

use crate::QueryError;

/// What an entry of a shelf costs besides its own bytes.
const ENTRY_BYTES: usize = 256;
/// Files whose index lied that are remembered; those are faults of ours, and not many.
const MAX_DISTRUSTED: usize = 4_096;

/// Opens the file behind an entry, wherever it lies.
pub(crate) fn open(snapshot: &Snapshot, entry: &Arc<FileEntry>) -> Result<File, QueryError> {
    snapshot.open_file(entry).map_err(|error| match error {
        // whether it is gone for good is found out before its rows are used
        LakeError::Disk { source, .. } => unreadable(entry, &source),
        error => QueryError::of_lake(entry, error),
    })
}

pub(crate) fn unreadable(entry: &FileEntry, error: &dyn std::error::Error) -> QueryError {
    QueryError::File { path: entry.path.display().to_string(), reason: error.to_string() }
}

/// The indexes and footers of the files used last. A file never changes, so nothing in here grows stale.
#[derive(Debug)]
pub(crate) struct Footers {
    filters: Shelf<Option<TraceFilter>>,
    maps: Shelf<Option<SliceIndex>>,
    values: Shelf<Option<ValueIndex>>,
    words: Shelf<Option<WordIndex>>,
    footers: Shelf<ArrowReaderMetadata>,
    /// How often an index was believed.
    believed: AtomicU64,
    /// One in so many answers of an index is compared with a scan of the file.
    check_every: u64,
    /// Names of files whose index was caught lying.
    distrusted: Mutex<HashSet<String>>,
}

impl Footers {
    /// With a limit for each kind.
    pub(crate) fn new(limit_bytes: usize, check_every: u64) -> Self {
        Self {
            filters: Shelf::new("filters", limit_bytes),
            maps: Shelf::new("maps", limit_bytes),
            values: Shelf::new("values", limit_bytes),
            words: Shelf::new("words", limit_bytes),
            footers: Shelf::new("footers", limit_bytes),
            believed: AtomicU64::new(1),
            check_every,
            distrusted: Mutex::default(),
        }
    }

    /// The rows of a file that may be of any of the traces; `None` when the index that would know is missing or damaged.
    /// Blocking.
    pub(crate) fn rows_of(&self, entry: &FileEntry, traces: &[TraceId]) -> Option<Vec<Range<u64>>> {
        let bytes = |filter: &Option<TraceFilter>| filter.as_ref().map_or(0, TraceFilter::memory_bytes);
        let filter = self.believed_in(&entry.name, &self.filters, bytes, || Ok(read(entry, TraceFilter::open)));
        let rows = match filter.as_ref() {
            Some(filter) if !filter.may_hold(traces) => Some(Vec::new()),
            Some(_) => {
                let bytes = |map: &Option<SliceIndex>| map.as_ref().map_or(0, SliceIndex::memory_bytes);
                let map = self.believed_in(&entry.name, &self.maps, bytes, || Ok(read(entry, SliceIndex::open)));
                map.as_ref().as_ref().map(|map| map.rows_of(traces))
            }
            None => None,
        };
        if rows.is_none() {
            metrics::counter!(metric::LAKE_INDEX_MISSES).increment(1);
        }
        rows
    }

    /// Whether the next answer of an index is compared with one that does without it.
    pub(crate) fn wants_check(&self) -> bool {
        self.believed.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.check_every)
    }

    /// Does without the index of a file from now on.
    pub(crate) fn distrust(&self, name: &str) {
        let mut distrusted = self.distrusted.lock().unwrap_or_else(PoisonError::into_inner);
        if distrusted.len() < MAX_DISTRUSTED {
            distrusted.insert(name.to_owned());
        }
        drop(distrusted);
        self.filters.put(name, None);
        self.maps.put(name, None);
        self.values.put(name, None);
        self.words.put(name, None);
    }

    /// Of an index that was caught lying nothing: whoever was reading it then may have put it back on its shelf since.
    fn believed_in<T>(
        &self,
        name: &str,
        shelf: &Shelf<Option<T>>,
        bytes: impl FnOnce(&Option<T>) -> usize,
        load: impl FnOnce() -> Result<Option<T>, QueryError>,
    ) -> Arc<Option<T>> {
        let found = shelf.get(name, bytes, load).unwrap_or_default();
        if self.is_distrusted(name) { Arc::default() } else { found }
    }

    fn is_distrusted(&self, name: &str) -> bool {
        self.distrusted.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// Which values are in a file, read when that is not in memory; `None` when nothing is known of it. Blocking.
    pub(crate) fn values(&self, entry: &FileEntry) -> Arc<Option<ValueIndex>> {
        let bytes = |index: &Option<ValueIndex>| index.as_ref().map_or(0, ValueIndex::memory_bytes);
        // what is wrong with an index is said where traces are looked for, and by `lake verify`
        self.believed_in(&entry.name, &self.values, bytes, || Ok(ValueIndex::open(entry).ok().flatten()))
    }

    /// Which words are in a file of logs, read when that is not in memory; `None` when nothing is known of it. Blocking.
    pub(crate) fn words(&self, entry: &FileEntry) -> Arc<Option<WordIndex>> {
        let bytes = |index: &Option<WordIndex>| index.as_ref().map_or(0, WordIndex::memory_bytes);
        self.believed_in(&entry.name, &self.words, bytes, || Ok(WordIndex::open(entry).ok().flatten()))
    }

    /// The footer of a file with its page index, read when it is not in memory. Blocking.
    ///
    /// # Errors
    /// As [`open`].
    pub(crate) fn footer(
        &self,
        snapshot: &Snapshot,
        entry: &Arc<FileEntry>,
    ) -> Result<Arc<ArrowReaderMetadata>, QueryError> {
        let bytes = |footer: &ArrowReaderMetadata| footer.metadata().memory_size();
        self.footers.get(&entry.name, bytes, || {
            ArrowReaderMetadata::load(&open(snapshot, entry)?, entry.reader_options())
                .map_err(|error| unreadable(entry, &error))
        })
    }
}

/// A part of the index of a file; `None` when it cannot be read.
fn read<T>(entry: &FileEntry, open: impl FnOnce(&FileEntry) -> Result<T, LakeError>) -> Option<T> {
    let part = open(entry);
    if let Err(error) = &part {
        tracing::warn!(%error, file = entry.name, "lookups scan a file without its index");
    }
    part.ok()
}

/// Things by file name, the least recently used dropped first.
#[derive(Debug)]
struct Shelf<T> {
    /// What the metrics call it.
    name: &'static str,
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
    fn new(name: &'static str, limit_bytes: usize) -> Self {
        Self { name, kept: Mutex::new(Kept { things: HashMap::new(), bytes: 0, uses: 0 }), limit_bytes }
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
        self.keep(name, Arc::clone(&thing), bytes);
        Ok(thing)
    }

    /// In the place of what is there.
    fn put(&self, name: &str, thing: T) {
        self.keep(name, Arc::new(thing), ENTRY_BYTES);
    }

    fn keep(&self, name: &str, thing: Arc<T>, bytes: usize) {
        let mut kept = self.kept();
        let dropped = kept.put(name, thing, bytes, self.limit_bytes);
        metrics::gauge!(metric::QUERY_CACHE_BYTES, "kind" => self.name).set(kept.bytes as f64);
        metrics::counter!(metric::QUERY_CACHE_DROPPED, "kind" => self.name).increment(dropped);
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

    /// How many went for it.
    fn put(&mut self, name: &str, thing: Arc<T>, bytes: usize, limit_bytes: usize) -> u64 {
        if bytes > limit_bytes {
            return 0;
        }
        self.bytes += bytes;
        if let Some(old) = self.things.insert(name.to_owned(), Thing { thing, bytes, last_used: self.uses }) {
            self.bytes -= old.bytes;
        }
        if self.bytes > limit_bytes { self.make_room(limit_bytes) } else { 0 }
    }

    /// Drops the least recently used until a tenth is free, so that not every insertion has to sort.
    fn make_room(&mut self, limit_bytes: usize) -> u64 {
        let mut by_use: Vec<(u64, String)> =
            self.things.iter().map(|(name, thing)| (thing.last_used, name.clone())).collect();
        by_use.sort_unstable();
        let mut dropped = 0;
        for (_, name) in by_use {
            if self.bytes <= limit_bytes - limit_bytes / 10 {
                break;
            }
            if let Some(old) = self.things.remove(&name) {
                self.bytes -= old.bytes;
                dropped += 1;
            }
        }
        dropped
    }
}

#[cfg(test)]
mod tests;
