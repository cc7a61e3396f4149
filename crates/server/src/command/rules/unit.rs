//! `tracehound rules test`: the tests inside rule files.

use std::path::PathBuf;

use anyhow::Result;
use rules::{Outcome, TestOutcome};
use serde_json::{Value, json};

use super::junit::{Case, Suite};
use super::{junit, read_book};
use crate::cli::Report;

/// Runs tests and prints what came of them; whether all passed and every file is valid.
pub fn run(paths: &[PathBuf], output: Report) -> Result<bool> {
    let (book, problems) = read_book(paths)?;
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    let mut suites = Vec::new();
    let (mut passed, mut failed) = (0, problems.len());
    for file in book.files() {
        let outcomes = book.run_tests(file.name);
        let fails = outcomes.iter().filter(|outcome| why(outcome).is_some()).count();
        (passed, failed) = (passed + outcomes.len() - fails, failed + fails);
        match output {
            Report::Text => outcomes.iter().for_each(print_outcome),
            Report::Json => outcomes.iter().for_each(|outcome| println!("{}", outcome_json(outcome))),
            Report::Junit => {
                let faults = file.diagnostics.iter().map(|fault| Case {
                    name: fault.code.to_owned(),
                    line: fault.line,
                    failure: Some(fault.to_string()),
                });
                let cases = outcomes.iter().map(|outcome| Case {
                    name: format!("{}: {}", outcome.title, outcome.name),
                    line: outcome.line,
                    failure: why(outcome).map(str::to_owned),
                });
                suites.push(Suite {
                    name: file.name.to_owned(),
                    cases: faults.chain(cases).collect(),
                    remarks: Vec::new(),
                });
            }
        }
    }
    match output {
        Report::Text => println!("{passed} passed, {failed} failed"),
        Report::Json => {}
        Report::Junit => print!("{}", junit::document("tracehound rules test", &suites)),
    }
    Ok(failed == 0)
}

fn why(outcome: &TestOutcome) -> Option<&str> {
    match &outcome.outcome {
        Outcome::Passed => None,
        Outcome::Failed(why) => Some(why),
    }
}

fn print_outcome(outcome: &TestOutcome) {
    let TestOutcome { file, line, title, name, .. } = outcome;
    match why(outcome) {
        None => println!("ok    {file}:{line}: {title}: {name}"),
        Some(why) => println!("FAIL  {file}:{line}: {title}: {name}: {why}"),
    }
}

fn outcome_json(outcome: &TestOutcome) -> Value {
    let why = why(outcome);
    json!({"file": outcome.file, "line": outcome.line, "rule": outcome.rule, "test": outcome.name,
        "passed": why.is_none(), "reason": why})
}
