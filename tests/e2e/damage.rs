//! Stored files looked at from outside, and what happens to answers when one is damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Server, binary, unix_nanos, wait_for};

/// Spans sent.
const SPANS: u64 = 2_000;

fn lake(command: &str, data: &Path) -> Result<Output> {
    let flags = ["lake", command, "--output", "json", "--data-dir"];
    Ok(Command::new(binary()).args(flags).arg(data).output()?)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    Ok(found)
}

#[test]
fn a_damaged_file_is_found_and_answers_say_what_they_are_without() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start(&data, &[])?;
    for export in simulate::load(9, SPANS, unix_nanos() - 60_000_000_000) {
        ensure!(server.export("traces", export.body)?.status().is_success(), "taken");
    }
    // a clean stop leaves everything in files
    server.stop()?;
    let stats = lake("stats", &data)?;
    ensure!(stats.status.success(), "{}", String::from_utf8_lossy(&stats.stderr));
    let lines: Vec<Value> =
        String::from_utf8(stats.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let spans = lines.iter().filter(|line| line["signal"] == "spans" && line["tenant"] == "default");
    let rows: u64 = spans.filter_map(|line| line["rows"].as_u64()).sum();
    ensure!(rows == SPANS, "{rows} spans in files: {lines:?}");
    ensure!(lake("verify", &data)?.status.success(), "nothing is wrong yet");

    let damaged = files(&data.join("lake/default/spans"))?.into_iter().next().context("a file of spans")?;
    let mut bytes = fs::read(&damaged)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&damaged, &bytes)?;
    let verify = lake("verify", &data)?;
    let said = String::from_utf8_lossy(&verify.stdout).into_owned();
    let name = damaged.strip_prefix(data.join("lake"))?.to_string_lossy().into_owned();
    ensure!(verify.status.code() == Some(1) && said.contains(&name), "{said}");

    let server = Server::start(&data, &[])?;
    let search = "/api/v1/traces/search?limit=5";
    // whoever comes first, the scrubber or a query, takes it out of sight
    let answer = wait_for("an answer without the file", || {
        let answer = server.get(search);
        if let Err(error) = &answer {
            ensure!(error.to_string().contains(&name), "the error names the file: {error}");
        }
        let answer = answer?;
        ensure!(answer["missing_files"] == serde_json::json!([name]), "{answer}");
        Ok(answer)
    })?;
    ensure!(answer["items"].is_array(), "{answer}");
    let metrics = server.get("/metrics")?.to_string();
    ensure!(metrics.contains("tracehound_lake_quarantined_files 1"), "the loss is counted");
    server.stop()?;

    bytes[middle] ^= 0x10;
    fs::write(&damaged, &bytes)?;
    let server = Server::start(&data, &[])?;
    let answer = server.get(search)?;
    ensure!(
        answer["missing_files"].is_null() && answer["items"].as_array().is_some_and(|items| items.len() == 5),
        "{answer}"
    );
    Ok(())
}
