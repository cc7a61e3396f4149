//! Ingest under load: the release binary on one core with fsync, the load on the other, loopback only, bounded in time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tests::{Server, wait_for};

use crate::corpus::Corpus;
use crate::pin;

/// How long each step lasts.
const STEP: Duration = Duration::from_secs(30);
/// Connections.
const SENDERS: usize = 8;

/// What one step measured.
struct Measured {
    spans: u64,
    seconds: f64,
    latencies: Vec<Duration>,
    refused: u64,
    cpu_seconds: f64,
    peak_rss_mib: f64,
}

/// CPU seconds of a process so far, user and system.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    // fields 14 and 15 of proc(5), in clock ticks of 1/100 s
    Ok((ticks(11) + ticks(12)) / 100.0)
}

fn peak_rss_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("the kernel says the peak")?;
    let kib: f64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).context("a number")?;
    Ok(kib / 1024.0)
}

/// Offers `rate` spans per second (as fast as they are answered when `None`) for one step.
fn step(server: &Server, corpus: &Arc<Corpus>, rate: Option<f64>) -> Result<Measured> {
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let totals = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let cpu_before = cpu_seconds(server.pid())?;
    let started = Instant::now();
    let per_body = corpus.spans_per_body();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (stop, next, totals) = (Arc::clone(&stop), Arc::clone(&next), Arc::clone(&totals));
            let (latencies, corpus) = (Arc::clone(&latencies), Arc::clone(corpus));
            let url = format!("{}/v1/traces", server.http);
            std::thread::spawn(move || -> Result<()> {
                let client = tests::client().timeout(Duration::from_secs(30)).build()?;
                let mut own = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let due = rate.map(|rate| started + Duration::from_secs_f64(number as f64 * per_body / rate));
                    if let Some(wait) = due.and_then(|due| due.checked_duration_since(Instant::now())) {
                        std::thread::sleep(wait);
                    }
                    let (body, spans) = &corpus.bodies[number as usize % corpus.bodies.len()];
                    // an open loop counts from when the request was due, so that a stall is seen by those behind it
                    let from = due.unwrap_or_else(Instant::now);
                    let request = client.post(&url).header("content-type", "application/x-protobuf");
                    let answer = request.body(body.clone()).send()?;
                    if answer.status().is_success() {
                        totals.0.fetch_add(*spans, Ordering::Relaxed);
                        own.push(from.elapsed());
                    } else {
                        totals.1.fetch_add(*spans, Ordering::Relaxed);
                    }
                }
                latencies.lock().expect("no sender panics").extend(own);
                Ok(())
            })
        })
        .collect();
    std::thread::sleep(STEP);
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().expect("no sender panics")?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut latencies = std::mem::take(&mut *latencies.lock().expect("no sender panics"));
    latencies.sort();
    Ok(Measured {
        spans: totals.0.load(Ordering::Relaxed),
        refused: totals.1.load(Ordering::Relaxed),
        seconds,
        latencies,
        cpu_seconds: cpu_seconds(server.pid())? - cpu_before,
        peak_rss_mib: peak_rss_mib(server.pid())?,
    })
}

fn row(what: &str, measured: &Measured) {
    let at = |share: f64| {
        let index = ((measured.latencies.len() as f64 - 1.0) * share).max(0.0) as usize;
        measured.latencies.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    println!(
        "| {what} | {:.0} | {} | {:.1} | {:.1} | {:.2} | {:.0} % | {:.0} |",
        measured.spans as f64 / measured.seconds,
        measured.refused,
        at(0.5),
        at(0.99),
        measured.cpu_seconds * 1e6 / measured.spans.max(1) as f64,
        100.0 * measured.cpu_seconds / measured.seconds,
        measured.peak_rss_mib,
    );
}

/// Prints a row per load: what was acknowledged, how long that took, what it cost in CPU and memory.
pub fn run(corpus: &Arc<Corpus>) -> Result<()> {
    println!("{SENDERS} connections, {} s a step; server on core 0, load on core 1,", STEP.as_secs());
    println!("fsync before every acknowledgement, the shipped rules loaded\n");
    println!("| load | acknowledged spans/s | refused | p50 ms | p99 ms | CPU us/span | core | peak RSS MiB |");
    println!("|---|---|---|---|---|---|---|---|");
    pin(std::process::id(), "1")?;
    let folder = tempfile::tempdir()?;
    // bodies are sent again and again, and each is to be stored: hashed and remembered as ever, and forgotten at once
    let config = folder.path().join("bench.toml");
    std::fs::write(&config, "[otlp.resends]\nmax_requests = 1\n")?;
    let server = Server::start(&folder.path().join("data"), &["--config", &config.to_string_lossy()])?;
    pin(server.pid(), "0")?;
    for (what, rate) in [("20,000 spans/s offered", Some(20_000.0)), ("as fast as answered", None)] {
        row(what, &step(&server, corpus, rate)?);
    }
    wait_for("the server still answers", || server.get("/readyz").map(drop))?;
    println!("\nstart to /readyz: {:.0} ms", server.ready_after.as_secs_f64() * 1e3);
    Ok(())
}
