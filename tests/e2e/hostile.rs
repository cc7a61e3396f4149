//! One sender does its worst within the protocol; what others sent is found as quickly as before, and memory stays bounded.
//!
//! `TRACEHOUND_HOSTILE=full` sends a million attribute keys and a trace of a million spans, instead of a tenth.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use prost::Message;
use proto::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, KeyValue};
use proto::resource::v1::Resource;
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tests::{Server, unix_nanos, wait_for};

/// Attribute keys of one span.
const KEYS_PER_SPAN: usize = 100;
const SPANS_PER_REQUEST: usize = 5_000;
/// Spans of one trace that are let in; the default is a million.
const TRACE_LIMIT: u64 = 20_000;
/// What the server may take above what it had: the memtable at its limit twice, as it is flushed while more comes in.
const MORE_MIB: u64 = 2 * 256 + 256;

fn attribute(key: String, value: String) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(Kind::StringValue(value)) }), ..KeyValue::default() }
}

fn span(trace: u64, id: u64, start: u64) -> Span {
    Span {
        trace_id: (u128::from(trace) << 64 | 7).to_be_bytes().to_vec(),
        span_id: (id + 1).to_be_bytes().to_vec(),
        name: "op".to_owned(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(1_000_000),
        ..Span::default()
    }
}

fn request(service: &str, spans: Vec<Span>) -> Vec<u8> {
    let resource =
        Resource { attributes: vec![attribute("service.name".to_owned(), service.to_owned())], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Spans that were rejected for good. A server that is full is asked again.
fn export(server: &Server, body: &[u8]) -> Result<i64> {
    let answer = wait_for("room for a request", || {
        let answer = server.export("traces", body.to_vec())?;
        ensure!(answer.status().as_u16() != 503, "full");
        Ok(answer)
    })?;
    let status = answer.status();
    ensure!(status.is_success(), "{status}: {}", answer.text()?);
    let answer = ExportTraceServiceResponse::decode(answer.bytes()?)?;
    Ok(answer.partial_success.map_or(0, |partial| partial.rejected_spans))
}

/// Half of the lookups of the neighbour's traces take at most so many milliseconds.
fn lookup_millis(server: &Server, traces: &[u64]) -> Result<f64> {
    let mut took = Vec::new();
    for trace in traces {
        let asked = Instant::now();
        let found = server.get(&format!("/api/v1/traces/{:016x}{:016x}", trace, 7))?;
        took.push(asked.elapsed().as_secs_f64() * 1e3);
        ensure!(found["spans"].as_array().map(Vec::len) == Some(3), "{found}");
    }
    took.sort_by(f64::total_cmp);
    Ok(took[took.len() / 2])
}

fn resident_mib(server: &Server) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("peak memory")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? / 1024)
}

fn flushed(server: &Server) -> Result<()> {
    wait_for("everything is in files", || {
        let rows = server.metric("tracehound_memtable_rows")?;
        ensure!(rows == 0.0, "{rows} rows are in memory");
        Ok(())
    })
}

#[test]
fn one_hostile_sender_costs_its_neighbours_nothing() -> Result<()> {
    let full = std::env::var("TRACEHOUND_HOSTILE").is_ok_and(|form| form == "full");
    let (keys, trace_limit) = if full { (1_000_000, 1_000_000) } else { (100_000, TRACE_LIMIT) };
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.toml");
    fs::write(&config, format!("[lake]\nflush_secs = 1\n[otlp.limits]\nmax_trace_events = {trace_limit}\n"))?;
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--config", &config.to_string_lossy()])?;
    let now = unix_nanos();
    let neighbours: Vec<u64> = (1..=50).collect();
    for trace in &neighbours {
        export(&server, &request("neighbour", (0..3).map(|id| span(*trace, id, now - 1_000_000_000)).collect()))?;
    }
    flushed(&server)?;
    let (before, memory) = (lookup_millis(&server, &neighbours)?, resident_mib(&server)?);

    // distinct keys
    for number in 0..keys / KEYS_PER_SPAN / 100 {
        let of_span = |place: usize| {
            let first = (number * 100 + place) * KEYS_PER_SPAN;
            let attributes = (first..first + KEYS_PER_SPAN).map(|key| attribute(format!("key.{key}"), key.to_string()));
            Span { attributes: attributes.collect(), ..span(1_000 + number as u64, place as u64, now) }
        };
        ensure!(export(&server, &request("hostile", (0..100).map(of_span).collect()))? == 0);
    }
    // large values
    for number in 0..16 {
        let attributes = vec![attribute("large".to_owned(), "x".repeat(1 << 20))];
        let large = Span { attributes, ..span(2_000, number, now) };
        ensure!(export(&server, &request("hostile", vec![large]))? == 0);
    }
    // one trace without end: what is past the limit is rejected and counted
    let mut rejected = 0;
    let requests = trace_limit as usize / SPANS_PER_REQUEST + 2;
    for number in 0..requests {
        let first = (number * SPANS_PER_REQUEST) as u64;
        let spans = (first..first + SPANS_PER_REQUEST as u64).map(|id| span(3_000, id, now)).collect();
        rejected += export(&server, &request("hostile", spans))?;
    }
    ensure!(rejected == (requests * SPANS_PER_REQUEST) as i64 - trace_limit as i64, "{rejected} spans rejected");
    // ids of zero, and times at both ends of what there is
    let zero = |change: fn(&mut Span)| {
        let mut changed = span(4_000, 1, now);
        change(&mut changed);
        changed
    };
    let ids =
        vec![zero(|span| span.trace_id = vec![0; 16]), zero(|span| span.span_id = vec![0; 8]), span(4_000, 2, now)];
    ensure!(export(&server, &request("hostile", ids))? == 2);
    let ends = [1, i64::MAX as u64 - 2_000_000, now - 400 * 86_400 * 1_000_000_000, now + 10 * 86_400 * 1_000_000_000];
    let times = ends.iter().zip(0..).map(|(time, id)| span(5_000, id, *time)).collect();
    ensure!(export(&server, &request("hostile", times))? == 0);
    flushed(&server)?;

    // no other file's range is widened: what has a strange time lies by itself
    let folders = fs::read_dir(data.join("lake/default/spans"))?.map(|entry| Ok(entry?.file_name()));
    let folders: Vec<String> =
        folders.map(|name: Result<_>| Ok(name?.to_string_lossy().into_owned())).collect::<Result<_>>()?;
    ensure!(folders.iter().filter(|name| *name == "odd").count() == 1 && folders.len() <= 3, "{folders:?}");
    let found = server.get(&format!("/api/v1/traces/{:016x}{:016x}", 5_000, 7))?;
    ensure!(found["spans"].as_array().map(Vec::len) == Some(ends.len()), "{found}");
    let whole = server.get(&format!("/api/v1/traces/{:016x}{:016x}", 3_000, 7))?;
    ensure!(whole["truncated"] == (trace_limit > 100_000), "a long trace is cut and says so");
    ensure!(server.metric("tracehound_collect_rejected_events_total")? >= rejected as f64, "rejections are counted");
    let (after, peak) = (lookup_millis(&server, &neighbours)?, resident_mib(&server)?);
    println!(
        "hostile: {keys} keys, 16 values of 1 MiB, a trace of {trace_limit} spans: neighbours' lookups {before:.1} ms \
         before, {after:.1} ms after; memory {memory} MiB before, {peak} MiB at most"
    );
    ensure!(peak <= memory + MORE_MIB, "{peak} MiB after {memory}");
    Ok(())
}
