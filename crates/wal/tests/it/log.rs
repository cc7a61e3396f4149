//! What the log promises while nothing is damaged.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Lsn, Signal, TenantId, UnixNanos};
use proptest::prelude::*;
use runtime::ErrorKind;
use wal::{Format, Frame, ReaderName, Settings, SyncMode, Wal, WalError};

use crate::{fill, frame, lsns, open, read_all, segments, settings};

#[tokio::test]
async fn frames_come_back_as_they_were_appended_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let frames = [
        frame("one"),
        Frame { key_id: None, signal: Signal::Logs, format: Format::Json, ..frame("") },
        Frame { services: Some([String::new(), "cart".to_owned(), "größe".to_owned()].into()), ..frame("three") },
        Frame { services: Some(["s".repeat(60_000)].into()), key_id: None, ..frame("") },
        Frame { tenant: "acme_1".parse::<TenantId>().unwrap(), received_at: UnixNanos(-5), ..frame(vec![7; 20_000]) },
    ];
    let (wal, recovery) = open(dir.path());
    assert_eq!(recovery.next, Lsn(1));
    for frame in &frames {
        wal.append(frame.clone(), ()).await.unwrap();
    }
    let same = |wal: &Wal<()>| {
        let entries = read_all(wal);
        assert_eq!(lsns(&entries), [1, 2, 3, 4, 5]);
        assert!(entries.iter().map(|entry| &entry.frame).eq(&frames));
    };
    same(&wal);
    wal.close();

    let (wal, recovery) = open(dir.path());
    assert_eq!((recovery.next, recovery.frames), (Lsn(6), 5));
    assert_eq!((recovery.torn_tails, recovery.quarantined_segments), (0, 0));
    same(&wal);
    assert_eq!(wal.append(frame("six"), ()).await.unwrap(), Lsn(6));
    assert_eq!(lsns(&read_all(&wal)), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn restarting_without_writing_leaves_the_directory_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &[vec![1; 100]]).await;
    let before = segments(dir.path()).len();
    for _ in 0..10 {
        open(dir.path()).0.close();
    }
    assert!(segments(dir.path()).len() <= before + 1, "{:?}", segments(dir.path()));
}

#[tokio::test]
async fn a_reader_sees_new_frames_after_it_came_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    let mut reader = wal.reader(ReaderName::Detect);
    assert_eq!(reader.next().unwrap(), None);
    // large enough that frames go over several segments
    for round in 1..=6 {
        wal.append(frame(vec![round; 30_000]), ()).await.unwrap();
        assert_eq!(reader.next().unwrap().map(|entry| entry.lsn), Some(Lsn(u64::from(round))));
        assert_eq!(reader.next().unwrap(), None);
    }
    reader.seek(Lsn(2));
    assert_eq!(reader.next().unwrap().map(|entry| entry.lsn), Some(Lsn(3)));
}

#[tokio::test]
async fn segments_go_when_both_readers_have_finished_and_positions_never_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    for _ in 0..6 {
        wal.append(frame(vec![1; 30_000]), ()).await.unwrap();
    }
    let full_bytes = wal.bytes();
    wal.advance(ReaderName::Archive, Lsn(6)).unwrap();
    assert_eq!(wal.bytes(), full_bytes, "the other reader still needs everything");
    wal.advance(ReaderName::Detect, Lsn(3)).unwrap();
    assert!(wal.bytes() < full_bytes);
    let mut reader = wal.reader(ReaderName::Detect);
    assert_eq!(reader.next().unwrap().map(|entry| entry.lsn), Some(Lsn(4)));

    wal.advance(ReaderName::Detect, Lsn(1)).unwrap();
    assert_eq!(wal.cursor(ReaderName::Detect), Lsn(3), "a cursor does not go back");
    wal.advance(ReaderName::Detect, Lsn(99)).unwrap();
    assert_eq!(wal.cursor(ReaderName::Detect), Lsn(6), "nor past the end");
    wal.close();

    for _ in 0..3 {
        let (wal, recovery) = open(dir.path());
        assert_eq!(recovery.next, Lsn(7));
        assert_eq!(wal.end(), Lsn(6));
        assert_eq!((wal.cursor(ReaderName::Archive), wal.cursor(ReaderName::Detect)), (Lsn(6), Lsn(6)));
        assert!(read_all(&wal).is_empty());
        wal.close();
    }
    // not even when the cursor file is lost with all frames trimmed
    std::fs::remove_file(dir.path().join("cursors")).unwrap();
    let (wal, recovery) = open(dir.path());
    assert_eq!(recovery.next, Lsn(7));
    assert_eq!(wal.append(frame("seven"), ()).await.unwrap(), Lsn(7));
}

#[tokio::test]
async fn positions_begin_above_the_floor_when_the_directory_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { floor: Lsn(41), ..settings(dir.path()) };
    let (wal, recovery) = Wal::open(settings, |_, ()| {}).unwrap();
    assert_eq!(recovery.next, Lsn(42));
    assert_eq!(wal.append(frame("x"), ()).await.unwrap(), Lsn(42));
    assert_eq!(lsns(&read_all(&wal)), [42]);
}

#[tokio::test]
async fn a_full_budget_is_refused_until_readers_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    let mut kept = 0;
    let error = loop {
        match wal.append(frame(vec![2; 20_000]), ()).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(wal.bytes() <= 256 << 10);
    };
    assert!(kept >= 8, "{kept} frames of 20 kB in 256 KiB");
    assert!(matches!(error, WalError::Full { .. }), "{error}");
    assert!(error.kind().is_retryable() && wal.is_healthy() && !wal.has_room());
    assert_eq!(read_all(&wal).len(), kept, "what was acknowledged is there");

    let end = wal.end();
    for who in ReaderName::ALL {
        wal.advance(who, end).unwrap();
    }
    assert!(wal.has_room());
    wal.append(frame(vec![2; 20_000]), ()).await.unwrap();
    // the same after opening with a full log
    while wal.append(frame(vec![3; 20_000]), ()).await.is_ok() {}
    wal.close();
    let (wal, _) = open(dir.path());
    while wal.append(frame(vec![3; 2_000]), ()).await.is_ok() {}
    assert!(!wal.has_room());
    wal.advance(ReaderName::Archive, wal.end()).unwrap();
    wal.advance(ReaderName::Detect, wal.end()).unwrap();
    wal.append(frame(vec![3; 20_000]), ()).await.unwrap();
}

#[tokio::test]
async fn below_the_disk_reserve_appends_are_refused_and_retryable() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { reserve_bytes: u64::MAX, ..settings(dir.path()) };
    let (wal, _) = Wal::open(settings, |_, ()| {}).unwrap();
    assert!(!wal.has_room());
    let error = wal.append(frame("x"), ()).await.unwrap_err();
    assert!(matches!(error, WalError::Full { .. }) && wal.is_healthy(), "{error}");
}

#[tokio::test]
async fn frames_that_can_never_fit_are_refused_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    let error = wal.append(frame(vec![0; 64 << 10]), ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let long_key = Frame { key_id: Some("k".repeat(256).into()), ..frame("x") };
    assert_eq!(wal.append(long_key, ()).await.unwrap_err().kind(), ErrorKind::TooLarge);
    let long_list = Frame { services: Some(["s".repeat(65_535), String::new()].into()), ..frame("x") };
    assert_eq!(wal.append(long_list, ()).await.unwrap_err().kind(), ErrorKind::TooLarge);
    wal.append(frame("x"), ()).await.unwrap();
}

/// `on_durable` stands still on the first frame until the sender is dropped, and so the queue fills behind it.
fn open_held(settings: Settings) -> (Wal<()>, std::sync::mpsc::Sender<()>) {
    let (hold, held) = std::sync::mpsc::channel();
    let (wal, _) = Wal::open(settings, move |_, ()| {
        let _ = held.recv();
    })
    .unwrap();
    (wal, hold)
}

#[tokio::test]
async fn a_full_queue_is_refused_and_retryable() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, hold) = open_held(Settings { queue_bytes: 10_000, ..settings(dir.path()) });
    let first = wal.append(frame(vec![1; 6_000]), ());
    let second = wal.append(frame(vec![1; 6_000]), ());
    let (first, second) = futures_of(first, second, hold).await;
    first.unwrap();
    assert!(matches!(second, Err(WalError::QueueFull { limit_bytes: 10_000 })), "{second:?}");
    wal.append(frame(vec![1; 60_000]), ()).await.expect("a frame larger than the queue goes alone");
}

async fn futures_of<A: Future, B: Future>(
    first: A,
    second: B,
    hold: std::sync::mpsc::Sender<()>,
) -> (A::Output, B::Output) {
    let second = async {
        let result = second.await;
        drop(hold);
        result
    };
    tokio::join!(first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_appends_share_an_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, hold) = open_held(settings(dir.path()));
    // one frame occupies the writer; the other two hundred gather behind it
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..201 {
        let wal = wal.clone();
        appends.spawn(async move { wal.append(frame("x"), ()).await });
    }
    while wal.fsyncs() == 0 {
        tokio::task::yield_now().await;
    }
    drop(hold);
    while let Some(done) = appends.join_next().await {
        done.unwrap().unwrap();
    }
    assert!(wal.fsyncs() < 100, "{} fsyncs for 201 frames", wal.fsyncs());
    assert_eq!(read_all(&wal).len(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_durable_runs_in_order_of_position_and_before_the_append_resolves() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let settings = Settings { segment_bytes: 16 << 10, budget_bytes: 8 << 20, ..settings(dir.path()) };
    let (wal, _) = Wal::open(settings, move |lsn, who: (u32, u32)| sink.lock().unwrap().push((lsn, who))).unwrap();
    let mut appenders = tokio::task::JoinSet::new();
    for appender in 0..64_u32 {
        let (wal, seen) = (wal.clone(), Arc::clone(&seen));
        appenders.spawn(async move {
            for turn in 0..20_u32 {
                let payload = [appender.to_le_bytes(), turn.to_le_bytes()].concat();
                let lsn = wal.append(frame(payload), (appender, turn)).await.unwrap();
                assert!(seen.lock().unwrap().contains(&(lsn, (appender, turn))), "resolved before on_durable");
                assert!(wal.end() >= lsn);
            }
        });
    }
    while let Some(done) = appenders.join_next().await {
        done.unwrap();
    }
    let seen = seen.lock().unwrap();
    let positions: Vec<_> = seen.iter().map(|(lsn, _)| lsn.0).collect();
    assert_eq!(positions, (1..=1280).collect::<Vec<_>>());
    // the log holds the same frames in the same order
    for (entry, (lsn, (appender, turn))) in read_all(&wal).iter().zip(seen.iter()) {
        assert_eq!(entry.lsn, *lsn);
        assert_eq!(entry.frame.payload, [appender.to_le_bytes(), turn.to_le_bytes()].concat());
    }
}

#[tokio::test]
async fn interval_mode_answers_before_its_fsync_and_still_makes_it() {
    let dir = tempfile::tempdir().unwrap();
    let interval = SyncMode::Interval(Duration::from_secs(3600));
    let (wal, _) = Wal::open(Settings { sync: interval, ..settings(dir.path()) }, |_, ()| {}).unwrap();
    for _ in 0..20 {
        wal.append(frame("x"), ()).await.unwrap();
    }
    assert_eq!(wal.fsyncs(), 0);
    wal.close();
    let soon = SyncMode::Interval(Duration::from_millis(1));
    let (wal, recovery) = Wal::open(Settings { sync: soon, ..settings(dir.path()) }, |_, ()| {}).unwrap();
    assert_eq!(recovery.frames, 20);
    wal.append(frame("x"), ()).await.unwrap();
    // nothing more comes, and the fsync is made all the same
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while wal.fsyncs() == 0 {
        assert!(std::time::Instant::now() < deadline, "no fsync within ten seconds");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_closed_log_says_so_and_a_dropped_append_is_still_written() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    let other = wal.clone();
    {
        let append = std::pin::pin!(wal.append(frame("kept"), ()));
        // polled once, so that it is in the queue, and let go
        let _ = futures_poll_once(append).await;
    }
    wal.close();
    assert!(matches!(other.append(frame("late"), ()).await, Err(WalError::Closed)));
    drop(other);
    assert_eq!(read_all(&open(dir.path()).0).len(), 1);
}

async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

#[tokio::test]
async fn an_error_while_making_a_segment_stops_the_log_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let log_dir = dir.path().join("log");
    let (wal, _) = open(&log_dir);
    wal.append(frame(vec![1; 60_000]), ()).await.unwrap();
    std::fs::remove_dir_all(&log_dir).unwrap();
    std::fs::write(&log_dir, "in the way").unwrap();
    let error = wal.append(frame(vec![1; 60_000]), ()).await.unwrap_err();
    assert!(matches!(error, WalError::Failed { .. } | WalError::Full { .. }), "{error}");
    // the writer thread may still be on its way to the end
    while wal.is_healthy() {
        let _ = wal.append(frame(vec![1; 60_000]), ()).await;
    }
    assert!(matches!(wal.append(frame("x"), ()).await, Err(WalError::Failed { .. })));
    assert!(!wal.append(frame("x"), ()).await.unwrap_err().to_string().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_frames_round_trip(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9_000), 1..16)) {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(fill(dir.path(), &payloads));
        let (wal, _) = open(dir.path());
        let read: Vec<_> = read_all(&wal).into_iter().map(|entry| entry.frame.payload.to_vec()).collect();
        prop_assert_eq!(read, payloads);
    }
}
