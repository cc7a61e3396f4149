//! Which checks a run of tests shows.

use super::*;

fn passed(text: &str) -> Vec<u32> {
    let checks = gather(text.lines().map(str::to_owned));
    checks.into_iter().filter(|(_, shown)| shown.is_ok()).map(|(number, _)| number).collect()
}

#[test]
fn a_check_is_shown_by_the_numbers_in_the_names_of_tests() {
    let text = "running 3 tests\ntest otlp_05_41_oversize ... ok\ntest a::b::otlp_70_2_texts ... ok\ntest otlp ... ok";
    assert_eq!(passed(text), [5, 41, 70]);
}

#[test]
fn one_failure_fails_the_check_and_what_did_not_run_shows_nothing() {
    let text = "test otlp_05_a ... ok\ntest otlp_05_06_b ... FAILED\ntest otlp_07_c ... ignored\ntest otlp_71_d ... ok";
    assert_eq!(passed(text), [0_u32; 0]);
}
