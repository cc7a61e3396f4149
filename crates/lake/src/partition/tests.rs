//! Which rows share a file.

use super::*;

const NOW: UnixNanos = UnixNanos(1_000 * NANOS_PER_HOUR + 5);

#[test]
fn plausible_hours_reach_from_retention_to_tomorrow() {
    let plausible = Plausible::at(NOW, Duration::from_secs(10 * 3_600));
    assert_eq!(plausible.partition(NOW), Partition::Hour(1_000));
    assert_eq!(plausible.partition(UnixNanos(990 * NANOS_PER_HOUR)), Partition::Hour(990));
    assert_eq!(plausible.partition(UnixNanos(990 * NANOS_PER_HOUR - 1)), Partition::Odd);
    assert_eq!(plausible.partition(UnixNanos(1_025 * NANOS_PER_HOUR - 1)), Partition::Hour(1_024));
    assert_eq!(plausible.partition(UnixNanos(1_025 * NANOS_PER_HOUR)), Partition::Odd);
    assert_eq!(plausible.partition(UnixNanos(i64::MIN)), Partition::Odd);
    assert_eq!(plausible.partition(UnixNanos(i64::MAX)), Partition::Odd);
}

#[test]
fn an_endless_retention_reaches_back_to_the_beginning() {
    let plausible = Plausible::at(NOW, Duration::MAX);
    assert_eq!(plausible.partition(UnixNanos(0)), Partition::Hour(0));
}

#[test]
fn the_hours_with_most_rows_stay() {
    let hour = |hour: i64| hour * NANOS_PER_HOUR;
    let times = [hour(995), hour(996), hour(996), hour(997), hour(998)];
    let plausible = Plausible::at(NOW, Duration::from_secs(10 * 3_600));
    let found = partitions(&[&times[..2], &times[2..]], plausible, 2);
    let (kept, odd) = (Partition::Hour(996), Partition::Odd);
    assert_eq!(found, [vec![odd, kept], vec![kept, odd, Partition::Hour(998)]]);
}

#[test]
fn directories_are_named_after_the_hour() {
    assert_eq!(Partition::Hour(0).to_string(), "1970-01-01T00");
    assert_eq!(Partition::Hour(-1).to_string(), "1969-12-31T23");
    assert_eq!(Partition::Odd.to_string(), "odd");
}
