//! Percentiles are exact for few durations and close for many.

use super::*;

fn tally(durations: impl Iterator<Item = i64>) -> Tally {
    let mut tally = Tally::default();
    for duration in durations {
        tally.add(false, duration, UnixNanos(0));
    }
    tally
}

#[test]
fn few_durations_give_exact_interpolated_percentiles() {
    assert_eq!(Tally::default().percentiles([0.5]), [0]);
    assert_eq!(tally([20, 40, 60].into_iter()).percentiles([0.0, 0.5, 0.95, 1.0]), [20, 40, 58, 60]);
}

#[test]
fn many_durations_are_sampled_evenly_within_bounds() {
    let tally = tally((0..1_000_000).map(|number| number * 7919 % 1_000_000));
    assert_eq!(tally.spans, 1_000_000);
    assert!(tally.kept.len() <= SAMPLE && tally.kept.len() > SAMPLE / 4, "{} kept", tally.kept.len());
    let [half, most] = tally.percentiles([0.5, 0.95]);
    assert!((half - 500_000).abs() < 20_000, "p50 {half}");
    assert!((most - 950_000).abs() < 20_000, "p95 {most}");
}
