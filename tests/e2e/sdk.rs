//! Real OpenTelemetry SDKs send; what they say they sent is what is stored.

use std::time::Duration;

use anyhow::{Result, ensure};
use opentelemetry::trace::{Span, SpanContext, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tests::{Server, script};

fn expect_stored(server: &Server, sent: &Value, traces: usize) -> Result<()> {
    let trace_ids = sent["trace_ids"].as_array().expect("sender lists its traces");
    ensure!(trace_ids.len() == traces, "{sent}");
    let (mut spans, mut logs) = (0, 0);
    for trace_id in trace_ids {
        let trace_id = trace_id.as_str().expect("trace ids are text");
        let trace = server.get(&format!("/api/v1/traces/{trace_id}"))?;
        spans += trace["spans"].as_array().map_or(0, Vec::len) as u64;
        logs += server.items(&format!("/api/v1/logs/search?trace_id={trace_id}"))?.len() as u64;
    }
    ensure!(sent["spans"] == spans && sent["logs"] == logs, "sent {sent}, stored {spans} spans and {logs} logs");
    Ok(())
}

fn sends(language: &str, protocol: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let sent = script::send(language, &server, protocol, 10, None)?;
    expect_stored(&server, &sent, 10)
}

#[test]
fn python_over_grpc() -> Result<()> {
    sends("python", "grpc")
}

#[test]
fn python_over_http() -> Result<()> {
    sends("python", "http")
}

#[test]
fn node_over_grpc() -> Result<()> {
    sends("node", "grpc")
}

#[test]
fn node_over_http() -> Result<()> {
    sends("node", "http")
}

#[test]
fn rust_over_grpc() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let runtime = tokio::runtime::Runtime::new()?;
    let provider = runtime.block_on(async {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&server.grpc)
            .with_timeout(Duration::from_secs(10))
            .build()?;
        Ok::<_, anyhow::Error>(SdkTracerProvider::builder().with_batch_exporter(exporter).build())
    })?;
    let tracer = provider.tracer("end-to-end");
    let context: SpanContext = {
        let mut root = tracer.span_builder("GET /orders").with_kind(SpanKind::Server).start(&tracer);
        root.set_attribute(KeyValue::new("http.route", "/orders"));
        let parent = Context::new().with_span(root);
        tracer.start_with_context("SELECT orders", &parent).end();
        parent.span().end();
        parent.span().span_context().clone()
    };
    provider.force_flush()?;
    let trace = server.get(&format!("/api/v1/traces/{}", context.trace_id()))?;
    let names: Vec<_> = trace["spans"].as_array().into_iter().flatten().map(|span| span["name"].clone()).collect();
    ensure!(names.contains(&"GET /orders".into()) && names.contains(&"SELECT orders".into()), "{trace}");
    Ok(())
}
