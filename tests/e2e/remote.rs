//! The way of a span into an object store and back, with the real binary and a store that goes away in between.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Server, binary, unix_nanos, wait_for};

use crate::bucket::{Bucket, KEY_ID, NAME, SECRET};

/// Exports of 300 spans each, one file each; eight files are merged.
const EXPORTS: u64 = 8;
const SPANS: u64 = 300;
const HOUR_NANOS: u64 = 3_600_000_000_000;

fn config(folder: &Path, bucket: &Bucket) -> Result<PathBuf> {
    let (config, secret) = (folder.join("tracehound.toml"), folder.join("secret"));
    fs::write(&secret, SECRET)?;
    let text = format!(
        r#"
[lake]
flush_secs = 1
compaction_percent = 100
[lake.object_store]
url = "s3://{NAME}/prod/east"
endpoint = "{}"
region = "here"
access_key_id = "{KEY_ID}"
secret_access_key_file = "{}"
upload_levels = [1, 2]
min_age_secs = 0
cache_bytes = 0
timeout_secs = 1
"#,
        bucket.endpoint,
        secret.display()
    );
    fs::write(&config, text)?;
    Ok(config)
}

/// Sends spans and waits until they are in a file.
fn send(server: &Server, seed: u64, start_unix_nanos: u64) -> Result<()> {
    let before = server.metric("tracehound_lake_rows")?;
    for export in simulate::load(seed, SPANS, start_unix_nanos) {
        ensure!(server.export("traces", export.body)?.status().is_success(), "taken");
    }
    wait_for("a flush", || {
        let rows = server.metric("tracehound_lake_rows")?;
        ensure!(rows >= before + SPANS as f64, "{rows} rows in files");
        Ok(())
    })
}

fn rows(data: &Path, config: &Path) -> Result<(u64, u64)> {
    let flags = ["lake", "stats", "--output", "json", "--data-dir"];
    let stats = Command::new(binary()).args(flags).arg(data).arg("--config").arg(config).output()?;
    let lines = String::from_utf8(stats.stdout)?;
    let lines: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let live = lines.iter().filter(|line| line["signal"] == "spans" && line["standing"] != "retired");
    let sum = |key: &str| live.clone().filter_map(|line| line[key].as_u64()).sum();
    Ok((sum("rows"), sum("remote_files")))
}

#[test]
fn spans_lie_in_an_object_store_and_are_found_there() -> Result<()> {
    let (folder, bucket) = (tempfile::tempdir()?, Bucket::start());
    let (data, config) = (folder.path().join("data"), config(folder.path(), &bucket)?);
    let flags = ["--config", config.to_str().context("a path of text")?];
    let server = Server::start(&data, &flags)?;
    // in the middle of an hour, so that one partition has them all
    let start = (unix_nanos() / HOUR_NANOS - 3) * HOUR_NANOS + HOUR_NANOS / 4;
    for number in 0..EXPORTS {
        send(&server, number, start)?;
    }
    wait_for("a merged file in the store", || {
        let uploads = server.metric("tracehound_lake_remote_files")?;
        ensure!(uploads >= 1.0 && server.metric("tracehound_lake_upload_waiting_bytes")? == 0.0, "{uploads} files");
        ensure!(tests::parquet_files(&bucket.folder.join("prod/east"))?.len() == 1, "one object");
        Ok(())
    })?;
    let merged = tests::parquet_files(&bucket.folder.join("prod/east"))?.remove(0);
    let name = merged.strip_prefix(bucket.folder.join("prod/east"))?.to_string_lossy().into_owned();
    let copy = data.join("lake").join(&name);
    wait_for("the copy to go", || {
        ensure!(!copy.exists(), "it is there");
        Ok(())
    })?;

    // the search needs its rows, the trace its slice
    let search = format!("/api/v1/traces/search?limit=5&start={start}&end={}", start + HOUR_NANOS);
    let found = server.get(&search)?;
    let trace = found["items"][0]["trace_id"].as_str().context("a trace")?.to_owned();
    ensure!(found["items"].as_array().is_some_and(|items| items.len() == 5), "{found}");
    ensure!(copy.exists() && server.metric("tracehound_lake_cache_misses_total")? >= 1.0, "it was fetched");
    bucket.take_seen();
    server.get(&search)?;
    let seen = bucket.take_seen();
    ensure!(!seen.iter().any(|seen| seen.contains(&name)), "its copy is read: {seen:?}");

    bucket.fault(|faults| faults.is_down = true);
    let lookup = format!("/api/v1/traces/{trace}");
    for path in [&search, &lookup] {
        fs::remove_file(&copy).or_else(|error| if copy.exists() { Err(error) } else { Ok(()) })?;
        let answer = server.send(reqwest::Method::GET, path, None)?;
        let (status, retry) = (answer.status(), answer.headers().contains_key("retry-after"));
        let text = answer.text()?;
        ensure!(status == 503 && retry && text.contains(&name), "{path}: {status}: {text}");
    }
    send(&server, 100, unix_nanos() - 60_000_000_000)?;
    ensure!(server.metric("tracehound_lake_quarantined_files")? == 0.0, "a store that is down is no damage");

    // a server that has no footer in memory says so as well
    server.stop()?;
    let server = Server::start(&data, &flags)?;
    fs::remove_file(&copy).or_else(|error| if copy.exists() { Err(error) } else { Ok(()) })?;
    let answer = server.send(reqwest::Method::GET, &search, None)?;
    let (status, text) = (answer.status(), answer.text()?);
    ensure!(status == 503 && text.contains(&name), "{status}: {text}");

    bucket.fault(|faults| faults.is_down = false);
    let answer = wait_for("an answer after the store came back", || server.get(&lookup))?;
    ensure!(answer["missing_files"].is_null(), "{answer}");
    ensure!(server.get(&search)?["items"].as_array().is_some_and(|items| items.len() == 5), "and the search");
    server.stop()?;
    let (rows, remote) = rows(&data, &config)?;
    ensure!(rows == (EXPORTS + 1) * SPANS && remote == 1, "{rows} rows, {remote} files in the store");
    let verify = Command::new(binary()).args(["lake", "verify", "--data-dir"]).arg(&data).args(flags).output()?;
    ensure!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));
    // what was sent is there once, read from the store by a process that starts anew
    let sql = "select count(*) as n, count(distinct span_id) as ids from spans";
    let query = ["query", sql, "--output", "json", "--data-dir"];
    let counted = Command::new(binary()).args(query).arg(&data).args(flags).output()?;
    let said = String::from_utf8_lossy(&counted.stdout).into_owned();
    ensure!(said.contains(&format!("\"n\":{}", (EXPORTS + 1) * SPANS)), "{said}");
    Ok(())
}
