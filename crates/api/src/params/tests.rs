//! The small texts inside query parameters.

use super::*;

#[test]
fn durations_are_read_with_units_or_as_nanoseconds() {
    let read = |text| duration("min_duration", Some(text)).ok().flatten();
    assert_eq!(read("10ms"), Some(10_000_000));
    assert_eq!(read("1.5s"), Some(1_500_000_000));
    assert_eq!(read("2us"), Some(2_000));
    assert_eq!(read("2µs"), Some(2_000));
    assert_eq!(read("7"), Some(7));
    assert_eq!(read("1h"), Some(3_600_000_000_000));
    for wrong in ["", "ms", "-1s", "1.2.3s", "5 s", "1e3", "9999999999999h", "1.5"] {
        assert!(duration("min_duration", Some(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn filters_are_read_in_their_four_forms() {
    let read = |text: &str| filter(text).map(|found| (found.key, found.op, found.value)).unwrap();
    assert_eq!(read("a.b=c=d"), ("a.b".to_owned(), FilterOp::Eq, "c=d".to_owned()));
    assert_eq!(read("a!=x"), ("a".to_owned(), FilterOp::Ne, "x".to_owned()));
    assert_eq!(read("a="), ("a".to_owned(), FilterOp::Eq, String::new()));
    assert_eq!(read("a"), ("a".to_owned(), FilterOp::Exists, String::new()));
    assert_eq!(read("!a"), ("a".to_owned(), FilterOp::NotExists, String::new()));
    for wrong in ["", "=x", "!=x", "!", " "] {
        assert!(filter(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_range_without_bounds_is_the_last_hour() {
    let clock = Clock::fixed(10_000 * NANOS_PER_SEC);
    let found = range(None, None, &clock).unwrap();
    assert_eq!(found.start, UnixNanos(6_400 * NANOS_PER_SEC));
    assert_eq!(found.end, UnixNanos(10_060 * NANOS_PER_SEC));
    let found = range(Some("1970-01-01T00:00:01Z"), Some("2000000000"), &clock).unwrap();
    assert_eq!((found.start, found.end), (UnixNanos(NANOS_PER_SEC), UnixNanos(2 * NANOS_PER_SEC)));
    assert!(range(Some("5"), Some("5"), &clock).is_err());
    assert!(range(Some("yesterday"), None, &clock).is_err());
}
