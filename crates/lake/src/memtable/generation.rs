//! What came in between two flushes.

use std::collections::HashMap;
use std::sync::Arc;

use model::{EventBatch, Lsn, Signal, TenantId};

use super::table::FROZEN_ROWS;
use super::{FrozenBatch, Table};
use crate::order::atomic::{AtomicI64, AtomicU64, Ordering};
use crate::order::{Mutex, lock};

/// Names a table: a generation and a version have at most one of each.
pub(crate) type TableKey = (TenantId, Signal);

/// Tables that are flushed together. Takes inserts while it is the open one, and never again once sealed.
#[derive(Debug)]
pub(crate) struct Generation {
    tables: Mutex<HashMap<TableKey, Arc<Table>>>,
    /// Everything up to here lies in files or in an older generation.
    after: Lsn,
    last: AtomicU64,
    bytes: AtomicU64,
    rows: [AtomicU64; Signal::ALL.len()],
    /// When the first batch came; 0 before.
    first_insert_unix_nanos: AtomicI64,
}

impl Generation {
    pub(crate) fn after(after: Lsn) -> Self {
        Self {
            tables: Mutex::default(),
            after,
            last: AtomicU64::new(after.0),
            bytes: AtomicU64::new(0),
            rows: Default::default(),
            first_insert_unix_nanos: AtomicI64::new(0),
        }
    }

    /// Adds a batch. The caller holds the lock under which generations are sealed, and asks in log order. Returns
    /// whether enough rows wait for a fold to be worth one now.
    pub(crate) fn insert(&self, batch: EventBatch, now_unix_nanos: i64) -> bool {
        self.last.store(batch.lsn.0, Ordering::Release);
        let _ = self.first_insert_unix_nanos.compare_exchange(
            0,
            now_unix_nanos.max(1),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if batch.is_empty() {
            return false;
        }
        let signal = batch.signal;
        let frozen = Arc::new(FrozenBatch::new(signal, batch.records));
        self.bytes.fetch_add(frozen.memory_bytes(), Ordering::Relaxed);
        self.rows[signal as usize].fetch_add(frozen.rows() as u64, Ordering::Relaxed);
        let mut tables = lock(&self.tables);
        let table = tables.entry((batch.tenant, signal)).or_insert_with(|| Arc::new(Table::new(signal)));
        table.push(frozen) >= FROZEN_ROWS
    }

    pub(crate) fn table(&self, key: &TableKey) -> Option<Arc<Table>> {
        lock(&self.tables).get(key).cloned()
    }

    /// Every table, in a stable order.
    pub(crate) fn tables(&self) -> Vec<(TableKey, Arc<Table>)> {
        let mut tables: Vec<_> =
            lock(&self.tables).iter().map(|(key, table)| (key.clone(), Arc::clone(table))).collect();
        tables.sort_by(|left, right| left.0.cmp(&right.0));
        tables
    }

    /// Makes one table's small batches fewer and larger.
    pub(crate) fn fold(&self, table: &Table) {
        let folded = table.fold();
        self.bytes.fetch_add(folded.taken_bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(folded.freed_bytes, Ordering::Relaxed);
    }

    /// Makes the small batches of every table fewer and larger, and gives each its trace index.
    pub(crate) fn freeze(&self) {
        for (_, table) in self.tables() {
            self.fold(&table);
            for batch in table.batches() {
                batch.trace_index();
            }
        }
    }

    pub(crate) fn first_lsn(&self) -> Lsn {
        Lsn(self.after.0 + 1)
    }

    /// The newest position it covers; before its first one when there is none.
    pub(crate) fn last_lsn(&self) -> Lsn {
        Lsn(self.last.load(Ordering::Acquire))
    }

    /// Whether it covers no position; a position whose frame held no event counts as covered.
    pub(crate) fn is_empty(&self) -> bool {
        self.last_lsn() == self.after
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn rows(&self, signal: Signal) -> u64 {
        self.rows[signal as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn first_insert_unix_nanos(&self) -> Option<i64> {
        Some(self.first_insert_unix_nanos.load(Ordering::Relaxed)).filter(|nanos| *nanos != 0)
    }
}
