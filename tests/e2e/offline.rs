//! Rules without a server: check, test, match and replay, as people run them in CI.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::{binary, root};

const RULES: &str = "title: failed login
id: aaaaaaaa-0000-4000-8000-000000000001
name: failed
logsource: {product: otel}
detection:
  sel: {action: login, outcome: failure}
  condition: sel
---
title: many failed logins
id: aaaaaaaa-0000-4000-8000-000000000002
correlation:
  type: event_count
  rules: [failed]
  group-by: [user]
  timespan: 1m
  condition: {gte: 3}
level: high
";

const EVENTS: &str = r#"{"ts":1000,"id":"e0","action":"login","outcome":"failure","user":"ann"}
{"ts":"1970-01-01T00:00:02Z","id":"e1","action":"login","outcome":"failure","user":"ann"}
{"ts":3000,"id":"e2","action":"login","outcome":"success","user":"ann"}
{"ts":4000,"id":"e3","action":"login","outcome":"failure"}
{"ts":30000,"id":"e4","action":"login","outcome":"failure","user":"ann"}
"#;

fn tracehound(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary()).args(arguments).output()?)
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn write(folder: &Path) -> Result<(String, String)> {
    let (rules, events) = (folder.join("rules.yml"), folder.join("events.jsonl"));
    std::fs::write(&rules, RULES)?;
    std::fs::write(&events, EVENTS)?;
    Ok((rules.to_string_lossy().into_owned(), events.to_string_lossy().into_owned()))
}

#[test]
fn match_prints_rule_and_line_of_each_match() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (rules, events) = write(folder.path())?;
    let found = lines(&tracehound(&["rules", "match", "--rules", &rules, "--events", &events])?)?;
    let id = "aaaaaaaa-0000-4000-8000-000000000001";
    let expected: Vec<_> = [0, 1, 3, 4].map(|line| json!({"rule": id, "event": line})).into();
    ensure!(found == expected, "{found:?}");
    Ok(())
}

#[test]
fn replay_prints_each_alert_with_its_group_time_and_events() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (rules, events) = write(folder.path())?;
    let arguments =
        ["rules", "replay", "--rules", &rules, "--events", &events, "--time-field", "ts", "--id-field", "id"];
    let found = lines(&tracehound(&arguments)?)?;
    let expected = json!({"rule": "aaaaaaaa-0000-4000-8000-000000000002", "group": {"user": "ann"}, "at_ms": 30000,
        "event_ids": ["e0", "e1", "e4"]});
    ensure!(found == [expected], "{found:?}");
    Ok(())
}

#[test]
fn check_names_file_line_and_column_and_fails() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("wrong.yml");
    std::fs::write(&path, RULES.replace("condition: sel", "condition: sell"))?;
    let output = tracehound(&["rules", "check", &path.to_string_lossy()])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{:?}: {said}", output.status);
    ensure!(said.contains("wrong.yml:7:"), "{said}");
    Ok(())
}

#[test]
fn check_warns_of_what_is_never_evaluated_until_a_pipeline_maps_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let windows = RULES.replace("{product: otel}", "{product: windows, service: security}");
    std::fs::write(folder.path().join("windows.yml"), windows)?;
    let path = folder.path().to_string_lossy().into_owned();
    let output = tracehound(&["rules", "check", &path])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}");
    ensure!(said.contains("windows.yml:4:12: warning: no pipeline maps log source"), "{said}");
    ensure!(said.contains("0 problem(s), 1 warning(s), 1 rule(s) never evaluated"), "{said}");
    let warned = lines(&tracehound(&["rules", "check", &path, "--output", "json"])?)?;
    ensure!(warned.len() == 1 && warned[0]["severity"] == "warning" && warned[0]["line"] == 4, "{warned:?}");

    std::fs::create_dir(folder.path().join("pipelines"))?;
    let pipeline = "name: mine\ntransformations:\n- {type: set_signal, signal: log}\n- {type: field_name_mapping, mapping: {action: act}}\n";
    std::fs::write(folder.path().join("pipelines/mine.yml"), pipeline)?;
    let output = tracehound(&["rules", "check", &path])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() && said.trim() == "2 rules in 2 files, 0 problem(s)", "{said}");
    let events = folder.path().join("events.jsonl");
    std::fs::write(&events, r#"{"act": "login", "outcome": "failure"}"#)?;
    let found = lines(&tracehound(&["rules", "match", "--rules", &path, "--events", &events.to_string_lossy()])?)?;
    ensure!(found.len() == 1, "{found:?}");
    Ok(())
}

#[test]
fn the_shipped_rules_are_valid_and_pass_their_own_tests() -> Result<()> {
    let rules = root().join("rules").to_string_lossy().into_owned();
    for command in ["check", "test"] {
        let output = tracehound(&["rules", command, &rules])?;
        ensure!(output.status.success(), "rules {command}: {}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}

#[test]
fn config_and_version_answer_without_a_server() -> Result<()> {
    ensure!(tracehound(&["version"])?.status.success(), "version");
    ensure!(tracehound(&["config", "check"])?.status.success(), "defaults are valid");
    let printed = tracehound(&["config", "print", "--webhook", "https://example.com/SECRET"])?;
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    ensure!(printed.status.success() && text.contains("[otlp]") && !text.contains("SECRET"), "{text}");
    let wrong = tracehound(&["config", "check", "--webhook", "ftp://example.com"])?;
    ensure!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("alerts.webhooks"), "{wrong:?}");
    Ok(())
}
