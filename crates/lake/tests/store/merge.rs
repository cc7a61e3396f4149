//! Merging files: the same rows in fewer files, whatever happens in between.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use lake::{Lake, LakeError, Level, SliceIndex};
use model::signal::{self, span};
use model::{Signal, TraceId};

use crate::support::*;

/// Flushes of spans and logs, of traces that go on from one to the next, the first `count` of an hour.
async fn flushed(place: &Place, count: u64, rows: usize) -> Lake {
    let lake = place.open().await;
    for flush in 0..count {
        let start = NOW.plus(flush as i64 * 1_000_000_000);
        let events: Vec<Event> = (0..rows)
            .map(|row| Event { time: start.plus(row as i64 * 1_000), trace: (flush * rows as u64 + row as u64) / 7 })
            .collect();
        lake.insert(spans(flush * 2 + 1, &events));
        lake.insert(logs(flush * 2 + 2, &events));
        lake.flush().await.unwrap();
    }
    lake
}

async fn merge_all(lake: &Lake) -> usize {
    let mut merges = 0;
    while lake.compact_once().await.unwrap() {
        merges += 1;
        assert!(merges < 100, "it comes to an end");
    }
    merges
}

/// Every row of a signal in its stored schema.
fn rows(lake: &Lake, signal: Signal) -> RecordBatch {
    concat_batches(&signal.stored_schema(), &rows_of(&all(lake, signal))).unwrap()
}

fn without_trees(records: &RecordBatch) -> RecordBatch {
    let schema = records.schema();
    let kept: Vec<usize> = (0..schema.fields().len())
        .filter(|index| !span::TREE.contains(&schema.field(*index).name().as_str()))
        .collect();
    records.project(&kept).unwrap()
}

#[tokio::test]
async fn merged_files_hold_every_column_of_every_row() {
    let place = Place::new();
    let lake = flushed(&place, 10, 3_000).await;
    let before = Signal::ALL.map(|signal| rows(&lake, signal));
    assert_eq!(all(&lake, Signal::Spans).files.len(), 10);
    assert_eq!(merge_all(&lake).await, 2, "one per signal");
    // the first time in an open lake, then as the catalog remembers it
    for lake in [lake, place.open().await] {
        for (signal, before) in Signal::ALL.into_iter().zip(&before) {
            let snapshot = all(&lake, signal);
            assert_eq!(snapshot.files.len(), 1);
            assert_eq!(snapshot.files[0].level, Level::L1);
            assert_same_rows(&without_trees(before), &without_trees(&rows(&lake, signal)));
        }
        assert_in_slices(&all(&lake, Signal::Spans).files[0].path);
    }
}

#[tokio::test]
async fn an_hour_that_is_over_ends_as_one_file_of_level_2() {
    let place = Place::new();
    let lake = flushed(&place, 3, 500).await;
    assert_eq!(merge_all(&lake).await, 0, "three files of an hour that goes on are left alone");
    place.clock.advance(2 * HOUR);
    assert_eq!(merge_all(&lake).await, 2);
    let file = all(&lake, Signal::Spans).files[0].clone();
    assert_eq!((file.level, file.zone.rows), (Level::L2, 1_500));
    assert_eq!(file.name, format!("acme/spans/2026-11-22T14/{:016x}-{:016x}.l2.parquet", 1, 6));
    file.verify().unwrap();
    assert_eq!(merge_all(&lake).await, 0);
}

#[tokio::test]
async fn the_index_finds_every_trace_of_a_merged_file() {
    let place = Place::new();
    let lake = flushed(&place, 8, 6_000).await;
    merge_all(&lake).await;
    let file = all(&lake, Signal::Spans).files[0].clone();
    let index = SliceIndex::open(&file).unwrap();
    let records = read_file(&file.path);
    let records = concat_batches(&records[0].schema(), &records).unwrap();
    let ids = records.column_by_name(signal::TRACE_ID).unwrap().as_fixed_size_binary();
    for row in 0..records.num_rows() {
        let trace = TraceId::from_slice(ids.value(row)).unwrap();
        assert!(index.rows_of(&[trace]).iter().any(|range| range.contains(&(row as u64))), "row {row}");
    }
    assert!(index.rows_of(&[TraceId([9; 16])]).is_empty());
}

#[tokio::test]
async fn trees_are_numbered_over_the_files_that_were_merged() {
    let place = Place::new();
    let lake = flushed(&place, 8, 700).await;
    let is_null = |records: &RecordBatch| records.column_by_name(span::DEPTH).unwrap().null_count();
    let before = rows(&lake, Signal::Spans);
    assert_eq!(is_null(&before), before.num_rows());
    merge_all(&lake).await;
    let after = rows(&lake, Signal::Spans);
    let column = |name: &str| after.column_by_name(name).unwrap().as_primitive::<Int32Type>().clone();
    let [left, right, depth] = span::TREE.map(column);
    let ids = after.column_by_name(signal::TRACE_ID).unwrap().as_fixed_size_binary();
    let mut numbers: HashMap<&[u8], Vec<i32>> = HashMap::new();
    for row in 0..after.num_rows() {
        if left.is_valid(row) {
            assert!(left.value(row) < right.value(row) && depth.value(row) >= 0);
            numbers.entry(ids.value(row)).or_default().extend([left.value(row), right.value(row)]);
        }
    }
    assert!(is_null(&after) < after.num_rows());
    for found in numbers.values_mut() {
        found.sort_unstable();
        assert!(found.iter().copied().eq(1..=found.len() as i32), "each number of a trace once: {found:?}");
    }
}

#[tokio::test]
async fn a_held_snapshot_reads_the_files_that_were_merged() {
    let place = Place::new();
    let lake = flushed(&place, 8, 50).await;
    let held = all(&lake, Signal::Spans);
    let before = positions(&held);
    merge_all(&lake).await;
    place.clock.advance(2 * lake.settings().unlink_grace);
    lake.retain().await.unwrap();
    assert_eq!(positions(&held), before);
    assert_eq!(positions(&all(&lake, Signal::Spans)), before);
    drop(held);
    lake.retain().await.unwrap();
    assert_eq!(files_below(&place.lake_dir()).len(), 2, "one file per signal is left");
}

#[tokio::test]
async fn a_merge_that_was_not_committed_is_swept() {
    let place = Place::new();
    let lake = flushed(&place, 8, 50).await;
    let before = positions(&all(&lake, Signal::Spans));
    place.meddle("create trigger refuse before insert on lake_files begin select raise(abort, 'refused'); end").await;
    let error = lake.compact_once().await.unwrap_err();
    assert!(matches!(error, LakeError::Catalog { .. }), "{error}");
    assert_eq!(positions(&all(&lake, Signal::Spans)), before);
    assert_eq!(files_below(&place.lake_dir()).len(), 17, "the crash comes between rename and commit");
    drop(lake);
    place.meddle("drop trigger refuse").await;
    let lake = place.open().await;
    assert_eq!(files_below(&place.lake_dir()).len(), 16);
    assert_eq!(positions(&all(&lake, Signal::Spans)), before);
    merge_all(&lake).await;
    assert_eq!(positions(&all(&lake, Signal::Spans)), before);
}

#[tokio::test]
async fn an_input_that_retention_took_stays_gone() {
    let place = Place::new();
    let lake = flushed(&place, 8, 50).await;
    place.meddle("update lake_files set state = 'retired' where level = 0 and min_lsn = 1").await;
    let error = lake.compact_once().await.unwrap_err();
    assert!(matches!(error, LakeError::Superseded { .. }), "{error}");
    assert_eq!(files_below(&place.lake_dir()).len(), 16, "what was merged is removed");
}

#[tokio::test]
async fn a_damaged_input_is_named_and_nothing_is_replaced() {
    let place = Place::new();
    let lake = flushed(&place, 8, 500).await;
    let files = all(&lake, Signal::Spans).files;
    let bytes = std::fs::read(&files[3].path).unwrap();
    std::fs::write(&files[3].path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(lake.compact_once().await.unwrap(), "logs come first");
    let error = lake.compact_once().await.unwrap_err();
    assert!(error.to_string().contains(&files[3].name), "{error}");
    assert_eq!(all(&lake, Signal::Spans).files.len(), 7, "damaged, so it is out of sight");
    assert!(files_below(&place.lake_dir().join(".tmp")).is_empty());
    place.clock.advance(2 * HOUR);
    assert!(lake.compact_once().await.unwrap(), "the logs of the hour that is over");
    assert_eq!(merge_all(&lake).await, 2, "the others are merged around it");
    let levels: Vec<_> = all(&lake, Signal::Spans).files.iter().map(|file| (file.level, file.zone.rows)).collect();
    assert_eq!(levels, [(Level::L2, 1_500), (Level::L2, 2_000)]);
    assert_eq!(all(&lake, Signal::Spans).missing[0].name, files[3].name);
}

#[tokio::test]
async fn flushes_go_on_beside_merges() {
    let place = Place::new();
    let lake = flushed(&place, 8, 5_000).await;
    let flushing = async {
        for lsn in 17..=40 {
            lake.insert(spans(lsn, &events(NOW, 20)));
            lake.flush().await.unwrap();
        }
    };
    tokio::join!(merge_all(&lake), flushing);
    assert!(merge_all(&lake).await <= 8);
    let expected = whole((1..=15).step_by(2), 5_000).into_iter().chain(whole(17..=40, 20));
    assert_eq!(positions(&all(&lake, Signal::Spans)), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_merge_whose_commit_was_reported_as_failed_is_taken_up() {
    let place = Place::new();
    let lake = flushed(&place, 8, 50).await;
    let before = positions(&all(&lake, Signal::Logs));
    // the catalog goes back to before the merge, is opened, and has the merge again without the opened one being told
    assert!(lake.compact_once().await.unwrap(), "logs come first");
    let merged = all(&lake, Signal::Logs).files[0].clone();
    place.meddle("update lake_files set state = 'live' where signal = 'logs' and level = 0").await;
    place.meddle("update lake_files set state = 'retired' where signal = 'logs' and level = 1").await;
    let unaware = place.open().await;
    assert_eq!(all(&unaware, Signal::Logs).files.len(), 8);
    place.meddle("update lake_files set state = 'retired' where signal = 'logs' and level = 0").await;
    place.meddle("update lake_files set state = 'live' where signal = 'logs' and level = 1").await;
    assert!(unaware.compact_once().await.unwrap());
    let found = all(&unaware, Signal::Logs);
    assert_eq!(found.files.iter().map(|file| &file.name).collect::<Vec<_>>(), [&merged.name]);
    assert_eq!(positions(&found), before, "the file is not removed as one that nobody knows");
}
