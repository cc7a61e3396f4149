//! `kill -9` in the middle of a load: what was acknowledged is there afterwards, once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use prost::Message;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use tests::{Server, unix_nanos};

/// Rounds in a quick run; `TRACEHOUND_KILL_ROUNDS` sets another number.
const ROUNDS: usize = 20;
/// Threads that send at the same time.
const SENDERS: usize = 4;
/// Spans per export.
const SPANS: u64 = 40;

/// Spans per trace that were acknowledged.
type Ledger = Arc<Mutex<BTreeMap<String, usize>>>;

/// Trace ids and span counts of one export.
fn census(body: &[u8]) -> Result<BTreeMap<String, usize>> {
    let mut found = BTreeMap::new();
    for resource in ExportTraceServiceRequest::decode(body)?.resource_spans {
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            *found.entry(hex::encode(span.trace_id)).or_default() += 1;
        }
    }
    Ok(found)
}

/// Sends until the server is gone; records what was acknowledged.
fn send_until_gone(base: &str, seed: u64, ledger: &Ledger, stop: &AtomicBool) -> Result<()> {
    let client = tests::client().timeout(Duration::from_secs(10)).build()?;
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        for export in simulate::load(seed + number, SPANS, unix_nanos()) {
            let counted = census(&export.body)?;
            let request = client.post(format!("{base}/v1/traces")).header("content-type", "application/x-protobuf");
            // a request cut off by the kill may or may not be stored: only an answer counts
            let Ok(answer) = request.body(export.body).send() else { return Ok(()) };
            if answer.status().is_success() {
                let mut ledger = ledger.lock().expect("no sender panics");
                for (trace, spans) in counted {
                    *ledger.entry(trace).or_default() += spans;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn kill_nine_under_load_loses_and_doubles_nothing() -> Result<()> {
    let rounds = std::env::var("TRACEHOUND_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let folder = tempfile::tempdir()?;
    let ledger: Ledger = Arc::default();
    // small segments and an eager flush, so that kills also hit segment changes, flushes and trimming
    let config = folder.path().join("config.toml");
    std::fs::write(
        &config,
        "[otlp]\nmax_inflated_bytes = 524288\n[wal]\nsegment_bytes = 1048576\n[lake]\nflush_bytes = 1048576\nflush_secs = 1\n",
    )?;
    let config = config.to_string_lossy().into_owned();
    let data = folder.path().join("data");
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        let server = Server::start(&data, &["--config", &config])?;
        slowest = slowest.max(server.ready_after);
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (base, ledger, stop) = (server.http.clone(), Arc::clone(&ledger), Arc::clone(&stop));
                let seed = ((round * SENDERS + sender) as u64 + 1) << 32;
                std::thread::spawn(move || send_until_gone(&base, seed, &ledger, &stop))
            })
            .collect();
        // the moment of the kill is part of the experiment: a different one each round
        std::thread::sleep(Duration::from_millis(150 + (round as u64 * 137) % 900));
        server.kill()?;
        stop.store(true, Ordering::SeqCst);
        for sender in senders {
            sender.join().expect("no sender panics")?;
        }
    }
    let server = Server::start(&data, &["--config", &config])?;
    let ledger = ledger.lock().expect("no sender panics");
    let spans: usize = ledger.values().sum();
    ensure!(spans > 0, "nothing was acknowledged in {rounds} rounds");
    for (trace_id, acknowledged) in ledger.iter() {
        let trace = server.get(&format!("/api/v1/traces/{trace_id}"))?;
        let found = trace["spans"].as_array().map_or(0, Vec::len);
        ensure!(found == *acknowledged, "trace {trace_id}: {acknowledged} spans acknowledged, {found} found");
    }
    println!(
        "kill -9: {rounds} rounds, {spans} spans in {} traces acknowledged, each found once; slowest start {slowest:?}",
        ledger.len()
    );
    Ok(())
}
