//! Hand-over from memory to files, in many orders of its steps: no row is missed and none is seen twice.
//!
//! The scheduler of shuttle decides at every lock and every atomic who goes on (Burckhardt et al. 2010, "A randomized
//! scheduler with probabilistic guarantees of finding bugs"), so an order that fails is found again by its seed.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, DictionaryArray, RecordBatch, make_array, new_null_array};
use arrow::datatypes::{DataType, Field, Int32Type, UInt64Type};
use model::signal::SEQ;
use model::{EventBatch, Lsn, Signal, TenantId, UnixNanos};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use super::{Current, Version};
use crate::cover::Cover;
use crate::file_entry::FORMAT_VERSION;
use crate::{FileEntry, Level, Partition, Zone};

/// Batches that are inserted.
const BATCHES: u64 = 6;
/// Rows of each.
const ROWS: usize = 3;
/// Orders tried.
const ORDERS: usize = 2_000;
/// Points at which the scheduler changes its mind in one order.
const DEPTH: usize = 4;

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn batch(lsn: u64) -> EventBatch {
    let signal = Signal::Spans;
    let schema = signal.decoded_schema();
    let columns = schema.fields().iter().map(|field| zeros(field)).collect();
    let records = RecordBatch::try_new(schema, columns).unwrap();
    EventBatch { tenant: tenant(), signal, received_at: UnixNanos(0), lsn: Lsn(0), records }.placed(Lsn(lsn)).unwrap()
}

/// A column of zeros, empty texts and null labels; something in labels that must not be null.
fn zeros(field: &Field) -> ArrayRef {
    if matches!(field.data_type(), DataType::Dictionary(..)) && !field.is_nullable() {
        return Arc::new(DictionaryArray::<Int32Type>::from_iter(["something"; ROWS]));
    }
    let nulls = new_null_array(field.data_type(), ROWS);
    if field.is_nullable() {
        return nulls;
    }
    make_array(nulls.to_data().into_builder().nulls(None).build().unwrap())
}

/// A file with the rows of a range of positions, which its name and its log range tell.
fn file(from: Lsn, to: Lsn) -> Arc<FileEntry> {
    Arc::new(FileEntry {
        name: format!("{from}-{to}"),
        path: PathBuf::new(),
        cover: Cover::default(),
        tenant: tenant(),
        signal: Signal::Spans,
        level: Level::L0,
        partition: Partition::Odd,
        bytes: 0,
        index_bytes: 0,
        checksum_crc32c: 0,
        format_version: FORMAT_VERSION,
        min_lsn: from,
        max_lsn: to,
        created_unix_nanos: 0,
        zone: Zone { rows: (to.0 - from.0 + 1) * ROWS as u64, ..Zone::empty() },
    })
}

/// Every row that a reader of this version sees, by position.
fn seen(version: &Version) -> Vec<u64> {
    let key = (tenant(), Signal::Spans);
    let mut seen = Vec::new();
    for file in version.files.get(&key).into_iter().flat_map(|files| files.iter()) {
        seen.extend((file.min_lsn.0..=file.max_lsn.0).flat_map(|lsn| [lsn; ROWS]));
    }
    for generation in version.generations() {
        let Some(table) = generation.table(&key) else { continue };
        for frozen in table.batches() {
            let seqs = frozen.records().column_by_name(SEQ).unwrap().as_primitive::<UInt64Type>();
            seen.extend(seqs.values());
        }
    }
    seen.sort_unstable();
    seen
}

/// All that was inserted before the look, once; and nothing but a beginning of what is inserted.
fn assert_whole(seen: &[u64], inserted_before: u64) {
    let last = seen.last().copied().unwrap_or(0);
    let expected: Vec<u64> = (1..=last).flat_map(|lsn| [lsn; ROWS]).collect();
    assert_eq!(seen, expected);
    assert!(last >= inserted_before, "{last} of {inserted_before} seen");
}

fn hand_over() {
    let current = Arc::new(Current::new(Version::new(Lsn(0), [])));
    let inserted = Arc::new(AtomicU64::new(0));
    let inserter = {
        let (current, inserted) = (Arc::clone(&current), Arc::clone(&inserted));
        thread::spawn(move || {
            for lsn in 1..=BATCHES {
                current.insert(batch(lsn), 1).unwrap();
                inserted.store(lsn, Ordering::SeqCst);
            }
        })
    };
    let flusher = {
        let current = Arc::clone(&current);
        thread::spawn(move || {
            for _ in 0..3 {
                let Some(sealed) = current.seal() else { continue };
                // a look between sealing and swapping, as a query may have it
                let written = file(sealed.first_lsn(), sealed.last_lsn());
                thread::yield_now();
                current.replace(|version| version.with_flushed([written], sealed.last_lsn()));
            }
        })
    };
    let freezer = {
        let current = Arc::clone(&current);
        thread::spawn(move || {
            for _ in 0..3 {
                let version = current.version();
                for generation in version.generations() {
                    generation.tables().iter().for_each(|(_, table)| generation.fold(table));
                }
            }
        })
    };
    let merger = {
        let current = Arc::clone(&current);
        thread::spawn(move || {
            let inputs: Vec<_> = current.version().all_files().cloned().collect();
            let range = (inputs.iter().map(|file| file.min_lsn).min(), inputs.iter().map(|file| file.max_lsn).max());
            if let (Some(from), Some(to)) = range {
                thread::yield_now();
                current.replace(|version| version.with_merged(&inputs, file(from, to)));
            }
        })
    };
    for _ in 0..4 {
        let before = inserted.load(Ordering::SeqCst);
        assert_whole(&seen(&current.version()), before);
    }
    for part in [inserter, flusher, freezer, merger] {
        part.join().unwrap();
    }
    assert_whole(&seen(&current.version()), BATCHES);
}

#[test]
fn no_row_is_missed_or_doubled_in_any_order_of_hand_over() {
    shuttle::check_random(hand_over, ORDERS);
    shuttle::check_pct(hand_over, ORDERS, DEPTH);
}
