//! `tracehound rules`: rules as files, by the very same engine.
//!
//! Exit codes: 0 well, 1 findings, 2 wrong usage or cannot run.

mod backtest;
mod check;
mod convert;
mod coverage;
mod events;
mod explain;
mod junit;
mod remote;
mod store;
mod unit;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use model::UnixNanos;
use pipeline::shelf;
use rules::{Diagnostic, RuleBook};
use runtime::Clock;
use serde_json::Value;

use crate::cli::RulesCommand;

/// There are findings.
const FINDINGS: u8 = 1;
/// It cannot run.
const CANNOT: u8 = 2;

/// Runs the command; what keeps it from running is printed.
pub async fn run(command: RulesCommand) -> ExitCode {
    let ran = match command {
        RulesCommand::Check { paths, output } => check::run(&paths, output),
        RulesCommand::Test { paths, output } => unit::run(&paths, output),
        RulesCommand::Match { rules, events } => events::matches(&rules, &events),
        RulesCommand::Replay { rules, events, time_field, id_field } => {
            events::replay(&rules, &events, &time_field, id_field.as_deref())
        }
        RulesCommand::Backtest(args) => backtest::run(args).await,
        RulesCommand::Explain(args) => explain::run(args).await,
        RulesCommand::Coverage(args) => coverage::run(args).await,
        RulesCommand::Convert(args) => convert::run(&args),
        RulesCommand::Schema => print_lines([rules::schema::rule()].into_iter()).map(|()| true),
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FINDINGS),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(CANNOT)
        }
    }
}

/// Texts of rule files by the name they are told of.
fn read_texts(paths: &[PathBuf]) -> Result<BTreeMap<String, String>> {
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
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("there is no .yml or .yaml file in {}", paths.join(", "));
    }
    Ok(texts)
}

/// Reads rule files; those of several paths see each other's rules.
fn read_book(paths: &[PathBuf]) -> Result<(RuleBook, Vec<Diagnostic>)> {
    let texts = read_texts(paths)?;
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

/// The whole of a file, or of standard input when it is called `-`.
fn read(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn print_lines(lines: impl Iterator<Item = Value>) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// A moment: RFC 3339, or a length of time before now.
fn moment(flag: &str, text: &str) -> Result<UnixNanos> {
    if let Some(moment) = UnixNanos::from_rfc3339(text) {
        return Ok(moment);
    }
    let Some(ago) = rules::timespan_nanos(text) else {
        bail!("{flag} must be RFC 3339, or how long ago, as in 24h or 7d; got {text:?}");
    };
    Ok(UnixNanos(Clock::system().unix_nanos()).plus(-ago))
}

/// The time between two moments; up to now when there is no second.
fn range(from: &str, to: Option<&str>) -> Result<model::TimeRange> {
    let start = moment("--from", from)?;
    let end = match to {
        Some(to) => moment("--to", to)?,
        None => UnixNanos(Clock::system().unix_nanos()),
    };
    if start >= end {
        bail!("--from {start} must lie before --to {end}");
    }
    Ok(model::TimeRange { start, end })
}

/// The one rule that is meant: by its id, or the only one that raises alerts, or the only one.
fn the_rule(book: &RuleBook, asked: Option<&str>) -> Result<String> {
    let all: Vec<_> =
        book.files().into_iter().flat_map(|file| file.rules).filter(|rule| rule.kind != "filter").collect();
    if let Some(id) = asked {
        let found = all.iter().find(|rule| rule.info.id == id || rule.info.title == id);
        return found.map(|rule| rule.info.id.clone()).with_context(|| format!("there is no rule {id:?}"));
    }
    let loud: Vec<_> = all.iter().filter(|rule| !rule.silent).collect();
    let only = if let [only] = loud.as_slice() { Some(*only) } else { None };
    let only = only.or(if let [only] = all.as_slice() { Some(only) } else { None });
    only.map(|rule| rule.info.id.clone()).with_context(|| {
        let ids: Vec<String> = all.iter().map(|rule| format!("{} ({})", rule.info.id, rule.info.title)).collect();
        format!("there are several rules; name one with --rule: {}", ids.join(", "))
    })
}
