//! Old hours leave: out of sight at once, off the disk when nobody can be reading them.

use model::Signal;
use model::time::NANOS_PER_HOUR;

use crate::support::*;

#[tokio::test]
async fn whole_hours_leave_when_their_last_moment_is_old() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &at(&[NOW, NOW.plus(-NANOS_PER_HOUR)])));
    lake.flush().await.unwrap();
    // it is 14:30; after 72 hours the hour of 13 is over by half an hour, that of 14 is not
    place.clock.advance(72 * HOUR);
    assert_eq!(lake.retain().await.unwrap(), 1);
    let left = all(&lake, Signal::Spans);
    assert_eq!(left.files.len(), 1);
    assert_eq!(left.files[0].partition.to_string(), "2026-11-22T14");
    place.clock.advance(HOUR / 2);
    assert_eq!(lake.retain().await.unwrap(), 1);
    assert_eq!(all(&lake, Signal::Spans).rows(), 0);
}

#[tokio::test]
async fn a_held_snapshot_keeps_its_files_readable() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 9)));
    lake.flush().await.unwrap();
    let held = all(&lake, Signal::Spans);
    place.clock.advance(80 * HOUR);
    assert_eq!(lake.retain().await.unwrap(), 1);
    assert_eq!(all(&lake, Signal::Spans).rows(), 0, "new snapshots do not have it");
    assert_eq!(positions(&held), whole([1], 9), "within the grace period it stays");
    place.clock.advance(2 * lake.settings().unlink_grace);
    lake.retain().await.unwrap();
    assert_eq!(positions(&held), whole([1], 9), "it stays while the snapshot is held");
    assert_eq!(lake.stats().retired_files, 1);
    drop(held);
    lake.retain().await.unwrap();
    assert_eq!(lake.stats().retired_files, 0);
    assert!(files_below(&place.lake_dir()).is_empty());
    assert!(!place.lake_dir().join("acme/spans/2026-11-22T14").exists(), "the empty directory is gone");
}

#[tokio::test]
async fn the_grace_period_holds_without_a_snapshot() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 9)));
    lake.flush().await.unwrap();
    place.clock.advance(80 * HOUR);
    lake.retain().await.unwrap();
    assert_eq!(files_below(&place.lake_dir()).len(), 1);
    place.clock.advance(lake.settings().unlink_grace);
    lake.retain().await.unwrap();
    assert!(files_below(&place.lake_dir()).is_empty());
}

#[tokio::test]
async fn retirement_is_finished_after_a_restart() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 9)));
    lake.flush().await.unwrap();
    place.clock.advance(80 * HOUR);
    lake.retain().await.unwrap();
    drop(lake);
    let lake = place.open().await;
    assert_eq!(all(&lake, Signal::Spans).rows(), 0, "retired stays retired");
    assert_eq!(lake.stats().retired_files, 1);
    place.clock.advance(lake.settings().unlink_grace);
    lake.retain().await.unwrap();
    assert!(files_below(&place.lake_dir()).is_empty());
    assert_eq!(place.open().await.stats().retired_files, 0, "and the catalog has forgotten it");
}
