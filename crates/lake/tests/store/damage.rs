//! Bytes that change on disk are found, named, and answer nothing; and only one may write.

use std::fs;
use std::path::Path;

use lake::{Inspection, LakeError, SliceIndex, Standing};
use model::Signal;
use model::time::NANOS_PER_SEC;
use runtime::KeyRing;

use crate::support::*;

/// Changes one bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn the_scrubber_finds_a_changed_bit_and_snapshots_name_the_file() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=3 {
        lake.insert(spans(lsn, &events(NOW.plus(lsn as i64 * NANOS_PER_SEC), 20)));
        lake.flush().await.unwrap();
    }
    let damaged = all(&lake, Signal::Spans).files[1].clone();
    flip(&damaged.path);
    assert_eq!(lake.scrub_once().await.unwrap(), None, "nothing is due yet");
    place.clock.advance(24 * HOUR);
    while lake.scrub_once().await.unwrap().is_some() {}
    for _ in 0..2 {
        let snapshot = all(&lake, Signal::Spans);
        assert_eq!(positions(&snapshot), whole([1, 3], 20));
        assert_eq!(snapshot.missing, std::slice::from_ref(&damaged));
        assert!(all(&lake, Signal::Logs).missing.is_empty());
        assert_eq!(lake.stats().quarantined_files, 1);
    }
    // the length is right, so only reading it whole tells
    let reopened = place.open().await;
    assert_eq!(all(&reopened, Signal::Spans).missing.len(), 1, "still damaged after a restart");
    flip(&damaged.path);
    let reopened = place.open().await;
    assert_eq!(positions(&all(&reopened, Signal::Spans)), whole(1..=3, 20), "put back from a copy");
}

#[tokio::test]
async fn no_flip_and_no_cut_goes_unseen() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 300)));
    lake.flush().await.unwrap();
    let file = all(&lake, Signal::Spans).files[0].clone();
    let whole = fs::read(&file.path).unwrap();
    for round in 0..500 {
        let mut bytes = whole.clone();
        let at = round * 7_919 % bytes.len();
        match round % 5 {
            0 => bytes.truncate(at),
            _ => bytes[at] ^= 1 << (round % 8),
        }
        fs::write(&file.path, bytes).unwrap();
        let error = lake.check_again(&file).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains(&file.name), "round {round}: {error}");
    }
    fs::write(&file.path, whole).unwrap();
    lake.check_again(&file).unwrap();
}

#[tokio::test]
async fn a_merge_reads_no_damaged_rows() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=8 {
        lake.insert(spans(lsn, &events(NOW, 200)));
        lake.flush().await.unwrap();
    }
    drop(lake);
    let lake = place.open().await;
    let damaged = all(&lake, Signal::Spans).files[4].clone();
    flip(&damaged.path);
    let error = lake.compact_once().await.unwrap_err();
    assert!(matches!(error, LakeError::Checksum { .. }), "{error}");
    let snapshot = all(&lake, Signal::Spans);
    assert_eq!((snapshot.files.len(), snapshot.missing.len()), (7, 1));
}

#[tokio::test]
async fn whoever_opened_it_before_cannot_write_any_more() {
    let place = Place::new();
    let old = place.open().await;
    old.insert(spans(1, &events(NOW, 5)));
    let new = place.open().await;
    assert!(matches!(old.flush().await.unwrap_err(), LakeError::Fenced));
    new.insert(spans(1, &events(NOW, 5)));
    new.flush().await.unwrap();
    assert_eq!(positions(&all(&new, Signal::Spans)), whole([1], 5));
    place.clock.advance(100 * HOUR);
    assert!(matches!(old.retain().await.err(), None | Some(LakeError::Fenced)));
    assert_eq!(positions(&all(&new, Signal::Spans)), whole([1], 5));
}

#[tokio::test]
async fn an_inspection_sums_up_and_finds_what_is_wrong_beside_the_writer() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=3 {
        lake.insert(spans(lsn * 2, &events(NOW, 50)));
        lake.insert(logs(lsn * 2 + 1, &events(NOW, 60)));
        lake.flush().await.unwrap();
    }
    let inspect =
        async || Inspection::open(&place.lake_dir(), place.database().await, KeyRing::default()).await.unwrap();
    let inspection = inspect().await;
    let sums = inspection.sums();
    let of_logs = &sums[&(acme(), Signal::Logs, Standing::Live(lake::Level::L0))];
    assert_eq!((sums.len(), of_logs.files, of_logs.rows), (2, 3, 180));
    assert!(of_logs.bytes > 0 && of_logs.index_bytes > 0);
    let mut seen = 0;
    assert!(inspection.verify(|_| seen += 1).is_empty());
    assert_eq!(seen, 6);
    let files = all(&lake, Signal::Spans).files;
    flip(&files[0].path);
    flip(&files[1].index_path());
    fs::remove_file(files[2].index_path()).unwrap();
    let faults = inspect().await.verify(|_| {});
    let found: Vec<_> = faults.iter().map(|fault| fault.file.name.clone()).collect();
    assert_eq!(found.len(), 3, "{faults:?}");
    assert!(files.iter().all(|file| found.contains(&file.name)));
    let faults = inspect().await.rebuild_indexes(|_| {});
    assert_eq!(faults.len(), 1, "that of the damaged file cannot be: {faults:?}");
    assert!(SliceIndex::open(&files[1]).is_ok() && SliceIndex::open(&files[2]).is_ok());
    assert_eq!(inspect().await.verify(|_| {}).len(), 1);
}
