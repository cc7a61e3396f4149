//! The disk refuses to write: the log stops for good, as after a failed sync; files are written again until it works.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lake::Partition;
use model::UnixNanos;
use tests::dice::Dice;
use tests::{Server, unix_nanos, wait_for};

use crate::injection::Injection;
use crate::ledger::{Ledger, ask};
use crate::recording::strace_is_missing;

/// Spans per request.
const SPANS: u64 = 8;
/// Requests before the log fails.
const BEFORE: u64 = 20;
/// Requests sent after it.
const AFTERWARDS: usize = 10;
/// Requests sent while files cannot be written.
const MEANWHILE: usize = 10;
/// Spans per request where memory is to be filled, and requests until it is full at the latest.
const MANY_SPANS: u64 = 200;
const REQUESTS: usize = 400;
const NANOS_PER_HOUR: u64 = 3_600_000_000_000;

/// Requests of so many spans each, in the middle of the hour before the last; others for another seed.
fn bodies(seed: u64, spans: u64) -> impl Iterator<Item = Vec<u8>> {
    let start_unix_nanos = (unix_nanos() / NANOS_PER_HOUR - 2) * NANOS_PER_HOUR + NANOS_PER_HOUR / 2;
    (seed << 32..).flat_map(move |seed| simulate::load(seed, spans, start_unix_nanos)).map(|export| export.body)
}

#[test]
fn after_the_log_could_not_be_written_nothing_is_acknowledged() -> Result<()> {
    if let Some(reason) = strace_is_missing() {
        println!("failed write of the log: skipped, {reason}");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start(&data, &[])?;
    let (ledger, mut bodies) = (Ledger::default(), bodies(1, SPANS));
    for body in bodies.by_ref().take(BEFORE as usize) {
        ensure!(server.export("traces", body.clone())?.status().is_success(), "taken");
        ledger.enter(&body, false)?;
    }
    let segments = fs::read_dir(data.join("wal"))?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let segment = segments.into_iter().filter(|path| path.extension().is_some_and(|end| end == "wal")).max();
    let injection = Injection::begin(server.pid(), "write", &[&segment.context("a segment")?])?;
    let failed = server.export("traces", bodies.next().context("a request")?)?;
    injection.end()?;
    ensure!(failed.status().as_u16() == 503 && failed.headers().contains_key("retry-after"), "{}", failed.status());
    // the disk is mended, and what it holds is not known all the same
    let mut acknowledged_after = 0;
    for body in bodies.take(AFTERWARDS) {
        acknowledged_after += u32::from(server.export("traces", body)?.status().is_success());
    }
    let health = server.send(reqwest::Method::GET, "/readyz?verbose", None)?;
    let (status, said) = (health.status(), health.text()?);
    ensure!(status.as_u16() == 503 && said.contains("a write or an fsync failed"), "health is {status}: {said}");
    ensure!(server.metric("tracehound_wal_failed")? == 1.0, "the metric is not set");
    server.kill()?;
    let found = ledger.compare(&data, &[])?;
    println!(
        "failed write of the log: {BEFORE} requests before it, {acknowledged_after} of {AFTERWARDS} acknowledged after it, \
         health {status}; {} spans acknowledged, {} lost, {} doubled",
        found.acknowledged, found.lost, found.doubled
    );
    ensure!(acknowledged_after == 0 && found.lost == 0 && found.doubled == 0, "{found:?}");
    let server = Server::start(&data, &[])?;
    ensure!(server.metric("tracehound_wal_failed")? == 0.0, "a restart takes requests again");
    Ok(())
}

/// A server whose files cannot be written now and then.
struct Flushing {
    server: Server,
    ledger: Ledger,
    /// Requests that were acknowledged, which are as many log positions.
    requests: u64,
    bodies: Box<dyn Iterator<Item = Vec<u8>>>,
}

impl Flushing {
    /// Sends a request; whether it was taken.
    fn send(&mut self, body: &[u8]) -> Result<bool> {
        let answer = self.server.export("traces", body.to_vec())?;
        if !answer.status().is_success() {
            ensure!(answer.status().as_u16() == 503 && answer.headers().contains_key("retry-after"), "{answer:?}");
            return Ok(false);
        }
        self.ledger.enter(body, false)?;
        self.requests += 1;
        Ok(true)
    }

    fn send_next(&mut self) -> Result<()> {
        let body = self.bodies.next().context("a request")?;
        ensure!(self.send(&body)?, "taken: files are written later");
        Ok(())
    }

    /// Where the file of the next request alone is put together.
    fn next_file(&self, data: &Path) -> String {
        let hour = Partition::Hour(UnixNanos((unix_nanos() - 2 * NANOS_PER_HOUR).cast_signed()).hour());
        let lsn = format!("{:016x}", self.requests + 1);
        let name = format!("default.spans.{hour}.{lsn}-{lsn}.parquet");
        data.join("lake/.tmp").join(name).to_string_lossy().into_owned()
    }

    fn failures(&self) -> Result<f64> {
        self.server.metric("tracehound_lake_flush_failures_total")
    }

    /// Until every acknowledged span is in a file and none in memory.
    fn wait_for_files(&self) -> Result<()> {
        let acknowledged = self.ledger.spans() as f64;
        wait_for("the flush", || {
            let (rows, memory) =
                (self.server.metric("tracehound_lake_rows")?, self.server.metric("tracehound_memtable_rows")?);
            ensure!(
                rows == acknowledged && memory == 0.0,
                "{rows} of {acknowledged} rows in files, {memory} in memory"
            );
            Ok(())
        })
    }
}

#[test]
fn files_that_could_not_be_written_are_written_again_and_nothing_is_lost_or_doubled() -> Result<()> {
    if let Some(reason) = strace_is_missing() {
        println!("failed write of files: skipped, {reason}");
        return Ok(());
    }
    let mut dice = Dice::from_environment("TRACEHOUND_FAILED_WRITE_SEED", 1);
    let folder = tempfile::tempdir()?;
    let (data, config) = (folder.path().canonicalize()?.join("data"), folder.path().join("config.toml"));
    fs::write(
        &config,
        "[lake]\nflush_bytes = 1048576\nmemtable_bytes = 2097152\nflush_secs = 1\ncompaction_percent = 0\n",
    )?;
    let config = config.to_string_lossy().into_owned();
    let server = Server::start(&data, &["--config", &config])?;
    let mut flushing = Flushing { server, ledger: Ledger::default(), requests: 0, bodies: Box::new(bodies(1, SPANS)) };
    let catalog = data.join("tracehound.db-wal");
    let cases =
        [("write", "parquet"), ("fsync", "parquet"), ("write", "idx"), ("pwrite64", "db"), ("fsync,fdatasync", "db")];
    for (calls, kind) in cases {
        let file = match kind {
            "db" => catalog.clone(),
            extension => Path::new(&flushing.next_file(&data)).with_extension(extension),
        };
        let before = flushing.failures()?;
        let injection = Injection::begin(flushing.server.pid(), calls, &[&file])?;
        flushing.send_next()?;
        wait_for("a flush that fails", || {
            ensure!(flushing.failures()? > before, "{calls} of {} did not fail", file.display());
            Ok(())
        })?;
        for _ in 0..MEANWHILE {
            flushing.send_next()?;
        }
        flushing.ledger.read_back(&flushing.server, 20, &mut dice)?;
        injection.end()?;
        flushing.wait_for_files()?;
    }
    // for as long as it lasts memory fills, and then requests are refused before anything is lost
    let file = PathBuf::from(flushing.next_file(&data));
    let before = flushing.failures()?;
    let injection = Injection::begin(flushing.server.pid(), "write", &[&file])?;
    flushing.send_next()?;
    wait_for("a flush that fails", || {
        ensure!(flushing.failures()? > before, "no write of {} failed", file.display());
        Ok(())
    })?;
    let (mut refused, mut said) = (None, String::new());
    for body in bodies(2, MANY_SPANS).take(REQUESTS) {
        if flushing.send(&body)? {
            continue;
        }
        let health = flushing.server.send(reqwest::Method::GET, "/readyz?verbose", None)?;
        let status = health.status();
        said = health.text()?;
        // what came last may be joined with its like meanwhile, and take less
        if status.as_u16() == 503 {
            refused = Some(body);
            break;
        }
    }
    let refused = refused.context("memory has a limit")?;
    ensure!(said.contains("files cannot be written"), "health: {said}");
    let failures = flushing.failures()?;
    injection.end()?;
    wait_for("a request that is taken", || {
        ensure!(flushing.send(&refused)?, "memory is full");
        Ok(())
    })?;
    flushing.wait_for_files()?;
    ensure!(flushing.server.get("/readyz").is_ok(), "it is ready again");
    let Flushing { server, ledger, .. } = flushing;
    ensure!(server.stop()?.success(), "a clean stop");
    let found = ledger.compare(&data, &["--config", &config])?;
    let rows = &ask(&data, &["--config", &config], "select count(*) as n from spans")?[0]["n"];
    println!(
        "failed write of files: {} kinds, {failures} flushes failed, memory full and health 503 after {} requests of \
         {MANY_SPANS} spans; {} spans acknowledged, {} lost, {} doubled, {rows} stored",
        cases.len(),
        ledger.spans() / MANY_SPANS,
        found.acknowledged,
        found.lost,
        found.doubled
    );
    ensure!(
        found.lost == 0 && found.doubled == 0 && rows.as_u64() == Some(found.acknowledged),
        "{found:?}, {rows} rows"
    );
    Ok(())
}
