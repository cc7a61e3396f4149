//! Events in memory: visible at once, to their tenant only, and found by trace.

use lake::{Settings, Snapshot};
use model::{Signal, TimeRange};

use crate::support::*;

#[tokio::test]
async fn an_insert_is_in_the_next_snapshot() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=50 {
        lake.insert(spans(lsn, &events(NOW, 3)));
        assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=lsn, 3));
    }
    assert_eq!(all(&lake, Signal::Logs).rows(), 0);
    assert_eq!(lake.mark().0, 0);
}

#[tokio::test]
async fn many_small_inserts_become_few_batches() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=1_000 {
        lake.insert(spans(lsn, &events(NOW, 1)));
        if lsn % 7 == 0 {
            all(&lake, Signal::Spans);
        }
    }
    let snapshot = all(&lake, Signal::Spans);
    assert_eq!(positions(&snapshot), whole(1..=1_000, 1));
    assert!(snapshot.batches.len() <= 14, "{} batches", snapshot.batches.len());
    let order: Vec<_> = snapshot.batches.iter().flat_map(positions_in).collect();
    assert!(order.is_sorted(), "newest last");
}

#[tokio::test]
async fn a_snapshot_does_not_change() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 2)));
    let snapshot = all(&lake, Signal::Spans);
    lake.insert(spans(2, &events(NOW, 2)));
    lake.flush().await.unwrap();
    assert_eq!(positions(&snapshot), whole([1], 2));
}

#[tokio::test]
async fn two_tenants_do_not_see_each_other() {
    let place = Place::new();
    let lake = place.open().await;
    let (left, right) = (tenant("left"), tenant("right"));
    lake.insert(batch(&left, Signal::Spans, 1, &events(NOW, 4)));
    lake.insert(batch(&right, Signal::Spans, 2, &events(NOW, 6)));
    for flushed in [false, true] {
        assert_eq!(positions(&lake.snapshot(&left, Signal::Spans, TimeRange::ALL)), whole([1], 4));
        assert_eq!(positions(&lake.snapshot(&right, Signal::Spans, TimeRange::ALL)), whole([2], 6));
        assert_eq!(lake.snapshot(&acme(), Signal::Spans, TimeRange::ALL).rows(), 0);
        let ours = lake.snapshot(&left, Signal::Spans, TimeRange::ALL).files;
        assert!(ours.iter().all(|file| file.tenant == left && file.name.starts_with("left/")));
        if !flushed {
            lake.flush().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_rows_of_a_trace_are_found_without_a_scan() {
    let place = Place::new();
    let lake = place.open().await;
    let wanted = Event { time: NOW, trace: 77 };
    for lsn in 1..=20 {
        let mut events = events(NOW, 30);
        events[lsn as usize] = wanted;
        lake.insert(spans(lsn * 2 - 1, &events));
        lake.insert(logs(lsn * 2, &events));
    }
    let found = |snapshot: &Snapshot| -> Vec<Position> {
        snapshot.batches_with_trace(trace(77)).unwrap().iter().flat_map(positions_in).collect()
    };
    let snapshot = all(&lake, Signal::Spans);
    let wanted: Vec<Position> = (1..=20).map(|lsn| (lsn * 2 - 1, lsn as u32)).collect();
    assert_eq!(found(&snapshot), wanted, "newest last");
    // every fourth log record of a test batch has no trace id
    let wanted: Vec<Position> = (1..=20).filter(|lsn| lsn % 4 != 0).map(|lsn| (lsn * 2, lsn as u32)).collect();
    assert_eq!(found(&all(&lake, Signal::Logs)), wanted);
    assert_eq!(snapshot.batches_with_trace(trace(78)).unwrap().len(), 0);
}

#[tokio::test]
async fn batches_outside_the_range_are_left_out() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 10)));
    let before = TimeRange { start: NOW.plus(-10), end: NOW };
    let first = TimeRange { start: NOW, end: NOW.plus(1) };
    assert_eq!(lake.snapshot(&acme(), Signal::Spans, before).rows(), 0);
    assert_eq!(lake.snapshot(&acme(), Signal::Spans, first).rows(), 10);
    lake.flush().await.unwrap();
    assert_eq!(lake.snapshot(&acme(), Signal::Spans, before).files.len(), 0);
    assert_eq!(lake.snapshot(&acme(), Signal::Spans, first).files.len(), 1);
}

#[tokio::test]
async fn fullness_is_told_by_bytes_and_age() {
    let place = Place::new();
    let limits = Settings { memtable_limit_bytes: 1 << 20, flush_bytes: 1 << 19, ..place.settings() };
    let lake = place.open_with(limits).await;
    assert!(!lake.wants_flush());
    lake.insert(spans(1, &events(NOW, 5)));
    assert!(!lake.wants_flush() && !lake.is_full());
    place.clock.advance(lake.settings().flush_interval);
    assert!(lake.wants_flush(), "the event has waited long enough");
    lake.flush().await.unwrap();
    assert!(!lake.wants_flush());
    assert_eq!(lake.memtable_bytes(), 0);
    let mut lsn = 1;
    while !lake.is_full() {
        lsn += 1;
        lake.insert(spans(lsn, &events(NOW, 500)));
        assert!(lsn < 100, "half a megabyte of events never fills the memtable");
    }
    assert!(lake.wants_flush());
    lake.flush().await.unwrap();
    assert!(!lake.is_full() && !lake.wants_flush());
    assert_eq!(all(&lake, Signal::Spans).rows(), 5 + (lsn - 1) * 500);
}

#[tokio::test]
async fn memory_accounting_returns_to_zero_through_freezing() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=200 {
        lake.insert(spans(lsn, &events(NOW, 10)));
    }
    let loose_bytes = lake.memtable_bytes();
    all(&lake, Signal::Spans);
    assert!(lake.memtable_bytes() < loose_bytes, "joining drops repeated labels");
    assert!(lake.memtable_bytes() > 0);
    assert_eq!(lake.stats().signals[0].memtable_rows, 2_000);
    lake.flush().await.unwrap();
    assert_eq!(lake.memtable_bytes(), 0);
    assert_eq!(lake.stats().signals[0].memtable_rows, 0);
}

#[tokio::test]
async fn the_work_may_move_between_threads() {
    fn movable<T: Send>(work: T) -> T {
        work
    }
    let place = Place::new();
    let settings = place.settings();
    let lake = movable(lake::Lake::open(settings, place.database().await, place.clock.clone())).await.unwrap();
    movable(lake.flush()).await.unwrap();
    movable(lake.retain()).await.unwrap();
    movable(lake.sweep_orphans()).await.unwrap();
    drop(movable(lake.keep_frozen(runtime::Stop::new())));
}
