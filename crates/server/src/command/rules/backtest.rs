//! `tracehound rules backtest`: rules over stored events, here or at a running server.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use model::TimeRange;
use pipeline::places::PlacesFile;
use pipeline::shelf;
use query::{BacktestRequest, ReplayProgress, Watch};
use rules::RuleBook;
use serde_json::{Value, json};

use super::remote::Remote;
use super::store::Store;
use super::{print_lines, range};
use crate::cli::{BacktestArgs, Output};
use crate::wiring;

/// How often a running server is asked how far it is, and progress is told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Characters of the longest bar.
const BAR_CHARS: u64 = 40;
/// Bars printed of a rule.
const BARS: usize = 48;

/// Runs it and prints what was found; whether it is whole and no rule is too loud.
pub async fn run(args: BacktestArgs) -> Result<bool> {
    let range = range(&args.from, args.to.as_deref())?;
    let texts = texts(&args.rules)?;
    let found = match Remote::of(&args.store)? {
        Some(server) => at_server(&server, &texts, range, !args.no_compare).await?,
        None => here(&args, texts, range).await?,
    };
    match args.output {
        Output::Json => print_lines(std::iter::once(found.clone()))?,
        Output::Text => print(&found),
    }
    let rules = || found["rules"].as_array().into_iter().flatten();
    let is_loud = |rule: &Value| args.max_alerts.is_some_and(|most| rule["alerts"].as_u64().unwrap_or(0) > most);
    for rule in rules().filter(|rule| is_loud(rule)) {
        eprintln!("{}: {} alerts are more than --max-alerts", text(&rule["title"]), rule["alerts"]);
    }
    let is_whole = found["reason"] == "whole";
    if !is_whole {
        eprintln!(
            "ended early ({}): what was found covers the time up to {}",
            text(&found["reason"]),
            text(&found["progress"]["at_time"])
        );
    }
    Ok(is_whole && !rules().any(is_loud))
}

/// Texts by the name they have in a folder of rules.
fn texts(path: &Path) -> Result<BTreeMap<String, String>> {
    if !path.exists() {
        bail!("{} does not exist", path.display());
    }
    let texts = shelf::read_folder(path)?;
    if texts.is_empty() {
        bail!("there is no .yml or .yaml file in {}", path.display());
    }
    Ok(texts)
}

async fn here(args: &BacktestArgs, texts: BTreeMap<String, String>, range: TimeRange) -> Result<Value> {
    let store = Store::open(&args.store).await?;
    let folder = args.deployed.clone().or_else(|| Some(store.resolved.rules_dir.clone()).filter(|dir| dir.is_dir()));
    let mut deployed = RuleBook::new();
    if let Some(folder) = &folder {
        let found = shelf::read_folder(folder)?;
        // what is wrong there is told by `rules check`
        deployed.update_all(found.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    }
    let mut tried = deployed.clone();
    let faults = tried.update_all(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    if !faults.is_empty() {
        faults.iter().for_each(|fault| eprintln!("{fault}"));
        bail!("the rules are not valid beside those in {}", folder.as_deref().unwrap_or(Path::new("-")).display());
    }
    let files: Vec<String> = texts.keys().cloned().collect();
    // a pipeline changes what other files mean
    let remapped = tried.changed_from(&deployed);
    let names: Vec<&str> = files.iter().chain(&remapped).map(String::as_str).collect();
    let in_force = deployed.related(&names);
    let compares = !args.no_compare && !in_force.ids.is_empty();
    let request = BacktestRequest { candidate: tried.related(&names), deployed: compares.then_some(in_force), range };
    let (limits, watch) = (store.backtest_limits(), Watch::new());
    let places = store.resolved.settings.geo.database.as_deref().map(PlacesFile::open);
    let places = wiring::places(places.as_ref());
    let running = store.query.backtest(&store.tenant, &request, &limits, places, &watch);
    tokio::pin!(running);
    let mut look = tokio::time::interval(LOOK_EVERY);
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome?,
            _ = look.tick() => told(watch.progress()),
            _ = tokio::signal::ctrl_c() => watch.cancel(),
        }
    };
    Ok(api::report::backtest(files, range, outcome))
}

async fn at_server(
    server: &Remote,
    texts: &BTreeMap<String, String>,
    range: TimeRange,
    compare: bool,
) -> Result<Value> {
    let files: Vec<Value> = texts.iter().map(|(file, text)| json!({"file": file, "text": text})).collect();
    let body =
        json!({"files": files, "start": range.start.to_string(), "end": range.end.to_string(), "compare": compare});
    let started = server.post("/api/v1/rules/backtests", &body).await?;
    let id = started["id"].as_str().context("the server gave no id")?;
    let path = format!("/api/v1/rules/backtests/{id}");
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            _ = tokio::signal::ctrl_c() => drop(server.delete(&path).await?),
        }
        let job = server.get(&path, &[]).await?;
        match job["state"].as_str() {
            Some("ended") => break,
            Some("failed") => bail!("the backtest could not go on: {}", text(&job["reason"])),
            _ => told_of(&job["progress"]),
        }
    }
    let found = server.get(&format!("{path}/result"), &[]).await?;
    // it is kept for those who come back for it, and nobody does
    server.delete(&path).await?;
    Ok(found)
}

fn told(progress: ReplayProgress) {
    let ReplayProgress { files, files_done, rows_done, at, .. } = progress;
    line(&format!("{files_done} of {files} files, {rows_done} events, up to {at}"));
}

fn told_of(progress: &Value) {
    let (files, done, events) = (&progress["files"], &progress["files_done"], &progress["events_done"]);
    line(&format!("{done} of {files} files, {events} events, up to {}", text(&progress["at_time"])));
}

/// Where a person looks on, one line that is written over.
fn line(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[2K{text}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn print(found: &Value) {
    line("");
    println!("{} events judged", found["progress"]["events_done"]);
    for rule in found["rules"].as_array().into_iter().flatten() {
        print_rule(rule);
    }
    for file in found["missing_files"].as_array().into_iter().flatten() {
        println!("not judged: {} is damaged or gone", text(file));
    }
}

fn print_rule(rule: &Value) {
    println!("\n{} ({}, {})", text(&rule["title"]), text(&rule["level"]), text(&rule["id"]));
    let mut said = format!(
        "  {} alerts, {} matched, {} held back as repeats",
        rule["alerts"], rule["matched"], rule["suppressed"]
    );
    let diff = &rule["diff"];
    if diff.is_object() {
        let (new, gone, both) = (&diff["only_new"], &diff["only_deployed"], &diff["both"]);
        said.push_str(&format!("; beside the version in force: {new} new, {gone} gone, {both} the same"));
        if diff["not_compared"].as_u64() > Some(0) {
            said.push_str(&format!(", {} not compared", diff["not_compared"]));
        }
    }
    println!("{said}");
    if rule["baseline"]["empty"] == true {
        println!("  its baseline began with nothing at {}", text(&rule["baseline"]["from_time"]));
    } else if rule["baseline"].is_object() {
        println!("  its baseline learned from stored events from {} on", text(&rule["baseline"]["from_time"]));
    }
    for (key, what) in
        [("evicted", "events forgotten because a bound on memory was met"), ("limited", "matches beyond a bound")]
    {
        if rule[key].as_u64() > Some(0) {
            println!("  {} {what}: alerts may be missing", rule[key]);
        }
    }
    print_histogram(rule["histogram"].as_array().map(Vec::as_slice).unwrap_or_default());
    let lists = [("", &rule["samples"]), ("new: ", &diff["new_samples"]), ("gone: ", &diff["deployed_samples"])];
    for (what, samples) in lists {
        for sample in samples.as_array().into_iter().flatten() {
            println!("  {what}{} {}", text(&sample["time"]), text(&sample["reason"]));
        }
    }
}

fn print_histogram(bars: &[Value]) {
    let count = |bar: &Value| bar["alerts"].as_u64().unwrap_or(0).max(bar["deployed"].as_u64().unwrap_or(0));
    let most = bars.iter().map(count).max().unwrap_or(0).max(1);
    for bar in bars.iter().take(BARS) {
        let alerts = bar["alerts"].as_u64().unwrap_or(0);
        let length = usize::try_from((alerts * BAR_CHARS).div_ceil(most)).unwrap_or(0);
        println!("  {}  {:<40}  {alerts}", text(&bar["start_time"]).get(..16).unwrap_or_default(), "#".repeat(length));
    }
    if bars.len() > BARS {
        println!("  and {} more hours with alerts", bars.len() - BARS);
    }
}
