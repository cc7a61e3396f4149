//! The object store is away for long, then does what it is told without saying so, then is slow: events are taken until
//! the local disk is at its reserve, and again by themselves when files can go; none is lost, none is doubled.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::{Server, unix_nanos, wait_for};

use crate::bucket::{Bucket, KEY_ID, NAME, SECRET};
use crate::form::rounds;
use crate::ledger::{Ledger, ask};
use crate::small_disk::{SmallDisk, free_bytes};

/// Size of the local disk.
const DISK_BYTES: u64 = 96 << 20;
/// What must stay free of it.
const RESERVE_BYTES: u64 = 24 << 20;
/// Something else that fills it, so that the load need not.
const BALLAST_BYTES: usize = 58 << 20;
/// Room for the files of a long outage, of which there are a hundred.
const LONG_ROOM_BYTES: usize = 8 << 20;
/// Spans per request.
const SPANS: u64 = 100;
/// Requests while the store is away and the load has a pace.
const PACED: u32 = 150;
/// Requests until the disk is full at the latest.
const REQUESTS: usize = 4_000;
/// Longer than it takes until the log is trimmed behind what is in files and judged.
const SETTLED: Duration = Duration::from_secs(7);
/// How late a slow store answers.
const SLOW: Duration = Duration::from_millis(200);
/// Pause between two requests of a client that is refused.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

fn config(folder: &Path, bucket: &Bucket, flush_secs: u64) -> Result<String> {
    let (config, secret) = (folder.join("config.toml"), folder.join("secret"));
    fs::write(&secret, SECRET)?;
    let text = format!(
        r#"
[otlp]
max_inflated_bytes = 524288
[wal]
segment_bytes = 1048576
reserve_bytes = {RESERVE_BYTES}
[lake]
flush_bytes = 1048576
flush_secs = {flush_secs}
compaction_percent = 0
[lake.object_store]
url = "s3://{NAME}/outage"
endpoint = "{}"
region = "here"
access_key_id = "{KEY_ID}"
secret_access_key_file = "{}"
upload_levels = [0, 1, 2]
min_age_secs = 0
cache_bytes = 0
timeout_secs = 1
"#,
        bucket.endpoint,
        secret.display()
    );
    fs::write(&config, text)?;
    Ok(config.to_string_lossy().into_owned())
}

/// A client, what it sent, and how it went.
struct Client<'a> {
    server: &'a Server,
    place: &'a Path,
    ledger: Ledger,
    bodies: Box<dyn Iterator<Item = Vec<u8>>>,
    /// What was refused last and is sent again.
    refused: Option<Vec<u8>>,
    refusals: u64,
    least_free_bytes: u64,
}

impl Client<'_> {
    /// Sends the next request, or the one that was refused; whether it was taken.
    fn send(&mut self) -> Result<bool> {
        let body = self.refused.take().or_else(|| self.bodies.next()).context("a request")?;
        let answer = self.server.export("traces", body.clone())?;
        self.least_free_bytes = self.least_free_bytes.min(free_bytes(self.place)?);
        if answer.status().is_success() {
            self.ledger.enter(&body, false)?;
            return Ok(true);
        }
        ensure!(answer.status().as_u16() == 503 && answer.headers().contains_key("retry-after"), "{answer:?}");
        self.refusals += 1;
        self.refused = Some(body);
        Ok(false)
    }

    /// Sends for so long, at a pace; how many requests were taken.
    fn send_for(&mut self, time: Duration, pause: Duration) -> Result<u64> {
        let (begun, mut taken) = (Instant::now(), 0);
        while begun.elapsed() < time {
            taken += u64::from(self.send()?);
            std::thread::sleep(pause);
        }
        Ok(taken)
    }
}

#[test]
fn a_store_that_is_away_costs_nothing_but_room_on_the_disk() -> Result<()> {
    let away = Duration::from_secs(rounds("TRACEHOUND_OUTAGE_SECS", 6, 1_800) as u64);
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("disk");
    fs::create_dir(&place)?;
    let _disk = match SmallDisk::mount(&place, DISK_BYTES) {
        Ok(disk) => disk,
        Err(reason) => {
            println!("object store away: skipped, no disk can be mounted here: {reason}");
            return Ok(());
        }
    };
    let bucket = Bucket::start();
    // files of ten seconds, so that those of half an hour go into the store in minutes
    let is_long = away > Duration::from_secs(60);
    let flush_secs = if is_long { 10 } else { 1 };
    let config = config(folder.path(), &bucket, flush_secs)?;
    let data = place.join("data");
    let ballast = BALLAST_BYTES - if is_long { LONG_ROOM_BYTES } else { 0 };
    fs::write(place.join("ballast"), vec![1; ballast])?;
    let server = Server::start(&data, &["--config", &config])?;
    let bodies = (0..).flat_map(|seed| simulate::load(seed + 1, SPANS, unix_nanos())).map(|export| export.body);
    let mut client = Client {
        server: &server,
        place: &place,
        ledger: Ledger::default(),
        bodies: Box::new(bodies),
        refused: None,
        refusals: 0,
        least_free_bytes: u64::MAX,
    };
    ensure!(client.send()?, "taken");
    wait_for("a first file in the store", || {
        ensure!(server.metric("tracehound_lake_remote_files")? >= 1.0, "none");
        Ok(())
    })?;

    bucket.fault(|faults| faults.is_down = true);
    let gone = Instant::now();
    let paced = client.send_for(away / 2, away / 2 / PACED)?;
    ensure!(client.refusals == 0 && server.get("/readyz").is_ok(), "{} refused while there was room", client.refusals);
    let waiting = server.metric("tracehound_lake_upload_waiting_bytes")?;
    ensure!(waiting > 0.0, "nothing waits for the store");
    // until what was in memory and in the log has made what room it can
    let (mut fast, mut last_taken) = (0, Instant::now());
    while last_taken.elapsed() < SETTLED + Duration::from_secs(flush_secs) {
        ensure!(fast < REQUESTS, "{REQUESTS} requests did not fill the disk");
        if client.send()? {
            (fast, last_taken) = (fast + 1, Instant::now());
        } else {
            std::thread::sleep(REFUSED_PAUSE);
        }
    }
    let (free, reserve) =
        (server.metric("tracehound_disk_free_bytes")?, server.metric("tracehound_disk_reserve_bytes")?);
    ensure!(reserve == RESERVE_BYTES as f64 && free < reserve + (2 << 20) as f64, "{free} bytes free of {reserve}");
    client.send_for(away.saturating_sub(gone.elapsed()), REFUSED_PAUSE)?;
    // files that are being written may take a little of the reserve, which is there for them
    ensure!(client.least_free_bytes > RESERVE_BYTES / 2, "only {} bytes were left free", client.least_free_bytes);
    let (refusals, was_away) = (client.refusals, gone.elapsed());

    bucket.fault(|faults| (faults.is_down, faults.unanswered_every) = (false, 2));
    let back = Instant::now();
    wait_for("a request that is taken", || {
        ensure!(client.send()?, "refused");
        Ok(())
    })?;
    let taken_after = back.elapsed();
    client.send_for(away / 6, REFUSED_PAUSE)?;
    bucket.fault(|faults| (faults.unanswered_every, faults.delay) = (0, SLOW));
    client.send_for(away / 6, REFUSED_PAUSE)?;
    bucket.fault(|faults| faults.delay = Duration::ZERO);
    while !client.send()? {
        std::thread::sleep(REFUSED_PAUSE);
    }
    let acknowledged = client.ledger.spans() as f64;
    wait_for("every file in the store", || {
        let (rows, waiting) =
            (server.metric("tracehound_lake_rows")?, server.metric("tracehound_lake_upload_waiting_bytes")?);
        ensure!(rows == acknowledged && waiting == 0.0, "{rows} of {acknowledged} rows in files, {waiting} bytes wait");
        ensure!(tests::parquet_files(&data.join("lake"))?.is_empty(), "copies are there");
        Ok(())
    })?;
    ensure!(server.metric("tracehound_lake_quarantined_files")? == 0.0, "a store that is away is no damage");
    let files = server.metric("tracehound_lake_remote_files")?;
    let Client { ledger, least_free_bytes, .. } = client;
    ensure!(server.stop()?.success(), "a clean stop");
    let objects = tests::parquet_files(&bucket.folder.join("outage"))?.len();
    ensure!(objects as f64 == files, "{objects} objects of {files} files");
    let found = ledger.compare(&data, &["--config", &config])?;
    let rows = &ask(&data, &["--config", &config], "select count(*) as n from spans")?[0]["n"];
    println!(
        "object store away for {was_away:?}: {paced} requests taken at a pace and {fast} more until the disk was at its \
         reserve, {refusals} refused, {least_free_bytes} bytes free at least of a reserve of {RESERVE_BYTES}; taken again \
         {taken_after:?} after it came back with half its answers missing; {objects} objects, {} spans acknowledged, {} lost, \
         {} doubled, {rows} stored",
        found.acknowledged, found.lost, found.doubled
    );
    ensure!(
        found.lost == 0 && found.doubled == 0 && rows.as_u64() == Some(found.acknowledged),
        "{found:?}, {rows} rows"
    );
    Ok(())
}
