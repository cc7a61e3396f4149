//! `tracehound rules check|test|match|replay`: rules without a server, by the very same engine.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use pipeline::shelf;
use rules::{Diagnostic, Outcome, RuleBook, TestOutcome, offline};
use serde_json::{Value, json};

use crate::cli::{Output, RulesCommand};

/// Runs the command.
pub fn run(command: &RulesCommand) -> Result<ExitCode> {
    match command {
        RulesCommand::Check { paths, output } => check(paths, *output),
        RulesCommand::Test { paths, output } => test(paths, *output),
        RulesCommand::Match { rules, events } => {
            let (book, text) = (valid_book(rules)?, read(events)?);
            let found = offline::match_events(&book.compile(), text.lines())?;
            print_lines(found.iter().map(offline::Match::to_json))
        }
        RulesCommand::Replay { rules, events, time_field, id_field } => {
            let (book, text) = (valid_book(rules)?, read(events)?);
            // without a field that names them, events go by their line
            let id_field = id_field.as_deref().unwrap_or_default();
            let found = offline::replay(&book.compile(), text.lines(), time_field, id_field)?;
            print_lines(found.iter().map(offline::Alert::to_json))
        }
    }
}

fn check(paths: &[PathBuf], output: Output) -> Result<ExitCode> {
    let (book, problems) = read_book(paths)?;
    let files = book.files();
    let warnings = files.iter().flat_map(|file| &file.warnings);
    for remark in problems.iter().chain(warnings.clone()) {
        match output {
            Output::Text => println!("{remark}"),
            Output::Json => println!("{}", remark_json(remark)),
        }
    }
    if output == Output::Text {
        let rules: usize = files.iter().map(|file| file.rules.len()).sum();
        print!("{rules} rules in {} files, {} problem(s)", files.len(), problems.len());
        let unmapped = files.iter().flat_map(|file| &file.rules).filter(|rule| !rule.is_mapped).count();
        match (warnings.count(), unmapped) {
            (0, _) => println!(),
            (warnings, 0) => println!(", {warnings} warning(s)"),
            (warnings, unmapped) => println!(", {warnings} warning(s), {unmapped} rule(s) never evaluated"),
        }
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test(paths: &[PathBuf], output: Output) -> Result<ExitCode> {
    let (book, problems) = read_book(paths)?;
    for problem in &problems {
        eprintln!("{problem}");
    }
    let names: Vec<String> = book.files().iter().map(|file| file.name.to_owned()).collect();
    let (mut passed, mut failed) = (0, problems.len());
    for outcome in names.iter().flat_map(|name| book.run_tests(name)) {
        let why = match &outcome.outcome {
            Outcome::Passed => None,
            Outcome::Failed(why) => Some(why.as_str()),
        };
        match why {
            None => passed += 1,
            Some(_) => failed += 1,
        }
        match output {
            Output::Text => print_outcome(&outcome, why),
            Output::Json => println!("{}", outcome_json(&outcome, why)),
        }
    }
    if output == Output::Text {
        println!("{passed} passed, {failed} failed");
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_outcome(outcome: &TestOutcome, why: Option<&str>) {
    let TestOutcome { file, line, title, name, .. } = outcome;
    match why {
        None => println!("ok    {file}:{line}: {title}: {name}"),
        Some(why) => println!("FAIL  {file}:{line}: {title}: {name}: {why}"),
    }
}

fn outcome_json(outcome: &TestOutcome, why: Option<&str>) -> Value {
    json!({"file": outcome.file, "line": outcome.line, "rule": outcome.rule, "test": outcome.name,
        "passed": why.is_none(), "reason": why})
}

fn remark_json(remark: &Diagnostic) -> Value {
    json!({"file": remark.file, "line": remark.line, "column": remark.column, "code": remark.code,
        "message": remark.message, "hint": remark.hint, "severity": remark.gravity.as_str()})
}

/// Reads rule files; those of several paths see each other's rules.
fn read_book(paths: &[PathBuf]) -> Result<(RuleBook, Vec<Diagnostic>)> {
    let mut texts = BTreeMap::new();
    for path in paths {
        if !path.exists() {
            bail!("{} does not exist", path.display());
        }
        let found = shelf::read_folder(path)?;
        let single = path.is_file();
        for (name, text) in found {
            let name = if single { path.to_path_buf() } else { path.join(name) };
            texts.insert(name.to_string_lossy().into_owned(), text);
        }
    }
    if texts.is_empty() {
        bail!(
            "there is no .yml or .yaml file in {}",
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        );
    }
    let mut book = RuleBook::new();
    let problems = book.update_all(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    Ok((book, problems))
}

/// Reads rule files for a run: problems are printed, and what is valid runs, as in a server.
fn valid_book(path: &Path) -> Result<RuleBook> {
    let (book, problems) = read_book(&[path.to_owned()])?;
    for problem in &problems {
        eprintln!("{problem}");
    }
    if book.files().iter().all(|file| !file.is_active) {
        bail!("no valid rule in {}", path.display());
    }
    Ok(book)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn print_lines(lines: impl Iterator<Item = Value>) -> Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
