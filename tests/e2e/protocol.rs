//! What the protocol promises beyond the collector: copies count once, ids are found however they are written, texts
//! come back as they were sent.

use std::io::Write;
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Server, unix_nanos, wait_for};

const RULE: &str = "title: failed login
name: failed_login
id: 5b1d6a0e-6f43-4ad8-8f6e-0a8ee9b1a001
logsource: {product: otel, category: span}
detection:
  failed: {http.route: /login, http.response.status_code: 401}
  condition: failed
---
title: many failed logins
id: 5b1d6a0e-6f43-4ad8-8f6e-0a8ee9b1a002
correlation:
  type: event_count
  rules: [failed_login]
  group-by: [user.id]
  timespan: 5m
  condition: {gte: 6}
level: high
";

fn attribute(key: &str, value: Value) -> Value {
    json!({"key": key, "value": value})
}

fn request(spans: Vec<Value>) -> Vec<u8> {
    let resource = json!({"attributes": [attribute("service.name", json!({"stringValue": "gateway"}))]});
    let scope_spans = json!([{"spans": spans}]);
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": scope_spans}]}).to_string().into_bytes()
}

/// A login that failed; every number is another span of one trace.
fn failed_login(start: u64, number: u64) -> Value {
    json!({
        "traceId": "00000000000000000000000000000abc",
        "spanId": format!("{number:016x}"),
        "name": "POST /login",
        "kind": 2,
        "startTimeUnixNano": (start + number * 1_000_000).to_string(),
        "endTimeUnixNano": (start + number * 1_000_000 + 5).to_string(),
        "attributes": [
            attribute("http.route", json!({"stringValue": "/login"})),
            attribute("http.response.status_code", json!({"intValue": "401"})),
            attribute("user.id", json!({"stringValue": "mallory"})),
        ],
    })
}

fn post(server: &Server, signal: &str, body: &[u8]) -> Result<Value> {
    let client = tests::client().build()?;
    let request = client.post(format!("{}/v1/{signal}", server.http)).header("content-type", "application/json");
    let answer = request.body(body.to_vec()).send()?;
    ensure!(answer.status() == 200, "{answer:?}");
    Ok(answer.json()?)
}

/// Sends and does not wait for the answer: it is lost, as when a connection breaks.
fn post_and_hang_up(server: &Server, body: &[u8]) -> Result<()> {
    let mut socket = TcpStream::connect(server.http.trim_start_matches("http://"))?;
    let length = body.len();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    socket.write_all(&[head.as_bytes(), body].concat())?;
    Ok(())
}

#[test]
fn otlp_16_27_47_what_is_sent_again_counts_once_for_readers_and_rules() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    std::fs::create_dir_all(&rules)?;
    std::fs::write(rules.join("rule.yml"), RULE)?;
    let server = Server::start(&folder.path().join("data"), &["--rules", &rules.to_string_lossy()])?;
    let start = unix_nanos() - 5_000_000_000;
    let five = request((1..=5).map(|number| failed_login(start, number)).collect());
    // who hangs up before the request was read has sent nothing, and sends it again
    wait_for("what was sent without waiting", || {
        post_and_hang_up(&server, &five)?;
        server.get("/api/v1/traces/abc").map(drop)
    })?;
    for _ in 0..3 {
        ensure!(post(&server, "traces", &five)? == json!({}), "resending is no fault");
    }
    // the same spans, packed otherwise: stored again, and folded by whoever reads them
    post(&server, "traces", &request((1..=5).rev().map(|number| failed_login(start, number)).collect()))?;
    let trace = server.get("/api/v1/traces/abc")?;
    ensure!(trace["spans"].as_array().map(Vec::len) == Some(5), "many copies, one trace: {trace}");
    let services = server.items("/api/v1/services")?;
    ensure!(services[0]["spans"] == 5, "{services:?}");
    let found = server.items("/api/v1/traces/search?service=gateway")?;
    ensure!(found.len() == 1 && found[0]["span_count"] == 5, "{found:?}");
    let of_six = || -> Result<Vec<Value>> {
        let alerts = server.items("/api/v1/alerts")?;
        Ok(alerts.into_iter().filter(|alert| alert["rule_title"] == "many failed logins").collect())
    };
    ensure!(of_six()?.is_empty(), "five failures are not six");

    // the sixth is another event, and proves that the rule has seen all before it
    post(&server, "traces", &request(vec![failed_login(start, 6)]))?;
    let alerts = wait_for("the incident", || {
        let alerts = of_six()?;
        ensure!(!alerts.is_empty(), "no incident yet");
        Ok(alerts)
    })?;
    ensure!(alerts.len() == 1, "{alerts:?}");
    let alert = server.get(&format!("/api/v1/alerts/{}", alerts[0]["id"].as_str().context("an id")?))?;
    ensure!(alert["evidence"].as_array().map(Vec::len) == Some(6), "each event once: {alert}");
    Ok(())
}

#[test]
fn otlp_16_47_log_records_that_are_sent_again_count_once_also_after_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trace_id = "00000000000000000000000000000abc";
    // a clock that tells less than microseconds does not tell one record from another
    let time = unix_nanos() / 1_000 * 1_000 + 7;
    let record =
        json!({"timeUnixNano": time.to_string(), "traceId": trace_id, "body": {"stringValue": "login failed"}});
    let request = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).to_string();
    let stored = |server: &Server| server.items(&format!("/api/v1/logs/search?trace_id={trace_id}"));
    let server = Server::start(folder.path(), &[])?;
    for _ in 0..3 {
        ensure!(post(&server, "logs", request.as_bytes())? == json!({}), "resending is no fault");
    }
    ensure!(stored(&server)?.len() == 1, "{:?}", stored(&server)?);
    let metrics = server.get("/metrics")?;
    let line = "tracehound_collect_resent_requests_total{signal=\"logs\"} 2";
    ensure!(metrics.as_str().context("text")?.contains(line), "{metrics}");
    server.kill()?;
    let server = Server::start(folder.path(), &[])?;
    ensure!(post(&server, "logs", request.as_bytes())? == json!({}), "resending is no fault");
    ensure!(stored(&server)?.len() == 1, "{:?}", stored(&server)?);
    Ok(())
}

#[test]
fn otlp_48_61_ids_are_found_short_or_whole_and_in_either_case() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let start = unix_nanos() - 5_000_000_000;
    let (whole, span_id) = ("00000000000000000000000000000abc", "00000000000000EF");
    let mut span = failed_login(start, 1);
    span["traceId"] = json!(whole.to_uppercase());
    span["spanId"] = json!(span_id);
    post(&server, "traces", &request(vec![span]))?;
    let record = json!({"timeUnixNano": start.to_string(), "traceId": whole, "spanId": span_id, "body": {"stringValue": "hello"}});
    post(&server, "logs", json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).to_string().as_bytes())?;
    for written in [whole, "abc", "ABC", "0abc", "0000000000000ABC"] {
        let trace = server.get(&format!("/api/v1/traces/{written}"))?;
        ensure!(trace["trace_id"] == whole && trace["spans"][0]["span_id"] == "00000000000000ef", "{written}: {trace}");
        let logs = server.items(&format!("/api/v1/logs/search?trace_id={written}"))?;
        ensure!(logs.len() == 1 && logs[0]["trace_id"] == whole, "{written}: {logs:?}");
    }
    for wrong in ["0x0abc", "abg", &format!("0{whole}"), "0"] {
        let answer = server.send(reqwest::Method::GET, &format!("/api/v1/traces/{wrong}"), None)?;
        ensure!(answer.status() == 400, "{wrong}: {}", answer.status());
    }
    Ok(())
}

#[test]
fn otlp_65_70_hostile_texts_and_all_flags_come_back_through_the_api() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let start = unix_nanos() - 5_000_000_000;
    let hostile = "\0 \u{202e}evil \u{1b}[31m \u{1e}\u{1f}\u{1c} <script>alert(1)</script> ${jndi:ldap} {{7*7}}";
    let large = "ä\u{0}".repeat(350_000);
    let mut span = failed_login(start, 1);
    span["name"] = json!(hostile);
    span["flags"] = json!(u32::MAX);
    for (key, value) in [("note", hostile), ("large", large.as_str()), (hostile, "a key too")] {
        span["attributes"].as_array_mut().context("a list")?.push(attribute(key, json!({"stringValue": value})));
    }
    post(&server, "traces", &request(vec![span]))?;
    let trace = server.get("/api/v1/traces/abc")?;
    let span = &trace["spans"][0];
    ensure!(span["name"] == hostile, "{}", span["name"]);
    ensure!(span["flags"] == u32::MAX, "{}", span["flags"]);
    let attributes = &span["attributes"];
    ensure!(attributes["note"] == hostile && attributes[hostile] == "a key too", "{attributes}");
    ensure!(attributes["large"] == large, "a text of a megabyte");
    Ok(())
}
