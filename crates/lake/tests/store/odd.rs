//! Times that would widen every file.

use std::time::Duration;

use lake::{Partition, Settings};
use model::time::NANOS_PER_HOUR;
use model::{Signal, TimeRange, UnixNanos};

use crate::support::*;

#[tokio::test]
async fn absurd_times_share_a_file_of_their_own() {
    let place = Place::new();
    let lake = place.open().await;
    let times = [
        UnixNanos(0),
        UnixNanos(i64::MIN),
        UnixNanos(i64::MAX - 1),
        NOW,
        NOW.plus(-73 * NANOS_PER_HOUR),
        NOW.plus(26 * NANOS_PER_HOUR),
        NOW.plus(23 * NANOS_PER_HOUR),
    ];
    lake.insert(spans(1, &at(&times)));
    lake.flush().await.unwrap();
    let snapshot = all(&lake, Signal::Spans);
    assert_eq!(positions(&snapshot), whole([1], 7));
    let odd: Vec<_> = snapshot.files.iter().filter(|file| file.partition == Partition::Odd).collect();
    assert_eq!(odd.len(), 1);
    assert_eq!(odd[0].zone.rows, 5);
    assert_eq!((odd[0].zone.min_time, odd[0].zone.max_time), (times[1], times[2]), "true times");
    for file in snapshot.files.iter().filter(|file| file.partition != Partition::Odd) {
        assert_eq!(file.zone.min_time, file.zone.max_time);
    }
    let epoch = TimeRange { start: UnixNanos(0), end: UnixNanos(1) };
    let found = lake.snapshot(&acme(), Signal::Spans, epoch);
    assert_eq!(found.files.len(), 1, "and the search for such a time finds it");
}

#[tokio::test]
async fn scattered_times_do_not_make_a_file_each() {
    let place = Place::new();
    let settings =
        Settings { retention: Duration::from_secs(1_000 * 3_600), max_hours_per_flush: 4, ..place.settings() };
    let lake = place.open_with(settings).await;
    let mut times: Vec<UnixNanos> = (0..500).map(|hour| NOW.plus(-hour * NANOS_PER_HOUR)).collect();
    times.extend([NOW.plus(-100 * NANOS_PER_HOUR); 5]);
    lake.insert(spans(1, &at(&times)));
    lake.flush().await.unwrap();
    let snapshot = all(&lake, Signal::Spans);
    assert_eq!(snapshot.files.len(), 5);
    assert_eq!(positions(&snapshot), whole([1], 505));
    let rows: Vec<_> = snapshot.files.iter().map(|file| file.zone.rows).collect();
    assert!(rows.contains(&6), "the hour with most events has its file: {rows:?}");
}

#[tokio::test]
async fn odd_events_age_by_when_they_were_stored() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &at(&[UnixNanos(0), UnixNanos(i64::MAX - 1)])));
    lake.flush().await.unwrap();
    place.clock.advance(71 * HOUR);
    assert_eq!(lake.retain().await.unwrap(), 0);
    place.clock.advance(2 * HOUR);
    assert_eq!(lake.retain().await.unwrap(), 1);
    assert_eq!(all(&lake, Signal::Spans).rows(), 0);
}
