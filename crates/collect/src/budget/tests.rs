//! Reservations never pass the limit and always come back.

use super::*;

#[test]
fn the_limit_holds_and_drops_give_back() {
    let budget = Budget::new(100);
    let mut first = budget.reserve(60).expect("fits");
    assert!(matches!(budget.reserve(50), Err(Refusal::Busy)));
    let second = budget.reserve(40).expect("fits exactly");
    assert!(first.grow(1).is_err());
    drop(second);
    first.resize(100).expect("fits after the other went");
    first.resize(10).expect("shrinking always works");
    assert_eq!(budget.used_bytes.load(Ordering::Relaxed), 10);
    drop(first);
    assert_eq!(budget.used_bytes.load(Ordering::Relaxed), 0);
}
