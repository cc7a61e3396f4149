//! Windows cover their range once, from either end.

use super::*;

fn windows(start: i64, end: i64, newest_first: bool) -> Vec<TimeRange> {
    let left = TimeRange { start: UnixNanos(start), end: UnixNanos(end) };
    Windows { left, width_nanos: FIRST_NANOS, passed_nanos: 0, newest_first }.collect()
}

#[test]
fn windows_touch_and_grow_and_end_with_the_range() {
    for newest_first in [true, false] {
        let hour = 3_600 * NANOS_PER_SEC;
        let mut found = windows(100, 100 + hour, newest_first);
        assert_eq!(found[0].end.0 - found[0].start.0, FIRST_NANOS);
        assert_eq!(found.len(), 5);
        found.sort_by_key(|window| window.start);
        assert_eq!((found[0].start.0, found[4].end.0), (100, 100 + hour));
        assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}

#[test]
fn the_widest_range_takes_few_windows_and_an_empty_one_none() {
    assert!(windows(i64::MIN, i64::MAX, true).len() < 20);
    assert!(windows(5, 5, true).is_empty());
    assert!(windows(6, 5, false).is_empty());
}

#[test]
fn what_was_found_bounds_the_next_window_and_nothing_found_lets_it_grow() {
    let width = |window: Option<TimeRange>| window.map(|window| (window.end.0 - window.start.0) / NANOS_PER_SEC);
    let left = TimeRange { start: UnixNanos(0), end: UnixNanos(7_200 * NANOS_PER_SEC) };
    let mut windows = Windows { left, width_nanos: FIRST_NANOS, passed_nanos: 0, newest_first: true };
    assert_eq!(width(windows.next()), Some(15));
    assert_eq!(width(windows.next()), Some(60));
    windows.pace(10, 5);
    assert_eq!(width(windows.next()), Some(75), "twice what five more take when 75 seconds had ten");
    assert_eq!(width(windows.next()), Some(300));
    windows.pace(20, 1);
    assert_eq!(width(windows.next()), Some(45));
    windows.pace(20, 1_000_000);
    assert_eq!(width(windows.next()), Some(180), "never wider than without");
}
