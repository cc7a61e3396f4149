//! Inserting, flushing, freezing and reading all at once: each row is seen exactly once at every moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::Signal;
use runtime::Stop;
use tokio::runtime::Handle;

use crate::support::*;

const BATCHES: u64 = 600;
const ROWS: u32 = 7;

/// Ends the other threads however this one ends, so that a failed assertion is a failed test and not a test without end.
struct Ending<'a> {
    done: &'a AtomicBool,
    stop: &'a Stop,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        self.stop.ask();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_is_missed_or_doubled_while_everything_happens() {
    let place = Place::new();
    let lake = place.open().await;
    let inserted = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let handle = Handle::current();
    let stop = Stop::new();
    let snapshots = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let _ending = Ending { done: &done, stop: &stop };
            scope.spawn(|| handle.block_on(lake.keep_frozen(stop.clone())));
            let flusher = scope.spawn(|| {
                let mut flushes = 0;
                while !done.load(Ordering::SeqCst) {
                    handle.block_on(lake.flush()).unwrap();
                    flushes += 1;
                }
                flushes
            });
            let reader = || {
                let mut snapshots = 0;
                let mut is_last = false;
                while !is_last {
                    is_last = done.load(Ordering::SeqCst);
                    let before = inserted.load(Ordering::SeqCst);
                    let snapshot = all(&lake, Signal::Spans);
                    let after = inserted.load(Ordering::SeqCst);
                    let found = positions(&snapshot);
                    let through = found.len() as u64 / u64::from(ROWS);
                    assert!(before <= through && through <= after + 1, "{before} <= {through} <= {after} + 1");
                    assert_eq!(found, whole(1..=through, ROWS), "each row exactly once");
                    snapshots += 1;
                }
                snapshots
            };
            let readers = [scope.spawn(reader), scope.spawn(reader)];
            for lsn in 1..=BATCHES {
                lake.insert(spans(lsn, &events(NOW, ROWS as usize)));
                inserted.store(lsn, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
            let snapshots: u64 = readers.map(|reader| reader.join().unwrap()).into_iter().sum();
            assert!(flusher.join().unwrap() > 0);
            snapshots
        })
    });
    assert!(snapshots >= 4);
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole(1..=BATCHES, ROWS));
    lake.flush().await.unwrap();
    drop(lake);
    assert_eq!(positions(&all(&place.open().await, Signal::Spans)), whole(1..=BATCHES, ROWS));
}
