//! What many files cost: a commit to the catalog, a start, and a lookup, with a hundred thousand files in it.
//!
//! The files are made where syncing costs nothing, by a server that does not merge, and copied to the disk then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tests::{Server, wait_for};

use crate::usage;

/// Files that are made, unless `TRACEHOUND_BENCH_FILES` says otherwise.
const FILES: u64 = 100_000;
/// Hours that each flush has a file of: the most there may be.
const HOURS: u64 = 48;
const HOUR_NANOS: u64 = 3_600_000_000_000;
/// Commits that are timed.
const COMMITS: u64 = 100;
const LOOKUPS: u64 = 100;
/// A span is so long that those of all hours fill memory to where it is flushed; it says the same thing over and over, so
/// that files are small.
const SPAN_BYTES: usize = 24 << 10;
/// A folder in memory.
const MEMORY: &str = "/dev/shm";
/// Everything is flushed as soon as it is there, and stays as it is.
const SETTINGS: &str = "[lake]\ncompaction_percent = 0\nflush_bytes = 1048576\n[otlp.resends]\nmax_requests = 1\n";

/// Makes the files, then prints what a commit, a start and a lookup take with a few of them and with all.
pub fn run() -> Result<()> {
    let wanted = std::env::var("TRACEHOUND_BENCH_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(FILES);
    println!(
        "## files\n\na span an hour of {HOURS} hours in each flush, nothing merged; {COMMITS} commits of {HOURS} files each\n"
    );
    println!(
        "| files | commit, mean ms | flush, mean ms | start, s | trace by id, p50 ms | RSS MiB |\n|---|---|---|---|---|---|"
    );
    let (memory, disk) = (tempfile::tempdir_in(MEMORY)?, tempfile::tempdir()?);
    let few = disk.path().join("few");
    let mut made = Made { number: 0 };
    time(&few, &mut made)?;
    let many = memory.path().join("many");
    let server = start(&many)?;
    while server.metric("tracehound_lake_files")? < wanted as f64 {
        made.one_more(&server)?;
    }
    ensure!(server.stop()?.success(), "the server stops");
    // as it lies on a disk
    let kept = disk.path().join("many");
    let copied = Command::new("cp").args(["-a", "--sparse=always"]).arg(&many).arg(&kept).status()?;
    ensure!(copied.success() && Command::new("sync").status()?.success(), "the files are copied");
    drop(memory);
    time(&kept, &mut made)
}

fn start(data: &Path) -> Result<Server> {
    let folder: PathBuf = data.with_extension("settings");
    fs::create_dir_all(&folder)?;
    let config = folder.join("bench.toml");
    fs::write(&config, SETTINGS)?;
    Server::start(data, &["--config", &config.to_string_lossy()])
}

fn time(data: &Path, made: &mut Made) -> Result<()> {
    let started = Instant::now();
    let server = start(data)?;
    wait_for("the server to be ready", || server.get("/readyz").map(drop))?;
    let start_secs = started.elapsed().as_secs_f64();
    let files = server.metric("tracehound_lake_files")?;
    let mean_ms = |what: &str, before: (f64, f64)| -> Result<f64> {
        let (sum, count) = total(&server, what)?;
        Ok(1e3 * (sum - before.0) / (count - before.1).max(1.0))
    };
    let (commits, flushes) = ("tracehound_lake_commit_seconds", "tracehound_lake_flush_seconds");
    let before = (total(&server, commits)?, total(&server, flushes)?);
    for _ in 0..COMMITS {
        made.one_more(&server)?;
    }
    let (commit_ms, flush_ms) = (mean_ms(commits, before.0)?, mean_ms(flushes, before.1)?);
    let mut took = Vec::new();
    for number in (0..LOOKUPS).map(|number| made.number - 1 - number % COMMITS) {
        let asked = Instant::now();
        server.get(&format!("/api/v1/traces/{}", hex::encode(trace_id(number))))?;
        took.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    let (lookup_ms, rss_mib) = (crate::median(took), usage::rss_mib(server.pid())?);
    println!("| {files:.0} | {commit_ms:.1} | {flush_ms:.0} | {start_secs:.2} | {lookup_ms:.2} | {rss_mib:.0} |");
    server.kill()
}

/// Sum and number of what a metric measured.
fn total(server: &Server, name: &str) -> Result<(f64, f64)> {
    let one = |suffix: &str| server.metric(&format!("{name}_{suffix}")).or(Ok::<_, anyhow::Error>(0.0));
    Ok((one("sum")?, one("count")?))
}

/// Requests, each with spans of a trace that goes on for two days.
struct Made {
    number: u64,
}

impl Made {
    /// One more request, and one more flush.
    fn one_more(&mut self, server: &Server) -> Result<()> {
        let before = server.metric("tracehound_lake_files")?;
        let answer = server.export("traces", request(self.number))?;
        ensure!(answer.status().is_success(), "refused: {}", answer.status());
        self.number += 1;
        wait_for("a flush", || {
            let now = server.metric("tracehound_lake_files")?;
            ensure!(now >= before + HOURS as f64, "{now} files, {before} before");
            Ok(())
        })
        .context("while files are made")
    }
}

fn trace_id(number: u64) -> [u8; 16] {
    (u128::from(number) + 1).to_be_bytes()
}

fn request(number: u64) -> Vec<u8> {
    let now = tests::unix_nanos();
    let spans = (0..HOURS).map(|hour| Span {
        trace_id: trace_id(number).to_vec(),
        span_id: (hour + 1).to_be_bytes().to_vec(),
        name: format!("hour {hour}"),
        start_time_unix_nano: now - hour * HOUR_NANOS,
        end_time_unix_nano: now - hour * HOUR_NANOS + 1_000_000,
        trace_state: "x".repeat(SPAN_BYTES),
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
        .encode_to_vec()
}
