//! Restart after restart under load, as an operator does it: every stop drains in time, and no client is told anything
//! but to come back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::held::HeldSockets;
use tests::unix_nanos;

use crate::form::{quantile, rounds};
use crate::ledger::Ledger;

/// Threads that send at the same time.
const SENDERS: u64 = 4;
/// Spans per request.
const SPANS: u64 = 8;
/// How long a server serves before it is stopped.
const LIFE: Duration = Duration::from_millis(400);
/// How long a stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Pause before a request is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// What the senders were told.
#[derive(Debug, Default)]
struct Told {
    acknowledged: AtomicU64,
    /// Sent again: no answer, or one that says to come back.
    again: AtomicU64,
    /// Anything after which a client drops the request.
    dropped: AtomicU64,
}

/// Sends until told to stop, every request until it is acknowledged.
fn send(base: &str, seed: u64, ledger: &Ledger, told: &Told, is_over: &AtomicBool) -> Result<()> {
    let client = tests::client().build()?;
    for number in 0.. {
        for export in simulate::load((seed << 32) + number, SPANS, unix_nanos()) {
            let mut tries = 0;
            loop {
                let request = client.post(format!("{base}/v1/traces")).header("content-type", "application/x-protobuf");
                let answer = request.body(export.body.clone()).send();
                match answer.map(|answer| answer.status().as_u16()) {
                    Ok(200) => {
                        ledger.enter(&export.body, tries > 0)?;
                        told.acknowledged.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    // what OTLP tells clients to send again
                    Ok(429 | 502..=504) | Err(_) => drop(told.again.fetch_add(1, Ordering::Relaxed)),
                    Ok(_) => {
                        told.dropped.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
                tries += 1;
                std::thread::sleep(AGAIN_AFTER);
            }
        }
        if is_over.load(Ordering::SeqCst) {
            return Ok(());
        }
    }
    Ok(())
}

#[test]
fn restarts_under_load_drain_in_time_and_lose_nothing() -> Result<()> {
    let restarts = rounds("TRACEHOUND_RESTARTS", 6, 100);
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let (ledger, told, is_over) = (Ledger::default(), Told::default(), AtomicBool::new(false));
    let sockets = HeldSockets::open()?;
    let mut stops = Vec::new();
    std::thread::scope(|scope| {
        let mut server = sockets.start_server(&data)?;
        let base = server.http.clone();
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (base, ledger, told, is_over) = (base.clone(), &ledger, &told, &is_over);
                scope.spawn(move || send(&base, sender + 1, ledger, told, is_over))
            })
            .collect();
        let restarted = (|| {
            for _ in 0..restarts {
                std::thread::sleep(LIFE);
                let asked = Instant::now();
                ensure!(server.stop()?.success(), "a stop under load is a clean one");
                stops.push(asked.elapsed());
                server = sockets.start_server(&data)?;
            }
            Ok(server)
        })();
        is_over.store(true, Ordering::SeqCst);
        for sender in senders {
            sender.join().expect("no sender panics")?;
        }
        ensure!(restarted?.stop()?.success(), "a clean stop");
        Ok(())
    })?;
    let found = ledger.compare(&data, &[])?;
    let slow = |share| quantile(&stops, share).unwrap_or_default();
    let dropped = told.dropped.load(Ordering::Relaxed);
    println!(
        "rolling restart: {restarts} restarts, {} requests acknowledged, {} sent again, {dropped} told to drop; {} spans, \
         {} lost, {} doubled, {} copies of resent spans folded; stop p50 {:?}, slowest {:?}",
        told.acknowledged.load(Ordering::Relaxed),
        told.again.load(Ordering::Relaxed),
        found.acknowledged,
        found.lost,
        found.doubled,
        found.folded,
        slow(0.5),
        slow(1.0)
    );
    ensure!(dropped == 0 && found.lost == 0 && found.doubled == 0, "{dropped} told to drop, {found:?}");
    ensure!(slow(1.0) < STOP_WITHIN, "a stop took {:?}", slow(1.0));
    Ok(())
}
