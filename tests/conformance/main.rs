//! Prints the OTLP checks one by one, with the tests that show each.
//!
//! A test takes part by its name: `otlp_05_41_words` shows the checks 5 and 41. Reads the output of `cargo test` from
//! standard input and passes it on to standard error, so that what a failing test said is seen. Exit code 1 when a check
//! has no test that passed, or one that failed.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::process::ExitCode;

/// Checks of the list in docs/guides/otlp.md.
const CHECKS: u32 = 70;

/// What `cargo test` said of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
}

#[derive(Debug, Default)]
struct Shown {
    /// Names of tests, with what became of them.
    tests: Vec<(String, Outcome)>,
}

impl Shown {
    fn is_ok(&self) -> bool {
        !self.tests.is_empty() && self.tests.iter().all(|(_, outcome)| *outcome == Outcome::Passed)
    }
}

/// Name and outcome of a line like `test json::tests::otlp_48_ids ... ok`; a test that did not run shows nothing.
fn outcome(line: &str) -> Option<(&str, Outcome)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let name = name.trim().rsplit("::").next()?;
    match outcome.trim() {
        "ok" => Some((name, Outcome::Passed)),
        text if text.starts_with("FAILED") => Some((name, Outcome::Failed)),
        _ => None,
    }
}

/// The numbers in a test's name: `otlp_05_41_words` has 5 and 41.
fn numbers(name: &str) -> Vec<u32> {
    let Some(rest) = name.strip_prefix("otlp_") else { return Vec::new() };
    let parts = rest.split('_').map_while(|part| (part.len() == 2).then(|| part.parse().ok()).flatten());
    parts.filter(|number| (1..=CHECKS).contains(number)).collect()
}

/// Every check with its tests, those without any included.
fn gather(lines: impl Iterator<Item = String>) -> BTreeMap<u32, Shown> {
    let mut checks: BTreeMap<u32, Shown> = (1..=CHECKS).map(|number| (number, Shown::default())).collect();
    for line in lines {
        eprintln!("{line}");
        let Some((name, outcome)) = outcome(&line) else { continue };
        for number in numbers(name) {
            checks.entry(number).or_default().tests.push((name.to_owned(), outcome));
        }
    }
    checks
}

fn main() -> ExitCode {
    let checks = gather(std::io::stdin().lock().lines().map_while(Result::ok));
    for (number, shown) in &checks {
        let names: Vec<&str> = shown.tests.iter().map(|(name, _)| name.as_str()).collect();
        let failed = shown.tests.iter().filter(|(_, outcome)| *outcome == Outcome::Failed);
        let failed: Vec<&str> = failed.map(|(name, _)| name.as_str()).collect();
        match (shown.is_ok(), failed.is_empty()) {
            (true, _) => println!("{number:02} ok      {}", names.join(", ")),
            (false, true) => println!("{number:02} FAILED  no test showed it"),
            (false, false) => println!("{number:02} FAILED  {}", failed.join(", ")),
        }
    }
    let passed = checks.values().filter(|shown| shown.is_ok()).count();
    println!("{passed}/{CHECKS}");
    if passed == checks.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests;
