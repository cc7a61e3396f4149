//! The caps hold, and nobody innocent meets them.

use super::*;

#[test]
fn a_count_is_never_above_the_truth_and_a_flood_is_still_found() {
    let mut traces = Traces::default();
    let mut truth: HashMap<u128, u64> = HashMap::new();
    let cap = 500;
    let mut seed = 7_u64;
    for step in 0_u64..200_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // one event in four belongs to the one large trace, the others to any of 60,000
        let trace = if step % 4 == 0 { 1 } else { 2 + u128::from(seed >> 33) % 60_000 };
        let stored = truth.entry(trace).or_default();
        let allowed = traces.take(trace, 1, cap);
        assert!(allowed == 1 || *stored >= cap, "step {step}: {trace} has {stored} events and was capped");
        *stored += allowed;
        assert!(traces.counts.len() <= MAX_TRACES);
        assert!(traces.counts.get(&trace).copied().unwrap_or(0) <= *stored);
    }
    let error = 200_000 / MAX_TRACES as u64;
    assert!(truth[&1] <= cap + error, "the large trace got {} of 50,000 events through a cap of {cap}", truth[&1]);
}

#[test]
fn a_table_full_of_large_traces_lets_a_new_one_in_without_capping_it() {
    let mut traces = Traces::default();
    (0..MAX_TRACES as u128).for_each(|trace| assert_eq!(traces.take(trace, 10, 10), 10));
    assert_eq!(traces.take(u128::MAX, 10, 10), 10, "its ten events are the table's ten rounds");
    assert!(traces.counts.is_empty(), "every count was lowered by ten");
    assert_eq!(traces.take(0, 25, 10), 10);
}

#[test]
fn what_was_not_stored_is_not_counted() {
    let mut caps = Caps::default();
    assert_eq!(caps.traces.take(5, 8, 10), 8);
    caps.forget(&Verdict { counted: vec![(5, 8), (6, 1)], ..Verdict::default() });
    assert_eq!(caps.traces.take(5, 12, 10), 10);
}

#[test]
fn the_set_of_operations_is_never_larger_than_its_cap() {
    let mut caps = Caps::default();
    let stays: Vec<bool> = (0..10).map(|name| caps.has_operation("shop", &name.to_string(), 4)).collect();
    assert_eq!(stays, [true, true, true, true, false, false, false, false, false, false]);
    assert!(caps.has_operation("shop", "3", 4) && !caps.has_operation("shop", "9", 4));
    assert!(!caps.has_operation("sho", "p3", 4), "the pair counts, not its letters");
    assert_eq!(caps.held(), (4, 0));
}
