//! Rules as code: JUnit, exit codes, explanations, coverage, conversions, and backtests here and at a running server.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Server, binary, root, unix_nanos, wait_for};

const RULE: &str = "title: refused & <noted>
id: aaaaaaaa-0000-4000-8000-000000000001
level: high
tags: [attack.t1110]
suppress: {for: 0s}
logsource: {product: otel, category: span}
detection:
  sel: {http.response.status_code: 401}
  condition: sel
tests:
  - {name: a refusal, expect: match, events: [{event: {http.response.status_code: 401}}]}
";

fn tracehound(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary()).args(arguments).env("TRACEHOUND__LOG__FILTER", "off").output()?)
}

/// What it printed, when it ended with this code.
fn said(arguments: &[&str], code: i32) -> Result<String> {
    let output = tracehound(arguments)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(code), "{arguments:?}: {:?}\n{text}{faults}", output.status);
    Ok(text + &faults)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

#[test]
fn check_and_test_write_junit_and_say_by_their_code_how_it_went() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = write(folder.path(), "good.yml", RULE)?;
    let junit = said(&["rules", "test", &good, "--output", "junit"], 0)?;
    ensure!(
        junit.contains("tests=\"1\" failures=\"0\"") && junit.contains("refused &amp; &lt;noted&gt;: a refusal"),
        "{junit}"
    );
    let failing = write(folder.path(), "failing.yml", &RULE.replace("expect: match", "expect: no_match"))?;
    let junit = said(&["rules", "test", &failing, "--output", "junit"], 1)?;
    ensure!(junit.contains("failures=\"1\"") && junit.contains("<failure message="), "{junit}");
    let broken = write(folder.path(), "broken.yml", &RULE.replace("condition: sel", "condition: sell"))?;
    let junit = said(&["rules", "check", &broken, "--output", "junit"], 1)?;
    ensure!(junit.contains("unknown-selection") && junit.contains("broken.yml:9:"), "{junit}");
    said(&["rules", "check", &good, "--output", "junit"], 0)?;
    let unmapped =
        write(folder.path(), "unmapped.yml", &RULE.replace("{product: otel, category: span}", "{product: cobol}"))?;
    let junit = said(&["rules", "check", &unmapped, "--output", "junit"], 0)?;
    ensure!(
        junit.contains("failures=\"0\"") && junit.contains("<system-out>") && junit.contains("never evaluated"),
        "{junit}"
    );
    let json: Value = serde_json::from_str(&said(&["rules", "check", &unmapped, "--output", "json"], 0)?)?;
    ensure!(json["severity"] == "warning" && json["line"] == 6, "{json}");
    let text = said(&["rules", "check", &unmapped], 0)?;
    ensure!(text.contains("1 warning(s), 1 rule(s) never evaluated"), "{text}");
    said(&["rules", "check", "/nowhere"], 2)?;
    said(&["rules", "check"], 2)?;
    said(&["rules", "backtest", &good, "--from", "soon"], 2)?;
    said(&["rules", "backtest", &good, "--from", "1h", "--data-dir", "/nowhere"], 2)?;
    Ok(())
}

#[test]
fn explain_coverage_convert_and_schema_answer_without_a_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rule = write(folder.path(), "rule.yml", RULE)?;
    let events = write(folder.path(), "events.jsonl", "{\"ts\":1000,\"http\":{\"status_code\":401}}\n")?;
    let told = said(&["rules", "explain", &rule, "--event", &events], 0)?;
    ensure!(
        told.contains("yes http.response.status_code is \"401\": \"401\" from attribute http.status_code"),
        "{told}"
    );
    let json: Value =
        serde_json::from_str(&said(&["rules", "explain", &rule, "--event", &events, "--output", "json"], 0)?)?;
    ensure!(json["events"][0]["judgements"][0]["holds"] == true, "{json}");
    said(&["rules", "coverage", &rule, "--events", &events], 0)?;
    let other = write(folder.path(), "other.jsonl", "{\"ts\":1000,\"http.route\":\"/\"}\n")?;
    let told = said(&["rules", "coverage", &rule, "--events", &other], 1)?;
    ensure!(told.contains("no event has http.response.status_code"), "{told}");
    let layer: Value =
        serde_json::from_str(&said(&["rules", "coverage", &rule, "--events", &events, "--output", "navigator"], 0)?)?;
    ensure!(layer["techniques"][0]["techniqueID"] == "T1110" && layer["techniques"][0]["score"] == 1, "{layer}");
    let sql = said(&["rules", "convert", &rule], 0)?;
    ensure!(sql.contains("FROM spans)") && sql.contains("http.status_code"), "{sql}");
    let search = said(&["rules", "convert", &rule, "--to", "search"], 0)?;
    ensure!(search.contains("/api/v1/traces/search?filter=http.response.status_code%3D401"), "{search}");
    let schema: Value = serde_json::from_str(&said(&["rules", "schema"], 0)?)?;
    ensure!(schema["properties"]["title"].is_object(), "{schema}");
    Ok(())
}

/// A trace of one span that ended a minute ago.
fn span(number: u64, status: u16) -> Value {
    let end = unix_nanos() - 60_000_000_000 + number * 1_000_000;
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": [{
            "traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "name": "login", "kind": 2,
            "startTimeUnixNano": (end - 1_000_000).to_string(), "endTimeUnixNano": end.to_string(),
            "attributes": [{"key": "http.response.status_code", "value": {"intValue": status.to_string()}}],
        }]}],
    }]})
}

#[test]
fn a_backtest_here_and_one_at_a_running_server_tell_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, deployed) = (folder.path().join("data"), folder.path().join("deployed"));
    std::fs::create_dir(&deployed)?;
    write(&deployed, "rule.yml", RULE)?;
    let tried = write(folder.path(), "rule.yml", &RULE.replace("401", "[401, 403]"))?;
    let deployed = deployed.to_string_lossy().into_owned();
    let server = Server::start(&data, &["--rules", &deployed])?;
    let client = tests::client().build()?;
    for (number, status) in [(1, 401), (2, 403), (3, 200), (4, 403)] {
        let request = client.post(format!("{}/v1/traces", server.http)).header("content-type", "application/json");
        let answer = request.body(span(number, status).to_string()).send()?;
        ensure!(answer.status().is_success(), "{answer:?}");
    }
    wait_for("the events", || {
        let judged = server.metric("tracehound_detect_events_total")?;
        ensure!(judged >= 4.0, "{judged} events judged");
        Ok(())
    })?;
    let figures = |text: &str| -> Result<Value> {
        let found: Value = serde_json::from_str(text.lines().next().context("an answer")?)?;
        let rule = &found["rules"][0];
        Ok(json!([
            found["reason"],
            rule["alerts"],
            rule["deployed_alerts"],
            rule["diff"]["only_new"],
            rule["diff"]["both"]
        ]))
    };
    let base = server.base.clone();
    let asked = ["rules", "backtest", &tried, "--from", "1h", "--output", "json"];
    let there = said(&[&asked[..], &["--url", &base]].concat(), 0)?;
    ensure!(figures(&there)? == json!(["whole", 3, 1, 2, 1]), "{there}");
    let loud = said(&[&asked[..], &["--url", &base, "--max-alerts", "2"]].concat(), 1)?;
    ensure!(loud.contains("--max-alerts"), "{loud}");
    let told = said(&["rules", "explain", &tried, "--trace", &format!("{:032x}", 2), "--url", &base], 0)?;
    ensure!(told.contains("\"403\" from column http.response.status_code"), "{told}");
    said(&["rules", "coverage", "--url", &base, "--from", "1h"], 0)?;
    let data = data.to_string_lossy().into_owned();
    said(&[&asked[..], &["--data-dir", &data]].concat(), 2)?;
    ensure!(server.stop()?.success(), "the server stops");
    let here = said(&[&asked[..], &["--data-dir", &data, "--deployed", &deployed]].concat(), 0)?;
    ensure!(figures(&here)? == figures(&there)?, "{here}");
    let told = said(&["rules", "coverage", &tried, "--data-dir", &data, "--from", "1h"], 0)?;
    ensure!(told.contains("1 rules can fire, 0 cannot"), "{told}");
    Ok(())
}

#[test]
fn every_shipped_rule_on_single_events_becomes_sql_that_the_store_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start(&data, &[])?;
    ensure!(server.stop()?.success(), "the server stops");
    let rules = root().join("rules").to_string_lossy().into_owned();
    // some cannot be said, and that is said
    let output = tracehound(&["rules", "convert", &rules, "--output", "json"])?;
    let lines: Vec<Value> =
        String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let data = data.to_string_lossy().into_owned();
    let mut ran = 0;
    // each run opens the store anew; those of every fifth rule show all shapes
    for rule in lines.iter().filter(|rule| rule["error"].is_null()).step_by(5) {
        for query in rule["queries"].as_array().context("queries")? {
            let sql = query.as_str().context("text")?;
            let answer = tracehound(&["query", sql, "--data-dir", &data])?;
            ensure!(answer.status.success(), "{}: {sql}\n{}", rule["title"], String::from_utf8_lossy(&answer.stderr));
            ran += 1;
        }
    }
    ensure!(ran >= 10, "{ran} queries of {} rules ran", lines.len());
    Ok(())
}
