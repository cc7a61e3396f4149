//! `kill -9` in the middle of a load, over and over: what was acknowledged is there afterwards, once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::dice::Dice;
use tests::{Server, unix_nanos};

use crate::form::{quantile, rounds};
use crate::ledger::{Found, Ledger};

/// Threads that send at the same time.
const SENDERS: usize = 4;
/// Spans per export: few, so that many requests are on their way when the kill comes.
const SPANS: u64 = 8;
/// Exports of one sender in one round, at most, so that a thousand rounds stay within two million spans.
const EXPORTS: u32 = 60;
/// The store is compared with the ledger after so many rounds, and at the end.
const COMPARE_EVERY: usize = 200;
/// Traces asked of the API at the end.
const READ_BACK: usize = 600;
/// Small segments and an eager flush, so that kills also hit segment changes, flushes, merges and trimming.
pub const SETTINGS: &str = "[otlp]\nmax_inflated_bytes = 131072\n[wal]\nsegment_bytes = 262144\n\
    [lake]\nflush_bytes = 1048576\nflush_secs = 1\ncompaction_percent = 100\n";

/// Sends until the server is gone or the round is over, at a pace that lasts as long as the round. Begins with what got
/// no answer the round before; returns what got none this time.
fn send(base: &str, seed: u64, unanswered: Vec<Vec<u8>>, pace: Duration, ledger: &Ledger) -> Result<Vec<Vec<u8>>> {
    let client = tests::client().timeout(Duration::from_secs(10)).build()?;
    let fresh = (0..u64::from(EXPORTS)).flat_map(|number| simulate::load(seed + number, SPANS, unix_nanos()));
    let bodies = unanswered.into_iter().map(|body| (body, true)).chain(fresh.map(|export| (export.body, false)));
    let mut left = Vec::new();
    for (body, again) in bodies {
        let request = client.post(format!("{base}/v1/traces")).header("content-type", "application/x-protobuf");
        match request.body(body.clone()).send() {
            Ok(answer) if answer.status().is_success() => drop(ledger.enter(&body, again)?),
            // stored or not, nobody said so: sent again, as a client does
            Ok(_) => left.push(body),
            Err(_) => {
                left.push(body);
                break;
            }
        }
        std::thread::sleep(pace);
    }
    Ok(left)
}

fn compare(ledger: &Ledger, data: &Path, config: &str, after: usize) -> Result<Found> {
    let found = ledger.compare(data, &["--config", config])?;
    println!("after {after} rounds: {found:?}");
    ensure!(found.lost == 0 && found.doubled == 0, "after {after} rounds: {found:?}");
    Ok(found)
}

/// Files that were merged from others.
fn merged_files(data: &Path) -> Result<u64> {
    let mut stats = std::process::Command::new(tests::binary());
    let stats = stats.args(["lake", "stats", "--output", "json", "--data-dir"]).arg(data).output()?;
    let lines = String::from_utf8(stats.stdout)?;
    let lines: Vec<serde_json::Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let merged = lines.iter().filter(|line| line["standing"] == "level 1" || line["standing"] == "level 2");
    Ok(merged.filter_map(|line| line["files"].as_u64()).sum())
}

#[test]
fn kill_nine_under_load_loses_and_doubles_nothing() -> Result<()> {
    let rounds = rounds("TRACEHOUND_KILL_ROUNDS", 20, 1_000);
    let mut dice = Dice::from_environment("TRACEHOUND_KILL_SEED", 1);
    let folder = tempfile::tempdir()?;
    let (config, data) = (folder.path().join("config.toml"), folder.path().join("data"));
    std::fs::write(&config, SETTINGS)?;
    let config = config.to_string_lossy().into_owned();
    let ledger = Ledger::default();
    let mut starts = Vec::new();
    let mut unanswered: Vec<Vec<Vec<u8>>> = vec![Vec::new(); SENDERS];
    for round in 0..rounds {
        let server = Server::start(&data, &["--config", &config])?;
        starts.push(server.ready_after);
        // the moment of the kill is part of the experiment: a different one each round
        let life = Duration::from_millis(150 + dice.below(1_500) as u64);
        unanswered = std::thread::scope(|scope| {
            let senders: Vec<_> = (0_u64..)
                .zip(std::mem::take(&mut unanswered))
                .map(|(sender, left)| {
                    let seed = (round as u64 * SENDERS as u64 + sender + 1) << 32;
                    let (base, ledger) = (server.http.clone(), &ledger);
                    scope.spawn(move || send(&base, seed, left, life / EXPORTS, ledger))
                })
                .collect();
            std::thread::sleep(life);
            let killed = server.kill();
            let left = senders.into_iter().map(|sender| sender.join().expect("no sender panics")).collect();
            killed.and(left)
        })?;
        if (round + 1) % COMPARE_EVERY == 0 && round + 1 < rounds {
            compare(&ledger, &data, &config, round + 1)?;
        }
    }
    ensure!(ledger.spans() > 0, "nothing was acknowledged in {rounds} rounds");
    let found = compare(&ledger, &data, &config, rounds)?;
    let merged = merged_files(&data)?;
    ensure!(rounds < COMPARE_EVERY || merged > 0, "no merge was done in {rounds} rounds");
    let server = Server::start(&data, &["--config", &config])?;
    let shown = ledger.read_back(&server, READ_BACK, &mut dice)?;
    let slow = |share| quantile(&starts, share).unwrap_or_default();
    println!(
        "kill -9: {rounds} rounds, {} spans in {} traces acknowledged, {} lost, {} doubled, {} copies of resent spans \
         folded; {merged} files merged from others; {shown} traces read back; start p99 {:?}, slowest {:?}",
        found.acknowledged,
        found.traces,
        found.lost,
        found.doubled,
        found.folded,
        slow(0.99),
        slow(1.0)
    );
    Ok(())
}
