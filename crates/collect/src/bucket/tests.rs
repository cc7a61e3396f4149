//! The rate holds, large requests pass, and debts are told exactly.

use super::*;

const SECOND: i64 = 1_000_000_000;

#[test]
fn a_burst_of_a_second_passes_and_then_the_rate_holds() {
    let bucket = Bucket::new(100);
    let mut passed = 0;
    // ten requests of ten events in each tenth of a second, for ten seconds: ten times the rate
    for step in 0..1_000 {
        let now = step * SECOND / 100;
        if bucket.debt(now).is_none() {
            bucket.charge(now, 10);
            passed += 10;
        }
    }
    assert!((1_000..=1_110).contains(&passed), "{passed} of 100 per second in ten seconds and a burst of one");
}

#[test]
fn a_request_larger_than_the_burst_passes_once_and_its_debt_is_paid_in_full() {
    let bucket = Bucket::new(10);
    assert_eq!(bucket.debt(0), None);
    bucket.charge(0, 60);
    assert_eq!(bucket.debt(0), Some(Duration::from_secs(5)), "60 at 10 per second, less the burst");
    assert_eq!(bucket.debt(4 * SECOND), Some(Duration::from_secs(1)));
    assert_eq!(bucket.debt(5 * SECOND), None);
    assert_eq!(bucket.debt(i64::MAX), None);
}

#[test]
fn what_is_given_back_was_never_charged() {
    let bucket = Bucket::new(10);
    bucket.charge(0, 1_000);
    bucket.give_back(1_000);
    assert_eq!(bucket.debt(0), None);
    bucket.charge(0, 11);
    assert_eq!(bucket.debt(0), Some(Duration::from_millis(100)));
}

#[test]
fn the_largest_numbers_do_not_wrap() {
    let bucket = Bucket::new(0);
    bucket.charge(i64::MAX - 1, u64::MAX);
    bucket.charge(i64::MAX - 1, u64::MAX);
    assert!(bucket.debt(0).is_some());
    bucket.give_back(u64::MAX);
    assert_eq!(bucket.debt(i64::MAX), None);
}
