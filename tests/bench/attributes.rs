//! What attributes cost that no convention names: bytes on disk, and searches for their values.
//!
//! The spans of the lake's benchmark, each with about seven attributes more, as an application adds them: of all types,
//! most of them alike within a trace, some rare. `peers/attributes.py` lays the kept files out in other ways.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, KeyValue};
use proto::trace::v1::Span;
use tests::Server;

use crate::corpus::SEED;
use crate::lake::{AGO, SETTINGS, deliver, spans, wait_until_quiescent};
use crate::{Cores, median, pin, usage};

const SEARCHES: usize = 7;
/// Keys that one span in ten thousand has each.
const RARE_KEYS: u64 = 40;
const REGIONS: [&str; 6] = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1", "sa-east-1"];
const NOTES: [&str; 4] = ["slow path taken", "price from cache", "stock reserved twice", "coupon ignored"];

/// What is asked, and how it is written in a filter.
const ASKED: [(&str, &str); 9] = [
    ("text of one span in six, no column", "app.region=eu-central-1"),
    ("text of one span in forty, no column", "tenant.tier=enterprise"),
    ("number of one span in fifteen, no column", "cart.items=3"),
    ("truth of one span in twenty, no column", "cache.hit=true"),
    ("text of one trace, no column", "shop.order.id=ord-"),
    ("text of nothing, no column", "shop.order.id=ord-nobody"),
    ("text, with a column", "http.request.method=POST"),
    ("number, with a column", "server.port=8080"),
    ("text of nothing, with a column", "user.id=nobody"),
];

/// Stores the spans, waits until nothing is left to be done, then asks. Data that is in `TRACEHOUND_BENCH_DATA` already is
/// only asked.
pub fn run() -> Result<()> {
    let kept = std::env::var_os("TRACEHOUND_BENCH_DATA").map(PathBuf::from);
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("bench.toml");
    fs::write(&config, SETTINGS)?;
    let data = kept.unwrap_or_else(|| folder.path().join("data"));
    let is_there = data.is_dir();
    let server = Server::start(&data, &["--config", &config.to_string_lossy()])?;
    println!("## attributes\n\n{} spans of the shop with attributes of an application, seed {SEED}\n", spans());
    if !is_there {
        store(&server, spans())?;
    }
    pin(std::process::id(), Cores::SHARED.load)?;
    pin(server.pid(), Cores::SHARED.server)?;
    ask(&server)
}

fn store(server: &Server, spans: u64) -> Result<()> {
    pin(std::process::id(), Cores::ONE_EACH.load)?;
    pin(server.pid(), Cores::ONE_EACH.server)?;
    let before = usage::cpu_seconds(server.pid())?;
    let start = tests::unix_nanos() - AGO.as_nanos() as u64;
    let bodies = simulate::load(SEED, spans, start).map(|export| with_attributes(&export.body));
    let bytes = deliver(server, "traces", bodies)?;
    wait_until_quiescent(server)?;
    let cpu_seconds = usage::cpu_seconds(server.pid())? - before;
    let (columns, indexes) = (server.metric("tracehound_lake_bytes")?, server.metric("tracehound_lake_index_bytes")?);
    let per_span = |amount: f64| amount / spans as f64;
    println!("| what | |\n|---|---|");
    println!("| CPU until quiescent | {:.2} us/span |", per_span(cpu_seconds * 1e6));
    println!("| files | {} |", server.metric("tracehound_lake_files")?);
    println!("| OTLP as sent | {:.1} bytes/span |", per_span(bytes as f64));
    println!("| columns | {:.2} bytes/span |", per_span(columns));
    println!("| indexes | {:.2} bytes/span |", per_span(indexes));
    Ok(())
}

/// Each question once to warm up, then again and again.
fn ask(server: &Server) -> Result<()> {
    let to = tests::unix_nanos();
    let from = to - 24 * AGO.as_nanos() as u64;
    let period = format!("start={from}&end={to}");
    println!("\n| 20 newest with a | found | p50 ms | CPU ms |\n|---|---|---|---|");
    for (what, filter) in ASKED {
        let filter = match filter.ends_with('-') {
            true => format!("{filter}{:010x}", order_id(server, &period)?),
            false => filter.to_owned(),
        };
        let path = format!("/api/v1/traces/search?filter={}&{period}", filter.replace('=', "%3D"));
        let found = server.get(&path)?["items"].as_array().map_or(0, Vec::len);
        let (before, mut took) = (usage::cpu_seconds(server.pid())?, Vec::new());
        for _ in 0..SEARCHES {
            let asked = Instant::now();
            server.get(&path)?;
            took.push(asked.elapsed().as_secs_f64() * 1e3);
        }
        let cpu_seconds = usage::cpu_seconds(server.pid())? - before;
        println!("| {what} | {found} | {:.1} | {:.0} |", median(took), cpu_seconds * 1e3 / SEARCHES as f64);
    }
    println!();
    Ok(())
}

/// The order of some trace that has one.
fn order_id(server: &Server, period: &str) -> Result<u64> {
    let answer = server.get(&format!("/api/v1/traces/search?filter=shop.order.id&{period}"))?;
    let traces = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let id = traces.last().and_then(|trace| trace["trace_id"].as_str()).map(hex::decode);
    ensure!(id.is_some(), "no trace has an order");
    Ok(order_of(&Draw::of(&id.expect("was looked at")?)))
}

fn with_attributes(body: &[u8]) -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::decode(body).expect("the shop speaks OTLP");
    for resource_spans in &mut request.resource_spans {
        let attributes = resource_spans.resource.iter().flat_map(|resource| &resource.attributes);
        let service = attributes.clone().find(|pair| pair.key == "service.name").and_then(text).unwrap_or_default();
        for span in resource_spans.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
            add(&service, span);
        }
    }
    request.encode_to_vec()
}

fn text(pair: &KeyValue) -> Option<String> {
    match pair.value.as_ref()?.value.as_ref()? {
        Kind::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

/// What an application and its agents say of a span beside the conventions.
fn add(service: &str, span: &mut Span) {
    let (trace, own, home) = (Draw::of(&span.trace_id), Draw::of(&span.span_id), Draw::of(service.as_bytes()));
    let mut say = |key: &str, value: Kind| {
        let value = Some(AnyValue { value: Some(value) });
        span.attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    };
    let tier = match trace.below(1, 1_000) {
        0..25 => "enterprise",
        25..150 => "business",
        150..400 => "team",
        _ => "free",
    };
    say("tenant.tier", Kind::StringValue(tier.to_owned()));
    say("app.region", Kind::StringValue(REGIONS[trace.below(2, 6) as usize].to_owned()));
    let pod = home.number(own.below(3, 3) + 10);
    say("k8s.pod.name", Kind::StringValue(format!("{service}-{:08x}-{:05x}", home.number(9) >> 32, pod >> 44)));
    say("code.function.name", Kind::StringValue(format!("{service}.{}", span.name.replace([' ', '/'], "_"))));
    if trace.below(4, 10) < 4 {
        say("shop.order.id", Kind::StringValue(format!("ord-{:010x}", order_of(&trace))));
        say("cart.total", Kind::DoubleValue(trace.below(5, 40_000) as f64 / 100.0));
    }
    if trace.below(6, 2) == 0 {
        let items = 1 + trace.below(7, 12).min(trace.below(8, 12));
        // one release of one service says it as text
        match trace.below(9, 50) {
            0 => say("cart.items", Kind::StringValue(items.to_string())),
            _ => say("cart.items", Kind::IntValue(items as i64)),
        }
        say("feature.flag.checkout_v2", Kind::BoolValue(trace.below(10, 3) == 0));
    }
    if home.below(11, 2) == 0 {
        say("thread.id", Kind::IntValue(1 + own.below(12, 64) as i64));
    }
    if own.below(13, 10) == 0 {
        say("cache.hit", Kind::BoolValue(own.below(14, 2) == 0));
    }
    if own.below(15, 33) == 0 {
        say("retry.attempt", Kind::IntValue(1 + own.below(16, 3) as i64));
    }
    if own.below(17, 300) == 0 {
        let note = NOTES[own.below(18, 4) as usize];
        say("debug.note", Kind::StringValue(format!("{note} after {} us", own.below(19, 100_000))));
    }
    let rare = own.below(20, 10_000);
    if rare < RARE_KEYS {
        say(&format!("experiment.{rare}"), Kind::StringValue(format!("arm-{}", own.below(21, 4))));
    }
}

fn order_of(trace: &Draw) -> u64 {
    trace.number(22) >> 24
}

/// Numbers that follow from an id.
struct Draw(u64);

impl Draw {
    fn of(id: &[u8]) -> Self {
        Self(id.iter().fold(SEED, |sum, byte| mix(sum ^ u64::from(*byte))))
    }

    fn number(&self, which: u64) -> u64 {
        mix(self.0 ^ mix(which))
    }

    fn below(&self, which: u64, end: u64) -> u64 {
        self.number(which) % end
    }
}

/// SplitMix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
