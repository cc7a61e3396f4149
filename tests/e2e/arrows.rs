//! One test per arrow of the straight line: acknowledged > durable > searchable > judged > incident > webhook.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::receiver::Receiver;
use tests::{Server, script, unix_nanos, wait_for};

/// A rule on single events, for spans that the demo shop sends when it is attacked.
const SSRF_RULE: &str = "title: metadata address is called
id: 7e1e7a0e-6f43-4ad8-8f6e-0a8ee9b1a001
logsource: {product: otel, category: span}
detection:
  call:
    server.address: 169.254.169.254
  condition: call
level: critical
tags: [attack.t1552.005]
author: end-to-end test
";

fn rules_folder(folder: &std::path::Path, text: &str) -> Result<String> {
    let rules = folder.join("rules");
    std::fs::create_dir_all(&rules)?;
    std::fs::write(rules.join("rule.yml"), text)?;
    Ok(rules.to_string_lossy().into_owned())
}

/// Sends the demo's attack as it would have happened a minute ago; the traces of its SSRF stage.
fn send_attack(server: &Server) -> Result<usize> {
    let scenario = simulate::attack(11, unix_nanos() - 60_000_000_000);
    let mut sent = 0;
    for (_, export) in scenario.exports {
        let signal = match export.signal {
            simulate::Signal::Traces => "traces",
            simulate::Signal::Logs => "logs",
        };
        let answer = server.export(signal, export.body)?;
        ensure!(answer.status().is_success(), "export answered {}", answer.status());
        sent += export.events;
    }
    Ok(sent)
}

#[test]
fn what_was_acknowledged_is_searchable_at_once_by_every_read_route() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let sent = script::send(&server, "http", 5, None)?;
    let trace_ids = sent["trace_ids"].as_array().expect("sender lists its traces");
    for trace_id in trace_ids {
        let trace_id = trace_id.as_str().expect("trace ids are text");
        // no waiting here: the sender has flushed, so everything was acknowledged, so everything is visible
        let trace = server.get(&format!("/api/v1/traces/{trace_id}"))?;
        ensure!(trace["trace_id"] == trace_id && trace["spans"].as_array().map(Vec::len) == Some(3), "{trace}");
        let logs = server.items(&format!("/api/v1/logs/search?trace_id={trace_id}"))?;
        ensure!(logs.len() == 1 && logs[0]["trace_id"] == trace_id, "{logs:?}");
    }
    let found = server.items("/api/v1/traces/search?limit=2")?;
    ensure!(found.len() == trace_ids.len(), "{} of {} traces found over pages of two", found.len(), trace_ids.len());
    let services = server.items("/api/v1/services")?;
    ensure!(!services.is_empty(), "no service");
    let name = services[0]["name"].as_str().unwrap_or_default();
    ensure!(!server.items(&format!("/api/v1/services/{name}/operations"))?.is_empty(), "no operation of {name}");
    ensure!(server.get("/api/v1/service-map")?["nodes"].as_array().is_some_and(|nodes| !nodes.is_empty()), "empty map");
    Ok(())
}

#[test]
fn a_matching_span_becomes_one_incident_and_one_verified_webhook() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = rules_folder(folder.path(), SSRF_RULE)?;
    // the first two attempts are answered 500: the delivery that counts is a retry under the same id
    let receiver = Receiver::start(folder.path(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 2)?;
    let secret_file = receiver.secret_file().to_string_lossy().into_owned();
    let data = folder.path().join("data");
    let flags = ["--rules", &rules, "--webhook", &receiver.url, "--webhook-secret-file", &secret_file];
    let server = Server::start(&data, &flags)?;
    send_attack(&server)?;

    let hook = wait_for("a delivered webhook", || {
        let received = receiver.received()?;
        ensure!(received.len() >= 3, "{} requests so far", received.len());
        Ok(received[2].clone())
    })?;
    let received = receiver.received()?;
    ensure!(received.iter().all(|request| request["verified"] == true), "a signature did not verify: {received:?}");
    ensure!(received.iter().all(|request| request["id"] == hook["id"]), "retries have the id of the first attempt");
    let body: Value = match &hook["body"] {
        Value::String(text) => serde_json::from_str(text)?,
        body => body.clone(),
    };
    ensure!(body["type"] == "alert.created", "{body}");
    ensure!(body["data"]["rule"]["id"] == "7e1e7a0e-6f43-4ad8-8f6e-0a8ee9b1a001", "{body}");

    let id = body["data"]["id"].as_str().expect("an alert has an id");
    let alert = server.get(&format!("/api/v1/alerts/{id}"))?;
    let evidence = alert["evidence"].as_array().expect("an alert has evidence");
    ensure!(!evidence.is_empty(), "{alert}");
    let trace_id = evidence[0]["trace_id"].as_str().expect("span evidence names its trace");
    let trace = server.get(&format!("/api/v1/traces/{trace_id}"))?;
    let culprit =
        trace["spans"].as_array().into_iter().flatten().find(|span| span["span_id"] == evidence[0]["span_id"]);
    ensure!(culprit.is_some_and(|span| span["attributes"]["server.address"] == "169.254.169.254"), "{trace}");
    Ok(())
}

#[test]
fn an_alert_is_acknowledged_and_closed_with_a_comment_that_stays_over_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = rules_folder(folder.path(), SSRF_RULE)?;
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--rules", &rules])?;
    send_attack(&server)?;
    let alert = wait_for("an alert", || {
        server.items("/api/v1/alerts")?.into_iter().next().ok_or_else(|| anyhow::anyhow!("no alert yet"))
    })?;
    let path = format!("/api/v1/alerts/{}/status", alert["id"].as_str().expect("an alert has an id"));
    for (status, comment) in [("acknowledged", "looking"), ("closed", "a test")] {
        let body = json!({"status": status, "comment": comment});
        let answer = server.send(reqwest::Method::POST, &path, Some(&body))?;
        ensure!(answer.status().is_success(), "{}: {}", answer.status(), answer.text()?);
    }
    let count_before = server.items("/api/v1/alerts")?.len();
    server.kill()?;

    let server = Server::start(&data, &["--rules", &rules])?;
    let detail = server.get(path.trim_end_matches("/status"))?;
    ensure!(detail["status"] == "closed", "{detail}");
    let comments: Vec<_> = detail["activity"].as_array().into_iter().flatten().map(|entry| &entry["comment"]).collect();
    ensure!(comments.contains(&&json!("looking")) && comments.contains(&&json!("a test")), "{detail}");
    // frames judged again after the kill raise nothing again
    ensure!(server.items("/api/v1/alerts")?.len() == count_before, "incidents were doubled by a restart");
    Ok(())
}

#[test]
fn a_clean_stop_keeps_everything_that_was_acknowledged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let sent = script::send(&server, "grpc", 40, None)?;
    let started = std::time::Instant::now();
    ensure!(server.stop()?.success(), "stop ends with success");
    ensure!(started.elapsed().as_secs() < 30, "stop took {:?}", started.elapsed());
    let server = Server::start(folder.path(), &[])?;
    for trace_id in sent["trace_ids"].as_array().expect("sender lists its traces") {
        let trace = server.get(&format!("/api/v1/traces/{}", trace_id.as_str().unwrap_or_default()))?;
        ensure!(trace["spans"].as_array().map(Vec::len) == Some(3), "{trace}");
    }
    Ok(())
}
