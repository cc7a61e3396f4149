//! The shelf keeps what is used and stays within its limit.

use super::*;

#[test]
fn what_was_used_last_stays_and_the_limit_holds() {
    let shelf = Shelf::new("things", 10 * (100 + ENTRY_BYTES));
    let mut loads = 0;
    let mut get = |name: &str| {
        let load = || {
            loads += 1;
            Ok(name.to_owned())
        };
        assert_eq!(*shelf.get(name, |_| 100, load).unwrap(), name);
        assert!(shelf.kept().bytes <= shelf.limit_bytes);
        loads
    };
    (0..10).for_each(|number| assert_eq!(get(&number.to_string()), number + 1));
    assert_eq!(get("0"), 10, "still there");
    assert_eq!(get("10"), 11, "one too many: something has to go");
    assert_eq!(get("0"), 11, "not what was used last");
    assert_eq!(get("1"), 12, "but what was not");
}

#[test]
fn what_is_larger_than_the_shelf_is_not_kept() {
    let shelf = Shelf::new("things", 1_000);
    shelf.get("big", |_| 2_000, || Ok(())).unwrap();
    assert_eq!(shelf.kept().bytes, 0);
}

#[test]
fn an_index_that_was_caught_while_another_was_reading_it_is_not_put_back() {
    let footers = Footers::new(100_000, 1);
    let shelf: Shelf<Option<u8>> = Shelf::new("things", 1_000);
    let answer = |load: &dyn Fn() -> Option<u8>| *footers.believed_in("a", &shelf, |_| 1, || Ok(load()));
    let caught = || {
        footers.distrust("a");
        shelf.put("a", None);
        Some(1)
    };
    assert_eq!(answer(&caught), None, "caught after it was read");
    assert_eq!(answer(&|| Some(2)), None, "and it stays away");
}
