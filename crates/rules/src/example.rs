//! Unit tests inside rule files.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::book::RuleBook;
use crate::diagnostic::Diagnostic;
use crate::offline::{self, Dated};
use crate::rule::{Body, Example, Rule};
use crate::set::RuleSet;

/// The moment at which the first event of a test happens: 2026-01-01T00:00:00Z.
const EPOCH_NANOS: i64 = 1_767_225_600_000_000_000;

/// How a test of a rule ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// The file.
    pub file: String,
    /// The line the test begins at.
    pub line: u32,
    /// Id of the rule under test.
    pub rule: String,
    /// Title of the rule under test.
    pub title: String,
    /// Name of the test.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Otherwise, and how.
    Failed(String),
}

/// Runs the tests of one file.
///
/// # Errors
/// The faults of the file; then nothing ran.
pub fn run_tests(file: &str, text: &str) -> Result<Vec<TestOutcome>, Vec<Diagnostic>> {
    let mut book = RuleBook::new();
    book.update(file, text)?;
    Ok(book.run_tests(file))
}

impl RuleBook {
    /// Runs the tests of a file of the book, whose rules may refer to rules of other files.
    pub fn run_tests(&self, file: &str) -> Vec<TestOutcome> {
        let set = self.compile();
        let with_tests = self.rules_of(file).iter().flat_map(|rule| rule.examples.iter().map(move |test| (rule, test)));
        let outcome = |(rule, example): (&Rule, &Example)| TestOutcome {
            file: file.to_owned(),
            line: example.at.line,
            rule: rule.info.id.clone(),
            title: rule.info.title.clone(),
            name: example.name.clone(),
            outcome: run(&set, rule, example),
        };
        with_tests.map(outcome).collect()
    }
}

fn run(set: &Arc<RuleSet>, rule: &Rule, example: &Example) -> Outcome {
    let mut events: Vec<Dated> = example
        .events
        .iter()
        .enumerate()
        .map(|(number, (offset, event))| Dated {
            nanos: EPOCH_NANOS.saturating_add(*offset),
            id: Json::from(number),
            event: event.clone(),
        })
        .collect();
    events.sort_by_key(|event| event.nanos);
    let fired = match &rule.body {
        // a rule that others refer to raises no alert, and is tested by what it matches
        Body::Event(_) if !asks_of_others(set, rule) => {
            let lines: Vec<String> = events.iter().map(|dated| Json::Object(dated.event.clone()).to_string()).collect();
            let matches = offline::match_events(set, lines.iter().map(String::as_str));
            matches.map(|matches| matches.iter().filter(|found| found.rule == rule.info.id).count())
        }
        _ => offline::firings(set, &rule.info.id, &events),
    };
    match (fired, example.expect_match) {
        (Err(error), _) => Outcome::Failed(error.to_string()),
        (Ok(0), true) => Outcome::Failed(format!("expected a match, {} events gave none", events.len())),
        (Ok(times), false) if times > 0 => Outcome::Failed(format!("expected no match, got {times}")),
        _ => Outcome::Passed,
    }
}

/// Whether a rule asks something that an event inherits, from others at their times.
fn asks_of_others(set: &RuleSet, rule: &Rule) -> bool {
    set.rules.iter().any(|known| known.info.id == rule.info.id && known.asks_of_others())
}
