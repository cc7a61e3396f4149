//! Size classes hold what they should, and percentiles come out near the truth.

use super::*;

#[test]
fn every_duration_lies_within_the_bounds_of_its_class() {
    let mut durations: Vec<i64> = (0..63).flat_map(|bit| [(1_i64 << bit) - 1, 1 << bit, (1 << bit) + 1]).collect();
    durations.extend([i64::MAX, 10_000_000, 12_345_678, 999_999_999]);
    for duration in durations.into_iter().filter(|duration| *duration > 0) {
        let class = f64::from(class_of(duration));
        let (from, to) = (bound_of(class), bound_of(class + 1.0));
        // a double has 53 bits
        let slack = 1.0 + 1e-12;
        assert!(from <= duration as f64 * slack && duration as f64 <= to * slack, "{duration} in {from}..{to}");
    }
    assert_eq!((class_of(0), class_of(-5), class_of(1), class_of(i64::MAX)), (0, 0, 1, CLASSES as u16 - 1));
}

#[test]
fn percentiles_are_within_a_class_of_the_truth() {
    let mut sketch = Sketch::default();
    let durations: Vec<i64> = (1..=10_000).map(|number| number * 1_000).collect();
    durations.iter().for_each(|duration| sketch.add(class_of(*duration), 1));
    let found = sketch.percentiles([0.0, 0.5, 0.95, 1.0]);
    for (found, truth) in found.into_iter().zip([1_000.0, 5_000_500.0, 9_500_050.0, 10_000_000.0]) {
        let off = (found as f64 / truth).ln().abs();
        assert!(off <= 2.0_f64.ln() / 8.0, "{found} for {truth}");
    }
    assert_eq!(Sketch::default().percentiles([0.5]), [0]);
    let mut taken_back = Sketch::default();
    taken_back.add(5, 1);
    taken_back.add(5, -1);
    assert_eq!(taken_back.percentiles([0.5, 0.99]), [0, 0]);
}
