//! The dice are fair enough and always the same.

use super::*;

fn dice(entity: u64) -> Dice {
    Dice::new(7, Stream::Trace, entity, 3)
}

#[test]
fn the_same_key_gives_the_same_draws_and_another_key_others() {
    let first: Vec<u64> = (0..4).scan(dice(1), |d, _| Some(d.bits())).collect();
    let again: Vec<u64> = (0..4).scan(dice(1), |d, _| Some(d.bits())).collect();
    let other: Vec<u64> = (0..4).scan(dice(2), |d, _| Some(d.bits())).collect();
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn exp_agrees_with_the_machine_to_twelve_digits() {
    for step in -300..300 {
        let x = f64::from(step) / 10.0;
        assert!((exp(x) / x.exp() - 1.0).abs() < 1e-12, "exp({x})");
    }
}

#[test]
fn distributions_have_the_asked_mean_or_median() {
    let mut dice = dice(5);
    let mut latencies: Vec<u64> = (0..10_001).map(|_| dice.log_normal(1000, 460)).collect();
    latencies.sort_unstable();
    assert!((950..1050).contains(&latencies[5000]), "median {}", latencies[5000]);
    assert!((1700..1900).contains(&latencies[9000]), "p90 {}", latencies[9000]);
    let arrivals: u64 = (0..10_000).map(|_| dice.poisson(2.5)).sum();
    assert!((24_500..25_500).contains(&arrivals), "{arrivals}");
    let many: u64 = (0..100).map(|_| dice.poisson(400.0)).sum();
    assert!((39_000..41_000).contains(&many), "{many}");
}

#[test]
fn the_most_active_person_is_not_a_crowd() {
    let mut dice = dice(9);
    let mut visits = vec![0u32; 20_000];
    for _ in 0..100_000 {
        visits[dice.zipf(20_000, 5.993_961_4) as usize] += 1;
    }
    assert!((200..500).contains(&visits[0]), "{}", visits[0]);
    assert!(visits[..200].iter().sum::<u32>() > 20_000);
    assert!(visits[10_000..].iter().sum::<u32>() > 5_000);
}
