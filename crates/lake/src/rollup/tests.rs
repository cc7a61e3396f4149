//! Roll-ups survive being written, and add up.

use std::sync::Arc;

use super::callers::{Flushed, MAX_ALL_SPANS, MAX_SILENT_FLUSHES, Owner};
use super::wire::{Blocks, Totals};
use super::*;

fn operation(service: &str, name: &str, status: i8) -> Operation {
    Operation { service: service.to_owned(), name: name.to_owned(), kind: 2, status }
}

fn cell(key: u16, step: i32, class: u16, count: i64) -> Cell {
    Cell { key, step, class, count }
}

fn sample() -> Rollup {
    let call = |caller: &str, callee: &str, is_outside| Call {
        caller: caller.to_owned(),
        callee: callee.to_owned(),
        is_outside,
        is_error: false,
    };
    Rollup {
        operations: Table::new(
            vec![operation("shop", "pay", 0), operation("cart", "list", 2), operation("shop", "look", 0)],
            vec![
                cell(0, 179_000_000, 200, 3),
                cell(0, 179_000_000, 210, 1),
                cell(1, -4, 0, 1),
                cell(2, 179_000_009, 504, 70_000),
                cell(0, 179_000_000, 200, 2),
            ],
        ),
        calls: Table::new(
            vec![call("shop", "cart", false), call("shop", "bank", true)],
            vec![cell(0, 7, 1, 1), cell(1, 7, 1, -1)],
        ),
        last_seen: [("cart".to_owned(), UnixNanos(-1)), ("shop".to_owned(), UnixNanos(1_790_000_000 * NANOS_PER_SEC))]
            .into(),
    }
}

fn read(sections: &[(u32, Vec<u8>)]) -> Totals {
    Totals::read(&sections[0].1).unwrap()
}

#[test]
fn what_was_written_is_read_back() {
    let rollup = sample();
    let sections = sections(&rollup);
    assert_eq!(sections.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [TOTALS, STEPS]);
    assert_eq!(read(&sections).with_steps(&sections[1].1, Blocks::All).unwrap(), rollup);
    let totals = read(&sections).rollup;
    let told: Vec<_> = totals
        .operations
        .iter()
        .map(|(key, cells)| (key.name.as_str(), cells.iter().map(|cell| cell.count).sum()))
        .collect();
    assert_eq!(told, [("list", 1_i64), ("look", 70_000), ("pay", 6)]);
    let of_cart = read(&sections).with_steps(&sections[1].1, Blocks::Of("cart")).unwrap();
    assert_eq!(of_cart.operations.cells(), [cell(0, -4, 0, 1)]);
    assert_eq!(of_cart.calls.cells(), []);
}

#[test]
fn no_byte_of_a_section_can_be_changed_into_a_panic() {
    let sections = sections(&sample());
    for (place, _) in sections[0].1.iter().enumerate() {
        for bits in [1, 0x80, 0xff] {
            let mut changed = sections[0].1.clone();
            changed[place] ^= bits;
            if let Some(totals) = Totals::read(&changed) {
                let _ = totals.with_steps(&sections[1].1, Blocks::All);
            }
        }
        assert!(Totals::read(&sections[0].1[..place]).is_none());
    }
    for (place, _) in sections[1].1.iter().enumerate() {
        assert!(read(&sections).with_steps(&sections[1].1[..place], Blocks::All).is_none());
    }
}

#[test]
fn sums_count_each_part_and_leave_out_what_comes_to_nothing() {
    let taken_back = Rollup {
        calls: Table::new(sample().calls.keys().to_vec(), vec![cell(0, 7, 1, 2), cell(1, 7, 1, -1)]),
        ..Rollup::default()
    };
    let sum = Rollup::sum(vec![sample(), sample(), taken_back]);
    let spans: i64 = sum.operations.cells().iter().map(|cell| cell.count).sum();
    assert_eq!(spans, 2 * 70_007);
    assert_eq!(
        sum.calls.iter().map(|(call, cells)| (call.callee.as_str(), cells[0].count)).collect::<Vec<_>>(),
        [("cart", 1)]
    );
    assert_eq!(sum.last_seen, sample().last_seen);
}

#[test]
fn keys_past_the_limit_are_counted_together() {
    let many = |service: &str| {
        let keys: Vec<_> = (0..MAX_KEYS).map(|number| operation(service, &format!("op {number}"), 0)).collect();
        let cells = (0..MAX_KEYS).map(|key| cell(key as u16, 1, 1, 1)).collect();
        Rollup { operations: Table::new(keys, cells), ..Rollup::default() }
    };
    let sum = Rollup::sum(vec![many("a"), many("b"), many("c")]);
    let other: Vec<_> = sum
        .operations
        .iter()
        .filter(|(key, _)| key.name == OTHER)
        .map(|(key, cells)| (key.service.as_str(), cells.iter().map(|cell| cell.count).sum::<i64>()))
        .collect();
    assert_eq!(other, [("b", MAX_KEYS as i64), ("c", MAX_KEYS as i64)]);
}

#[test]
fn a_range_is_taken_in_whole_steps() {
    let at = |nanos| UnixNanos(nanos);
    let range = TimeRange { start: at(STEP_NANOS + 1), end: at(3 * STEP_NANOS) };
    assert_eq!(whole_steps(&range), TimeRange { start: at(STEP_NANOS), end: at(3 * STEP_NANOS) });
    let before_1970 = TimeRange { start: at(-1), end: at(1) };
    assert_eq!(whole_steps(&before_1970), TimeRange { start: at(-STEP_NANOS), end: at(STEP_NANOS) });
}

/// What is remembered of a tenant whose last flush had so many spans.
fn callers(spans: usize) -> Callers {
    let owner = Owner { service: 0, row: 0, is_answered: false, is_calling: false };
    let owners = (0..spans as u64).map(|span| (span, owner)).collect();
    let flushed = Flushed { names: vec![Arc::from("shop")], owners, ..Flushed::default() };
    Callers::default().after(flushed, Vec::new(), Vec::new())
}

fn tenant(number: usize) -> model::TenantId {
    format!("tenant-{number}").parse().unwrap()
}

#[test]
fn a_tenant_that_is_silent_is_forgotten_after_a_while() {
    let mut remembered = Remembered::default().after([(tenant(0), callers(10))]);
    for _ in 0..MAX_SILENT_FLUSHES {
        remembered = remembered.after([(tenant(1), callers(1))]);
        assert_eq!(remembered.of(&tenant(0)).sizes().0, 10);
    }
    remembered = remembered.after([(tenant(1), callers(1))]);
    assert_eq!((remembered.of(&tenant(0)).sizes().0, remembered.sizes().0), (0, 1));
}

#[test]
fn many_tenants_together_are_bounded_and_the_most_silent_goes_first() {
    let quarter = callers(MAX_ALL_SPANS / 4);
    let mut remembered = Remembered::default();
    for number in 0..4 {
        remembered = remembered.after([(tenant(number), quarter.clone())]);
    }
    // the first one speaks again, so that the second one is the most silent
    remembered = remembered.after([(tenant(0), quarter.clone())]);
    assert_eq!(remembered.sizes().0, MAX_ALL_SPANS);
    remembered = remembered.after([(tenant(4), quarter.clone())]);
    let known: Vec<bool> = (0..5).map(|number| remembered.of(&tenant(number)).sizes().0 > 0).collect();
    assert_eq!(known, [true, false, true, true, true]);
}
