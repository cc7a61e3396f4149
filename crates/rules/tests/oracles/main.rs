//! The engine agrees with independent oracles on public Sigma rules.
//!
//! The data sets belong to others and are not part of this repository; where they are absent the tests say so and pass.

mod panther;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use rules::{RuleBook, offline};
use serde_json::Value as Json;

/// Rules of the SigmaHQ set whose log source a shipped pipeline maps.
const MAPPED: usize = 451;

fn cases(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases").join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn read_json(path: PathBuf) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON")
}

#[test]
fn correlations_fire_at_the_moments_the_oracle_names() {
    let Some(path) = cases("sigma-correlation/golden.json") else { return };
    let golden = read_json(path);
    let columns: Vec<&str> = golden["columns"].as_array().expect("columns").iter().filter_map(Json::as_str).collect();
    let cases = golden["cases"].as_array().expect("cases");
    let mut alerts = 0;
    let mut wrong = Vec::new();
    for case in cases {
        let mut book = RuleBook::new();
        book.update("rule.yml", case["rule_yaml"].as_str().expect("text")).expect("a valid rule");
        let mut lines: Vec<String> = Vec::new();
        for row in case["events"].as_array().expect("events") {
            let named = columns
                .iter()
                .zip(row.as_array().expect("row"))
                .map(|(name, value)| ((*name).to_owned(), value.clone()));
            lines.push(Json::Object(named.collect()).to_string());
        }
        // the order of lines must not matter
        lines.reverse();
        let found = offline::replay(&book.compile(), lines.iter().map(String::as_str), "ts", "id").expect("replayed");
        let found: BTreeSet<String> = found
            .iter()
            .map(|alert| {
                let json = alert.to_json();
                format!("{} {} {}", json["at_ms"], json["group"], json["event_ids"])
            })
            .collect();
        let expected = case["expected"].as_array().expect("expected");
        alerts += expected.len();
        let expected: BTreeSet<String> = expected
            .iter()
            .map(|alert| format!("{} {} {}", alert["at_ms"], alert["group"], alert["event_ids"]))
            .collect();
        if found != expected {
            let missing: Vec<_> = expected.difference(&found).take(3).collect();
            let surplus: Vec<_> = found.difference(&expected).take(3).collect();
            wrong.push(format!("{} seed {}: missing {missing:?}, surplus {surplus:?}", case["name"], case["seed"]));
        }
    }
    let alike = cases.len() - wrong.len();
    println!("rules   sigma-correlation    {alike}/{} cases with the same {alerts} alerts", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sigmahq_rules_match_the_events_the_oracle_names() {
    let Some(path) = cases("sigma-stateless") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let status = Command::new("tar").arg("-xJf").arg(path.join("rules.tar.xz")).arg("-C").arg(folder.path()).status();
    assert!(status.expect("tar runs").success());
    let files = yaml_files(folder.path().to_path_buf());
    let texts: Vec<(String, String)> = files
        .into_iter()
        .map(|file| (file.display().to_string(), std::fs::read_to_string(&file).expect("readable")))
        .collect();
    let mut book = RuleBook::new();
    let start = std::time::Instant::now();
    let faults = book.update_all(texts.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    let loading = start.elapsed();
    // most of the rules are for operating systems, whose events are not OpenTelemetry's
    let loaded: Vec<_> = book.files().into_iter().flat_map(|file| file.rules).collect();
    let mapped = loaded.iter().filter(|rule| rule.is_mapped).count();
    println!("{} rules load in {loading:?}, {mapped} of them from log sources that are mapped", loaded.len());
    assert_eq!(mapped, MAPPED, "rules of log sources that shipped pipelines map");
    faults.iter().take(20).for_each(|fault| println!("{fault}"));
    let set = book.compile();
    let events = std::fs::read_to_string(path.join("events.ndjson")).expect("readable");
    let lines: Vec<String> =
        events.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON")["event"].to_string()).collect();
    let golden = read_json(path.join("golden-matrix.json"));
    let mut expected: BTreeSet<(String, u64)> = BTreeSet::new();
    for (rule, events) in golden["matches"].as_object().expect("matches") {
        expected.extend(
            events.as_array().expect("events").iter().map(|event| (rule.clone(), event.as_u64().expect("line"))),
        );
    }
    let found = offline::match_events(&set, lines.iter().map(String::as_str)).expect("matched");
    let found: BTreeSet<(String, u64)> = found.into_iter().map(|found| (found.rule, found.event as u64)).collect();
    let rules = golden["rules_evaluated"].as_u64().expect("a number");
    let verdicts = rules * lines.len() as u64;
    let titles: BTreeMap<&str, &str> = set.infos().map(|info| (info.id.as_str(), info.title.as_str())).collect();
    for (rule, event) in expected.symmetric_difference(&found).take(30) {
        println!("differs: {rule} {:?} event {event}", titles.get(rule.as_str()));
    }
    let differing = expected.symmetric_difference(&found).count() as u64;
    println!(
        "rules   sigma-stateless      {}/{verdicts} verdicts of {} rules, {} files with faults",
        verdicts - differing,
        set.len(),
        faults.len()
    );
    assert_eq!((differing, set.len() as u64, faults.len()), (0, rules, 0));
}

#[test]
fn the_samples_of_the_specification_parse() {
    let Some(path) = cases("sigma-spec/tests/schema") else { return };
    let files = yaml_files(path);
    assert!(files.len() >= 12);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        let faults = rules::check("sample.yml", &text).err().unwrap_or_default();
        // the samples refer to rules that are not beside them
        let other: Vec<_> = faults.iter().filter(|fault| fault.code != "unknown-rule").collect();
        assert!(other.is_empty(), "{}: {other:?}", file.display());
    }
}

fn yaml_files(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
