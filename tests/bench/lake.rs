//! What events cost to keep and to find: bytes on disk, CPU until everything is merged, and lookups over HTTP.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tests::{Server, wait_for};

use crate::corpus::{Corpus, SEED};
use crate::load::{Load, Pace};
use crate::{Cores, median, pin, step, usage};

/// Spans that are stored, unless `TRACEHOUND_BENCH_SPANS` says otherwise.
const SPANS: u64 = 10_000_000;
/// Connections with one request under way each.
const SENDERS: usize = 4;
/// How long before now the first span lies: its hour is over, so that everything is merged to the end.
pub const AGO: Duration = Duration::from_secs(3 * 3_600);
/// Past so many spans the load is longer than [`AGO`] leaves room for; at a thousand traces a second there are at least so
/// many spans in a second.
const SPANS_OF_AGO: u64 = 10_000_000;
const SPANS_PER_SEC: u64 = 5_000;
/// Lookups with nothing of the files in the system's memory, each by itself.
const COLD_LOOKUPS: usize = 100;
/// What comes in while memory is looked at, and how long.
const STEADY: f64 = 20_000.0;
const STEADY_FOR: Duration = Duration::from_secs(60);
/// Pause of a sender that was told to come back later.
const PAUSE: Duration = Duration::from_millis(50);
/// Every so many traces are looked for.
const LOOKUPS: usize = 1_000;
const SEARCHES: usize = 5;
/// All there is to the database: compaction takes what it can get, and nothing but spans is looked at.
pub const SETTINGS: &str = "[lake]\ncompaction_percent = 100\n";

/// What is asked, over all that was stored.
const ASKED: [(&str, &str); 10] = [
    ("20 newest of anything", "traces/search?status=unset&"),
    ("20 newest errors of a service", "traces/search?service=payment&status=error&"),
    ("20 newest slower than a second", "traces/search?min_duration=1s&"),
    ("20 newest with a common value", "traces/search?filter=http.request.method%3DPOST&"),
    ("20 newest with a common number", "traces/search?filter=server.port%3D8080&"),
    ("20 newest with a rare value", "traces/search?filter=user.id%3Du100155&"),
    ("a value that is nowhere", "traces/search?filter=user.id%3Dnobody&"),
    ("services with counts and percentiles", "services?"),
    ("service map", "service-map?"),
    ("rate, errors and durations of a service", "services/gateway/red?"),
];

/// Stores the spans, waits until nothing is left to be done, then asks. The data is kept in `TRACEHOUND_BENCH_DATA`, a
/// directory that is not there yet, when that is set.
pub fn run(corpus: &Corpus) -> Result<()> {
    let spans = spans();
    let kept = std::env::var_os("TRACEHOUND_BENCH_DATA").map(PathBuf::from);
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("bench.toml");
    fs::write(&config, SETTINGS)?;
    let data = kept.unwrap_or_else(|| folder.path().join("data"));
    let server = Server::start(&data, &["--config", &config.to_string_lossy()])?;
    pin(std::process::id(), Cores::ONE_EACH.load)?;
    pin(server.pid(), Cores::ONE_EACH.server)?;
    println!(
        "## lake\n\n{spans} spans of the shop, seed {SEED}, OTLP/HTTP from {SENDERS} connections; server on core 0\n"
    );
    let before = usage::cpu_seconds(server.pid())?;
    let started = Instant::now();
    let sent = send(&server, spans)?;
    let sending = started.elapsed();
    let taken_in = usage::cpu_seconds(server.pid())? - before;
    wait_until_quiescent(&server)?;
    let cpu_seconds = usage::cpu_seconds(server.pid())? - before;
    // files that were merged into others stay on disk for a while, and are not counted
    let (columns, indexes) = (server.metric("tracehound_lake_bytes")?, server.metric("tracehound_lake_index_bytes")?);
    let per_span = |bytes: f64| bytes / spans as f64;
    println!("| what | |\n|---|---|");
    println!("| taken in | {:.0} spans/s |", spans as f64 / sending.as_secs_f64());
    println!("| CPU until the last answer | {:.2} us/span |", taken_in * 1e6 / spans as f64);
    println!("| CPU until quiescent | {:.2} us/span |", cpu_seconds * 1e6 / spans as f64);
    println!("| time until quiescent | {:.0} s |", started.elapsed().as_secs_f64());
    println!("| files | {} |", server.metric("tracehound_lake_files")?);
    println!("| OTLP as sent | {:.1} bytes/span |", per_span(sent.bytes as f64));
    println!("| columns | {:.2} bytes/span |", per_span(columns));
    println!("| indexes | {:.2} bytes/span |", per_span(indexes));
    println!("| **together** | **{:.2} bytes/span** |", per_span(columns + indexes));
    println!("| peak RSS | {:.0} MiB |", usage::peak_rss_mib(server.pid())?);
    ask(&server, &sent)?;
    let rss_mib = usage::rss_mib(server.pid())?;
    let load = Load::new(corpus, &server.http, None)?;
    usage::forget_peak(server.pid())?;
    let steady = load.send(Pace { rate: Some(STEADY), lasting: STEADY_FOR, ..step::pace(None) })?;
    let (per_sec, peak_mib) = (steady.acknowledged as f64 / steady.seconds, usage::peak_rss_mib(server.pid())?);
    println!("| what | |\n|---|---|\n| RSS after that, idle | {rss_mib:.0} MiB |");
    println!("| peak RSS while {per_sec:.0} spans/s come in, {} s | {peak_mib:.0} MiB |\n", STEADY_FOR.as_secs());
    ask_cold(&server, &sent, "trace by id, cold")?;
    server.kill()?;
    let started = Instant::now();
    let server = Server::start(&data, &["--config", &config.to_string_lossy()])?;
    wait_for("the server to be ready", || server.get("/readyz").map(drop))?;
    println!("| what | |\n|---|---|\n| start after that, and a kill | {:.2} s |", started.elapsed().as_secs_f64());
    pin(server.pid(), Cores::ONE_EACH.server)?;
    println!("| RSS of the new process | {:.0} MiB |\n", usage::rss_mib(server.pid())?);
    // the first reader of a file after a start compares all of it with its checksum
    ask_cold(&server, &sent, "trace by id, cold, of files that were not read since the start")
}

/// Traces whose files are not in the system's memory any more.
fn ask_cold(server: &Server, sent: &Sent, what: &str) -> Result<()> {
    let mut took = Vec::new();
    for trace in sent.traces.iter().step_by((sent.traces.len() / COLD_LOOKUPS).max(1)) {
        if let Err(error) = forget_files() {
            println!("lookups of what is not in memory skipped: {error:#}\n");
            return Ok(());
        }
        let asked = Instant::now();
        server.get(&format!("/api/v1/traces/{trace}"))?;
        took.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    println!("| question | p50 ms | p99 ms |\n|---|---|---|");
    let (middle, high) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("| {what}, {} of them | {middle:.1} | {high:.1} |\n", took.len());
    Ok(())
}

/// Has the system forget what it remembers of files, which only root may ask.
fn forget_files() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    fs::write("/proc/sys/vm/drop_caches", "3").context("drop_caches")
}

struct Sent {
    /// When the first span started.
    start_unix_nanos: u64,
    bytes: u64,
    /// Some of the traces, as hexadecimal digits.
    traces: Vec<String>,
}

fn send(server: &Server, spans: u64) -> Result<Sent> {
    let more = Duration::from_secs(spans.saturating_sub(SPANS_OF_AGO) / SPANS_PER_SEC);
    let start = tests::unix_nanos() - (AGO + more).as_nanos() as u64;
    let every = (spans as usize / simulate::MAX_SPANS_PER_EXPORT / LOOKUPS).max(1);
    let traces = Mutex::new(Vec::new());
    let exports = simulate::load(SEED, spans, start).enumerate().map(|(number, export)| {
        if (number + 1).is_multiple_of(every) {
            traces.lock().expect("no sender panics").extend(first_trace(&export.body));
        }
        export.body
    });
    let bytes = deliver(server, "traces", exports)?;
    Ok(Sent { start_unix_nanos: start, bytes, traces: traces.into_inner().expect("no sender panics") })
}

/// Sends requests as fast as they are answered, each until it is taken; gives their bytes.
pub fn deliver(server: &Server, signal: &str, bodies: impl Iterator<Item = Vec<u8>> + Send) -> Result<u64> {
    let bodies = Mutex::new((bodies, 0));
    let work = || -> Result<()> {
        loop {
            let body = {
                let mut bodies = bodies.lock().expect("no sender panics");
                let Some(body) = bodies.0.next() else { return Ok(()) };
                bodies.1 += body.len() as u64;
                body
            };
            while !server.export(signal, body.clone())?.status().is_success() {
                std::thread::sleep(PAUSE);
            }
        }
    };
    std::thread::scope(|scope| -> Result<()> {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(work)).collect();
        senders.into_iter().try_for_each(|sender| sender.join().expect("no sender panics"))
    })?;
    Ok(bodies.into_inner().expect("no sender panics").1)
}

/// Spans that are stored.
pub fn spans() -> u64 {
    std::env::var("TRACEHOUND_BENCH_SPANS").ok().and_then(|text| text.parse().ok()).unwrap_or(SPANS)
}

/// The trace of the first span of a request.
pub fn first_trace(body: &[u8]) -> Option<String> {
    use prost::Message as _;
    let request = proto::collector::trace::v1::ExportTraceServiceRequest::decode(body).ok()?;
    let span = request.resource_spans.first()?.scope_spans.first()?.spans.first()?;
    Some(hex::encode(&span.trace_id))
}

/// Until memory is empty and there is nothing to merge.
pub fn wait_until_quiescent(server: &Server) -> Result<()> {
    let mut quiet = 0;
    let until = Instant::now() + Duration::from_secs(1_800);
    loop {
        let left = server.metric("tracehound_memtable_rows")? + server.metric("tracehound_lake_merges_waiting")?;
        quiet = if left == 0.0 { quiet + 1 } else { 0 };
        // what is over is merged when nothing more has come for a minute
        if quiet >= 70 {
            return Ok(());
        }
        ensure!(Instant::now() < until, "{left} rows and merges are left");
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Traces that are there, traces that are not, and searches.
fn ask(server: &Server, sent: &Sent) -> Result<()> {
    let traces = &sent.traces;
    let absent: Vec<String> = (0..traces.len()).map(|number| format!("{number:032x}").replace('0', "f")).collect();
    let mut lines = Vec::new();
    for (what, ids, is_there) in [("trace by id", &traces[..], true), ("trace by id, absent", &absent[..], false)] {
        let mut took = Vec::new();
        for id in ids {
            let asked = Instant::now();
            let answer = server.send(reqwest::Method::GET, &format!("/api/v1/traces/{id}"), None)?;
            ensure!(answer.status().is_success() == is_there, "trace {id}: {}", answer.status());
            answer.bytes()?;
            took.push(asked.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        lines.push(format!("| {what} | {:.2} | {:.2} |", took[took.len() / 2], took[took.len() * 99 / 100]));
    }
    // from the first span on, however long it took to store them
    let (from, to) = (sent.start_unix_nanos, tests::unix_nanos());
    for (what, query) in ASKED {
        let mut took = Vec::new();
        for _ in 0..SEARCHES {
            let asked = Instant::now();
            server.get(&format!("/api/v1/{query}start={from}&end={to}"))?;
            took.push(asked.elapsed().as_secs_f64() * 1e3);
        }
        lines.push(format!("| {what} | {:.1} | |", median(took)));
    }
    wait_for("the server still answers", || server.get("/readyz").map(drop))?;
    println!("\n| question | p50 ms | p99 ms |\n|---|---|---|\n{}\n", lines.join("\n"));
    Ok(())
}
