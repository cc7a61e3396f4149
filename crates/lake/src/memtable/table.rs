//! The rows of one tenant's signal in one generation.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::{Signal, join};

use super::FrozenBatch;
use crate::order::{Mutex, lock};

/// Rows that came in since the last fold from which the next one is worth its while.
pub(crate) const FROZEN_ROWS: usize = 8_192;
/// Rows from which a batch is large enough to be left alone: what exporters send 512 spans at a time is not copied before the
/// flush, which joins all there is anyway.
const ALONE_ROWS: usize = 256;
/// Bytes from which a batch is large enough to be left alone; bounds what one fold copies at once.
const FROZEN_BYTES: u64 = 32 << 20;

/// Batches in log order. The ones that came in lie at the end; folding makes them fewer and larger.
#[derive(Debug)]
pub(crate) struct Table {
    signal: Signal,
    batches: Mutex<Batches>,
    /// Held by the one that folds. Others may push meanwhile: that only adds to the end.
    folding: Mutex<()>,
}

#[derive(Debug, Default)]
struct Batches {
    list: Vec<Arc<FrozenBatch>>,
    /// Rows that came in since the last fold.
    unfolded_rows: usize,
}

/// What a fold did to the memory taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Folded {
    pub(crate) freed_bytes: u64,
    pub(crate) taken_bytes: u64,
}

impl Table {
    pub(crate) fn new(signal: Signal) -> Self {
        Self { signal, batches: Mutex::default(), folding: Mutex::default() }
    }

    /// Adds a batch as it came. Returns the rows that came in since the last fold.
    pub(crate) fn push(&self, batch: Arc<FrozenBatch>) -> usize {
        let mut batches = lock(&self.batches);
        batches.unfolded_rows += batch.rows();
        batches.list.push(batch);
        batches.unfolded_rows
    }

    /// Everything inserted so far, oldest first.
    pub(crate) fn batches(&self) -> Vec<Arc<FrozenBatch>> {
        lock(&self.batches).list.clone()
    }

    /// Joins small batches, so that at most 9 are not full. A row is copied at most about 9 times however often this is
    /// called: neighbours are joined only when the older is not more than twice as large as the newer, as in
    /// a binary counter.
    pub(crate) fn fold(&self) -> Folded {
        let _turn = lock(&self.folding);
        let before = {
            let mut batches = lock(&self.batches);
            batches.unfolded_rows = 0;
            batches.list.clone()
        };
        let groups = group(&before);
        let mut folded = Folded::default();
        if groups.len() == before.len() {
            return folded;
        }
        let mut after = Vec::with_capacity(groups.len());
        for Group { members, .. } in groups {
            let members = &before[members];
            match self.join(members) {
                Some(joined) => {
                    folded.freed_bytes += members.iter().map(|batch| batch.memory_bytes()).sum::<u64>();
                    folded.taken_bytes += joined.memory_bytes();
                    after.push(joined);
                }
                None => after.extend(members.iter().cloned()),
            }
        }
        lock(&self.batches).list.splice(..before.len(), after);
        folded
    }

    /// `None` when there is nothing to join, or when it cannot be done and the parts have to do.
    fn join(&self, members: &[Arc<FrozenBatch>]) -> Option<Arc<FrozenBatch>> {
        if members.len() < 2 {
            return None;
        }
        let parts: Vec<RecordBatch> = members.iter().map(|batch| batch.records().clone()).collect();
        match join(&self.signal.stored_schema(), &parts) {
            Ok(records) => Some(Arc::new(FrozenBatch::new(self.signal, records))),
            Err(error) => {
                tracing::warn!(%error, parts = parts.len(), "small batches in memory stay apart");
                None
            }
        }
    }
}

struct Group {
    members: Range<usize>,
    rows: usize,
    bytes: u64,
}

impl Group {
    fn is_full(&self) -> bool {
        self.rows >= ALONE_ROWS || self.bytes >= FROZEN_BYTES
    }

    fn absorbs(&self, newer: &Self) -> bool {
        !self.is_full() && self.rows <= newer.rows.saturating_mul(2) && self.bytes + newer.bytes <= FROZEN_BYTES
    }
}

fn group(batches: &[Arc<FrozenBatch>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        let mut newest = Group { members: index..index + 1, rows: batch.rows(), bytes: batch.memory_bytes() };
        while let Some(older) = groups.pop_if(|older| older.absorbs(&newest)) {
            newest = Group {
                members: older.members.start..newest.members.end,
                rows: older.rows + newest.rows,
                bytes: older.bytes + newest.bytes,
            };
        }
        groups.push(newest);
    }
    groups
}

#[cfg(test)]
mod tests;
