//! A rule that learns reads what is stored, so that it is ready minutes after it was written and not days.

use anyhow::{Result, ensure};
use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::{AnyValue, KeyValue, any_value::Value};
use proto::resource::v1::Resource;
use proto::trace::v1::span::SpanKind;
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tests::{Server, unix_nanos, wait_for};

const SECOND: u64 = 1_000_000_000;
const RULE: &str = "title: a call
name: any_edge
logsource: {product: otel, category: edge}
detection:
  named:
    service.peer.name|exists: true
  condition: named
---
title: new edge
id: 11111111-2222-4333-8444-666666666666
level: high
correlation:
  type: first_seen
  rules: [any_edge]
  fields: [service.name, service.peer.name]
  learn: 1h
  forget: 30d
  min_events: 10
  warm_start: history
";

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn call(number: u8, peer: &str, end_unix_nanos: u64) -> Vec<u8> {
    let span = Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        name: "call".to_owned(),
        kind: SpanKind::Client as i32,
        start_time_unix_nano: end_unix_nanos - 1_000,
        end_time_unix_nano: end_unix_nanos,
        attributes: vec![attribute("service.peer.name", peer)],
        ..Span::default()
    };
    let resource = Some(Resource { attributes: vec![attribute("service.name", "shop")], ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

#[test]
fn a_new_rule_knows_from_history_what_is_usual() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    std::fs::create_dir_all(&rules)?;
    let server = Server::start(&folder.path().join("data"), &["--rules", &rules.to_string_lossy()])?;
    let now = unix_nanos();
    for number in 1..=24_u8 {
        let ago = (7_500 - u64::from(number) * 300) * SECOND;
        ensure!(server.export("traces", call(number, "db", now - ago))?.status().is_success(), "refused");
    }
    std::fs::write(rules.join("edges.yml"), RULE)?;
    wait_for("the history to be read", || {
        let (read, events) = (
            server.metric("tracehound_detect_histories_total")?,
            server.metric("tracehound_detect_history_events_total")?,
        );
        ensure!(read >= 1.0 && events >= 24.0, "{read} read, {events} events");
        Ok(())
    })?;
    wait_for("the baseline to be adopted", || {
        ensure!(server.metric("tracehound_detect_history_tenants")? < 1.0, "not yet");
        Ok(())
    })?;
    // both as late as they may be; what comes last moves the watermark past them
    let now = unix_nanos();
    for (number, peer, at) in
        [(101, "db", now - 90 * SECOND), (102, "paste.example", now - 89 * SECOND), (103, "db", now)]
    {
        ensure!(server.export("traces", call(number, peer, at))?.status().is_success(), "refused");
    }
    let alert = wait_for("the alert", || {
        let alerts = server.items("/api/v1/alerts")?;
        alerts.into_iter().next().ok_or_else(|| anyhow::anyhow!("no alert"))
    })?;
    ensure!(alert["rule_id"] == "11111111-2222-4333-8444-666666666666", "{alert}");
    ensure!(alert.to_string().contains("paste.example"), "{alert}");
    Ok(())
}
