//! The clock jumps two hours either way: nothing is deleted before its time, files say the hours of their events, and
//! flushes go on.

use std::time::Duration;

use model::time::NANOS_PER_HOUR;
use model::{Lsn, Signal};
use runtime::Clock;

use crate::support::*;

/// How far the clock jumps.
const JUMP: Duration = Duration::from_nanos(2 * NANOS_PER_HOUR.unsigned_abs());

/// A lake whose clock begins so far from [`NOW`].
async fn open_at(place: &mut Place, nanos_from_now: i64) -> lake::Lake {
    place.clock = Clock::fixed(NOW.plus(nanos_from_now).0);
    place.open().await
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_takes_nothing_that_is_not_two_hours_from_its_end() {
    let place = Place::new();
    let lake = place.open().await;
    // one event for every hour of the last seventy
    for hour in 0..70_u64 {
        lake.insert(spans(hour + 1, &at(&[NOW.plus(-(hour as i64) * NANOS_PER_HOUR)])));
    }
    lake.flush().await.unwrap();
    let before = positions(&all(&lake, Signal::Spans));
    assert_eq!(before.len(), 70);
    place.clock.advance(JUMP);
    // 72 hours are kept: the oldest hour ended 68.5 hours ago, and two more are not enough
    assert_eq!(lake.retain().await.unwrap(), 0);
    assert_eq!(positions(&all(&lake, Signal::Spans)), before);
    place.clock.advance(JUMP);
    let taken = lake.retain().await.unwrap();
    assert!(taken <= 2, "two jumps took {taken} hours: more than they are long");
}

#[tokio::test]
async fn a_clock_that_is_set_back_deletes_nothing_and_flushes_all_the_same() {
    let mut place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 10)));
    lake.flush().await.unwrap();
    drop(lake);
    let lake = open_at(&mut place, -2 * NANOS_PER_HOUR).await;
    assert_eq!(lake.retain().await.unwrap(), 0);
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole([1], 10), "events of what is the future now");
    lake.insert(spans(2, &events(NOW.plus(-2 * NANOS_PER_HOUR), 10)));
    lake.flush().await.unwrap();
    assert!(!lake.compact_once().await.unwrap(), "two files of two hours are nothing to merge");
    assert_eq!(positions(&all(&lake, Signal::Spans)), whole([1, 2], 10));
}

#[tokio::test]
async fn files_say_when_their_events_were_and_not_when_the_clock_thought_they_came() {
    for jump in [-2, 0, 2] {
        let mut place = Place::new();
        let lake = open_at(&mut place, jump * NANOS_PER_HOUR).await;
        lake.insert(spans(1, &at(&[NOW, NOW.plus(NANOS_PER_HOUR / 4)])));
        lake.flush().await.unwrap();
        let file = all(&lake, Signal::Spans).files[0].clone();
        assert_eq!(file.partition.to_string(), "2026-11-22T14", "clock {jump} hours off");
        assert_eq!((file.zone.min_time, file.zone.max_time), (NOW, NOW.plus(NANOS_PER_HOUR / 4)), "{jump}");
        assert_eq!(file.max_lsn, Lsn(1));
    }
}

#[tokio::test]
async fn retired_files_keep_their_grace_when_the_clock_is_set_back() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 9)));
    lake.flush().await.unwrap();
    place.clock.advance(80 * HOUR);
    assert_eq!(lake.retain().await.unwrap(), 1);
    drop(lake);
    let mut back = place;
    let lake = open_at(&mut back, 78 * NANOS_PER_HOUR).await;
    lake.retain().await.unwrap();
    assert_eq!(files_below(&back.lake_dir()).len(), 1, "set back is not waited");
    back.clock.advance(2 * HOUR + lake.settings().unlink_grace);
    lake.retain().await.unwrap();
    assert!(files_below(&back.lake_dir()).is_empty(), "and it goes when its time has come");
}
