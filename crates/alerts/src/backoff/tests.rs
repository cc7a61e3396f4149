//! The arithmetic of waiting.

use super::*;

const RETRY: Retry = Retry {
    base: Duration::from_secs(1),
    longest: Duration::from_secs(3_600),
    max_attempts: 40,
    max_age: Duration::from_secs(86_400),
};

#[test]
fn the_bound_doubles_up_to_the_longest_wait() {
    for (attempts, secs) in [(0, 1), (1, 1), (2, 2), (3, 4), (12, 2_048), (13, 3_600), (32, 3_600), (u32::MAX, 3_600)] {
        assert_eq!(wait(&RETRY, attempts, 1.0, None), Duration::from_secs(secs), "{attempts}");
    }
}

#[test]
fn any_part_of_the_bound_may_be_the_wait() {
    assert_eq!(wait(&RETRY, 5, 0.0, None), Duration::ZERO);
    assert_eq!(wait(&RETRY, 5, 0.5, None), Duration::from_secs(8));
}

#[test]
fn a_receiver_may_ask_for_more_time_but_not_for_ever() {
    assert_eq!(wait(&RETRY, 1, 1.0, Some(Duration::from_secs(120))), Duration::from_secs(120));
    assert_eq!(wait(&RETRY, 8, 1.0, Some(Duration::from_secs(1))), Duration::from_secs(128));
    assert_eq!(wait(&RETRY, 1, 1.0, Some(Duration::MAX)), Duration::from_secs(3_600));
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = UnixNanos::from_rfc3339("2026-11-22T12:00:00Z").expect("a valid time");
    assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
    assert_eq!(retry_after("Sun, 22 Nov 2026 12:01:30 GMT", now), Some(Duration::from_secs(90)));
    assert_eq!(retry_after("Sun, 22 Nov 2026 11:00:00 GMT", now), Some(Duration::ZERO));
    for odd in ["", "-1", "soon", "1.5", "99999999999999999999"] {
        assert_eq!(retry_after(odd, now), None, "{odd}");
    }
}
