//! Crashes and refusals at each step of a flush, and damage between two starts.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, RecordBatch};
use lake::{LakeError, Wanted};
use model::signal::{self, span};
use model::{EventBatch, Lsn, Signal};
use runtime::ErrorKind;

use crate::support::*;

/// Makes the commit of a flush fail after its files have their names.
const REFUSE: &str = "create trigger refuse before insert on lake_mark begin select raise(abort, 'refused'); end";
const ALLOW: &str = "drop trigger refuse";

#[tokio::test]
async fn reopening_finds_the_same_rows() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 5)));
    lake.insert(logs(2, &events(NOW, 6)));
    lake.flush().await.unwrap();
    lake.insert(spans(3, &events(NOW, 7)));
    drop(lake);
    let lake = place.open().await;
    assert_eq!(lake.mark(), Lsn(2));
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole([1], 5), "3 was in memory only; the log has it");
    assert_eq!(positions(&all(&lake, Signal::Logs)), whole([2], 6));
}

#[tokio::test]
async fn replayed_batches_at_or_below_the_mark_are_ignored() {
    let place = Place::new();
    let lake = place.open().await;
    let replay = |lake: &lake::Lake| (1..=6).for_each(|lsn| lake.insert(spans(lsn, &events(NOW, 4))));
    replay(&lake);
    lake.flush().await.unwrap();
    replay(&lake);
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=6, 4));
    drop(lake);
    let lake = place.open().await;
    replay(&lake);
    lake.insert(spans(7, &events(NOW, 4)));
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=7, 4));
    assert_eq!(lake.flush().await.unwrap(), Lsn(7));
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=7, 4));
}

#[tokio::test]
async fn a_temporary_file_is_swept() {
    let place = Place::new();
    drop(place.open().await);
    let left = place.lake_dir().join(".tmp/acme.spans.2026-11-22T14.0000000000000001-0000000000000009.parquet");
    std::fs::write(&left, b"half a file").unwrap();
    let lake = place.open().await;
    assert!(!left.exists());
    std::fs::write(&left, b"half a file").unwrap();
    assert_eq!(lake.sweep_orphans().await.unwrap(), 1);
    assert!(!left.exists());
}

#[tokio::test]
async fn a_file_renamed_but_not_committed_is_swept_and_its_rows_come_back_by_replay() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 5)));
    lake.flush().await.unwrap();
    place.meddle(REFUSE).await;
    lake.insert(spans(2, &events(NOW, 5)));
    let error = lake.flush().await.unwrap_err();
    assert!(matches!(error, LakeError::Catalog { .. }));
    assert!(error.kind().is_retryable());
    assert_eq!(files_below(&place.lake_dir()).len(), 2, "the crash comes between rename and commit");
    drop(lake);
    place.meddle(ALLOW).await;
    let lake = place.open().await;
    assert_eq!(files_below(&place.lake_dir()).len(), 1);
    assert_eq!(lake.mark(), Lsn(1));
    lake.insert(spans(2, &events(NOW, 5)));
    lake.insert(spans(3, &events(NOW, 5)));
    lake.flush().await.unwrap();
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=3, 5));
}

#[tokio::test]
async fn a_refused_commit_keeps_rows_visible_and_is_tried_again() {
    let place = Place::new();
    let lake = place.open().await;
    place.meddle(REFUSE).await;
    lake.insert(spans(1, &events(NOW, 5)));
    assert!(lake.flush().await.is_err());
    lake.insert(spans(2, &events(NOW, 5)));
    assert!(lake.wants_flush());
    assert_eq!(lake.mark(), Lsn(0));
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=2, 5));
    assert!(lake.flush().await.is_err());
    place.meddle(ALLOW).await;
    assert_eq!(lake.flush().await.unwrap(), Lsn(2), "the failed part, then what came since");
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=2, 5));
    assert_eq!(all(&lake, Signal::Spans).batches.len(), 0);
    assert!(!lake.wants_flush());
}

#[tokio::test]
async fn a_commit_reported_as_failed_that_is_there_is_adopted() {
    let place = Place::new();
    let lake = place.open().await;
    place.meddle(REFUSE).await;
    lake.insert(spans(1, &events(NOW, 5)));
    assert!(lake.flush().await.is_err());
    place.meddle(ALLOW).await;
    // somebody else brings the same files and the same mark into the catalog, as the lost answer's commit would have
    let other = place.open().await;
    other.insert(spans(1, &events(NOW, 5)));
    other.flush().await.unwrap();
    assert_eq!(lake.flush().await.unwrap(), Lsn(1));
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole([1], 5));
    assert_eq!(all(&lake, Signal::Spans).batches.len(), 0);
}

/// The same batch, each row of it the child of a row of the batch at `parents`, which has the same events.
fn children_of(parents: u64, batch: EventBatch) -> EventBatch {
    let of_parents = spans(parents, &events(NOW, batch.records.num_rows())).records;
    let ids = of_parents.column_by_name(signal::SPAN_ID).unwrap().as_fixed_size_binary();
    let rows = ids.len();
    // its neighbour, which is of another service and, five to a trace, of the same trace
    let parents = (0..rows).map(|row| ids.value(row / 5 * 5 + (row + 1) % 5));
    let parents = FixedSizeBinaryArray::try_from_iter(parents).unwrap();
    let schema = batch.records.schema();
    let mut columns = batch.records.columns().to_vec();
    columns[schema.index_of(span::PARENT_SPAN_ID).unwrap()] = Arc::new(parents);
    EventBatch { records: RecordBatch::try_new(schema, columns).unwrap(), ..batch }
}

/// Calls between services that the rows in memory come to.
fn calls_in_memory(lake: &lake::Lake) -> i64 {
    let mut snapshot = all(lake, Signal::Spans);
    snapshot.files.clear();
    let mut calls = 0;
    let range = snapshot.range;
    let read = snapshot.roll_up(&range, Wanted::Figures, &|| true, &mut |rollup| {
        let inside = rollup.calls.iter().filter(|(call, _)| !call.is_outside);
        calls += inside.flat_map(|(_, cells)| cells).map(|cell| cell.count).sum::<i64>();
        true
    });
    read.unwrap();
    calls
}

#[tokio::test]
async fn calls_are_counted_across_a_commit_that_was_reported_as_failed() {
    let mut counted = Vec::new();
    for is_reported_as_failed in [false, true] {
        let place = Place::new();
        let lake = place.open().await;
        lake.insert(spans(1, &events(NOW, 20)));
        if is_reported_as_failed {
            place.meddle(REFUSE).await;
            assert!(lake.flush().await.is_err());
            place.meddle(ALLOW).await;
            let other = place.open().await;
            other.insert(spans(1, &events(NOW, 20)));
            other.flush().await.unwrap();
        }
        lake.flush().await.unwrap();
        lake.insert(children_of(1, spans(2, &events(NOW, 20))));
        counted.push(calls_in_memory(&lake));
    }
    assert!(counted[0] > 0 && counted[0] == counted[1], "{counted:?}");
}

#[tokio::test]
async fn counting_ends_when_whoever_asked_does_not_want_it_any_more() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 20_000)));
    let snapshot = all(&lake, Signal::Spans);
    for looks in 0..3 {
        let left = Cell::new(looks);
        let goes_on = || left.replace(left.get() - 1) > 0;
        let mut taken = 0;
        let read = snapshot.roll_up(&snapshot.range, Wanted::Figures, &goes_on, &mut |_| {
            taken += 1;
            true
        });
        assert!(read.is_ok() && taken == 0 && left.get() == -1, "{looks}: {taken} taken");
    }
}

#[tokio::test]
async fn a_flush_whose_caller_gives_up_at_any_point_harms_nothing() {
    let place = Place::new();
    let lake = place.open().await;
    for patience in 1..=30 {
        lake.insert(spans(patience, &events(NOW, 50)));
        let give_up = async {
            for _ in 0..patience * patience {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = give_up => {}
            flushed = lake.flush() => { flushed.unwrap(); }
        }
        assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=patience, 50));
    }
    assert_eq!(lake.flush().await.unwrap(), Lsn(30));
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=30, 50));
    assert_eq!(positions(&all(&place.open().await, Signal::Spans)), whole(1..=30, 50));
}

#[tokio::test]
async fn a_disk_that_refuses_keeps_rows_in_memory() {
    let place = Place::new();
    let lake = place.open().await;
    let blocker = place.lake_dir().join("acme");
    std::fs::write(&blocker, b"a file where a directory has to be").unwrap();
    lake.insert(spans(1, &events(NOW, 5)));
    let error = lake.flush().await.unwrap_err();
    assert!(matches!(error, LakeError::Disk { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole([1], 5));
    std::fs::remove_file(&blocker).unwrap();
    assert_eq!(lake.flush().await.unwrap(), Lsn(1));
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole([1], 5));
}

#[tokio::test]
async fn missing_and_short_files_are_quarantined_and_the_rest_is_served() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=3 {
        lake.insert(spans(lsn, &events(NOW, 5)));
        lake.flush().await.unwrap();
    }
    let path_of = |lsn: u64| {
        let file = all(&lake, Signal::Spans).files.iter().find(|file| file.max_lsn == Lsn(lsn)).unwrap().clone();
        file.path.clone()
    };
    let (missing, short) = (path_of(1), path_of(2));
    let kept = std::fs::read(&missing).unwrap();
    std::fs::remove_file(&missing).unwrap();
    std::fs::write(&short, b"short").unwrap();
    drop(lake);
    for _ in 0..2 {
        let lake = place.open().await;
        assert_eq!(lake.stats().quarantined_files, 2);
        assert_eq!(positions(&all(&lake, Signal::Spans)), whole([3], 5));
        assert_eq!(lake.mark(), Lsn(3));
        assert!(short.exists(), "what is left of it is kept for a person to look at");
    }
    std::fs::write(&missing, kept).unwrap();
    let lake = place.open().await;
    assert_eq!(lake.stats().quarantined_files, 1);
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole([1, 3], 5), "a file that came back is served again");
    place.clock.advance(80 * HOUR);
    assert_eq!(lake.retain().await.unwrap(), 3);
    assert_eq!(lake.stats().quarantined_files, 0);
}

#[tokio::test]
async fn a_lost_catalog_does_not_cost_the_files() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=2 {
        lake.insert(spans(lsn, &events(NOW, 5)));
        lake.flush().await.unwrap();
    }
    drop(lake);
    for name in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        let _ = std::fs::remove_file(place.dir.path().join(name));
    }
    let lake = place.open().await;
    assert_eq!(lake.mark(), Lsn(0));
    assert_eq!(files_below(&place.lake_dir()).len(), 2);
}

#[tokio::test]
async fn wrong_settings_are_refused() {
    let place = Place::new();
    let wrong = lake::Settings { memtable_limit_bytes: u64::MAX, ..place.settings() };
    let refused = lake::Lake::open(wrong, place.database().await, place.clock.clone()).await;
    assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Invalid));
}
