//! The disk fills up: requests are refused before the reserve is touched, and taken again by themselves when there is room.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::blocking::Client;
use tests::{Server, unix_nanos, wait_for};

use crate::ledger::{Ledger, ask};
use crate::small_disk::{SmallDisk, free_bytes};

/// Size of the disk.
const DISK_BYTES: u64 = 96 << 20;
/// What must stay free of it.
const RESERVE_BYTES: u64 = 24 << 20;
/// Something else that fills it, so that the load need not.
const BALLAST_BYTES: u64 = 56 << 20;
/// Requests until the disk is full at the latest.
const REQUESTS: u64 = 4_000;
/// Spans per request.
const SPANS: u64 = 100;
/// How soon after room was made requests are taken again.
const TAKEN_AGAIN: Duration = Duration::from_secs(10);

/// How requests are sent.
#[derive(Debug, Clone, Copy)]
enum Way {
    Http,
    Grpc,
}

/// A server and the one way to it.
struct Door {
    way: Way,
    grpc: Client,
    server: Server,
}

impl Door {
    fn open(way: Way, data: &Path, config: &str) -> Result<Self> {
        let grpc = tests::client().http2_prior_knowledge().build()?;
        Ok(Self { way, grpc, server: Server::start(data, &["--config", config])? })
    }

    /// Whether a request was taken; one that was not is told to come back.
    fn send(&self, body: &[u8]) -> Result<bool> {
        match self.way {
            Way::Http => {
                let answer = self.server.export("traces", body.to_vec())?;
                if answer.status().is_success() {
                    return Ok(true);
                }
                ensure!(answer.status().as_u16() == 503, "{}", answer.status());
                ensure!(answer.headers().contains_key("retry-after"), "says when to come back");
            }
            Way::Grpc => {
                let path = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
                let call = self.grpc.post(format!("{}/{path}", self.server.grpc)).header("te", "trailers");
                let call = call.header("content-type", "application/grpc").body(otlp::framing::frame(body));
                let answer = call.send()?;
                ensure!(answer.status().as_u16() == 200, "{}", answer.status());
                // a call that succeeds says so behind its message
                let Some(code) = answer.headers().get("grpc-status") else { return Ok(true) };
                ensure!(code == "14", "gRPC status {code:?} and not UNAVAILABLE");
                ensure!(answer.headers().contains_key("google.rpc.retryinfo-bin"), "says when to come back");
            }
        }
        Ok(false)
    }
}

#[test]
fn a_full_disk_refuses_before_its_reserve_and_takes_again_when_there_is_room() -> Result<()> {
    fill(Way::Http)
}

#[test]
fn a_full_disk_is_unavailable_over_grpc_and_takes_again_when_there_is_room() -> Result<()> {
    fill(Way::Grpc)
}

fn fill(way: Way) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("disk");
    fs::create_dir(&place)?;
    let _disk = match SmallDisk::mount(&place, DISK_BYTES) {
        Ok(disk) => disk,
        Err(reason) => {
            println!("full disk, {way:?}: skipped, no disk can be mounted here: {reason}");
            return Ok(());
        }
    };
    let config = folder.path().join("config.toml");
    let wal = format!("[wal]\nsegment_bytes = 1048576\nreserve_bytes = {RESERVE_BYTES}\n");
    fs::write(
        &config,
        format!("[otlp]\nmax_inflated_bytes = 524288\n{wal}[lake]\nflush_bytes = 1048576\nflush_secs = 1\n"),
    )?;
    let config = config.to_string_lossy().into_owned();
    let (data, ballast) = (place.join("data"), place.join("ballast"));
    fs::write(&ballast, vec![1; BALLAST_BYTES as usize])?;
    let ledger = Ledger::default();
    let door = Door::open(way, &data, &config)?;
    let mut bodies = (0..).flat_map(|seed| simulate::load(seed + 1, SPANS, unix_nanos())).map(|export| export.body);
    let (mut least_free, mut refused) = (u64::MAX, None);
    for body in bodies.by_ref().take(REQUESTS as usize) {
        let is_taken = door.send(&body)?;
        least_free = least_free.min(free_bytes(&place)?);
        if is_taken {
            ledger.enter(&body, false)?;
            continue;
        }
        refused = Some(body);
        break;
    }
    let Some(refused) = refused else { anyhow::bail!("{REQUESTS} requests did not fill the disk") };
    // files that are being written may take a little of the reserve, which is there for them
    ensure!(least_free > RESERVE_BYTES / 2, "only {least_free} bytes were left free");
    let before = door.server.pid();

    fs::remove_file(&ballast)?;
    let freed = Instant::now();
    wait_for("a request that is taken", || {
        ensure!(door.send(&refused)?, "refused");
        Ok(())
    })?;
    let again_after = freed.elapsed();
    // refused means not stored: it may be sent again, and counts once
    ledger.enter(&refused, false)?;
    ensure!(again_after < TAKEN_AGAIN, "taken again only after {again_after:?}");
    ensure!(door.server.get("/readyz").is_ok() && door.server.pid() == before, "the same process is ready again");
    for body in bodies.take(20) {
        ensure!(door.send(&body)?, "taken like before");
        ledger.enter(&body, false)?;
    }
    ensure!(door.server.stop()?.success(), "a clean stop");
    let found = ledger.compare(&data, &["--config", &config])?;
    let rows = &ask(&data, &["--config", &config], "select count(*) as n from spans")?[0]["n"];
    println!(
        "full disk, {way:?}: refused with {least_free} bytes free of a reserve of {RESERVE_BYTES}; taken again after \
         {again_after:?}; {} spans acknowledged, {} lost, {} doubled, {rows} stored",
        found.acknowledged, found.lost, found.doubled
    );
    ensure!(
        found.lost == 0 && found.doubled == 0 && rows.as_u64() == Some(found.acknowledged),
        "{found:?}, {rows} rows"
    );
    Ok(())
}
