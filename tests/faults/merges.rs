//! `kill -9` in the middle of merges: as many rows after as before, none twice.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::dice::Dice;
use tests::{Server, unix_nanos, wait_for};

use crate::form::rounds;
use crate::ledger::ask;

/// Hours back that the store has files of.
const HOURS: u64 = 16;
/// Files of each hour: as many as make a merge due.
const FILES: u64 = 8;
/// Spans of each file.
const SPANS: u64 = 500;
/// Rounds on one copy of the store, until its merges are done.
const ROUNDS_PER_COPY: usize = 3;
const NANOS_PER_HOUR: u64 = 3_600_000_000_000;

/// A store whose every hour waits for a merge.
fn fill(data: &Path, config: &str) -> Result<()> {
    let server = Server::start(data, &["--config", config])?;
    for file in 1..=FILES {
        for hour in 1..=HOURS {
            for export in simulate::load((file << 8) + hour, SPANS, unix_nanos() - hour * NANOS_PER_HOUR) {
                ensure!(server.export("traces", export.body)?.status().is_success(), "taken");
            }
        }
        wait_for("the flush", || {
            let memory = server.metric("tracehound_memtable_rows")?;
            ensure!(memory == 0.0, "{memory} rows in memory");
            Ok(())
        })?;
    }
    ensure!(server.stop()?.success(), "a clean stop");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status()?;
    ensure!(copied.success(), "the store could not be copied");
    Ok(())
}

/// Rows, different spans, and a sum that is another when any row is.
fn count(data: &Path, config: &str) -> Result<Value> {
    let sql = "select count(*) as n, count(distinct span_id) as spans, sum(duration_nanos) as duration, \
               min(start_time) as first, max(start_time) as last from spans";
    ask(data, &["--config", config], sql)?.into_iter().next().context("a row")
}

#[test]
fn a_server_killed_while_it_merges_has_as_many_rows_as_before() -> Result<()> {
    let kills = rounds("TRACEHOUND_MERGE_KILLS", 12, 200);
    let mut dice = Dice::from_environment("TRACEHOUND_MERGE_SEED", 1);
    let folder = tempfile::tempdir()?;
    let [still, merging] = ["still", "merging"].map(|name| folder.path().join(format!("{name}.toml")));
    fs::write(&still, "[lake]\nflush_bytes = 1048576\nflush_secs = 1\ncompaction_percent = 0\n")?;
    fs::write(&merging, "[lake]\nflush_secs = 1\ncompaction_percent = 100\n")?;
    let [still, merging] = [still, merging].map(|path| path.to_string_lossy().into_owned());
    let (template, data) = (folder.path().join("template"), folder.path().join("data"));
    fill(&template, &still)?;
    let before = count(&template, &still)?;
    ensure!(before["n"] == HOURS * FILES * SPANS && before["n"] == before["spans"], "{before}");
    let (mut rounds, mut inside, mut merged) = (0, 0, 0.0);
    while inside < kills {
        ensure!(rounds < kills * 20 + 200, "{inside} of {rounds} kills came in the middle of a merge");
        if rounds % ROUNDS_PER_COPY == 0 {
            if data.exists() {
                fs::remove_dir_all(&data)?;
            }
            copy(&template, &data)?;
        }
        rounds += 1;
        let server = Server::start(&data, &["--config", &merging])?;
        std::thread::sleep(Duration::from_millis(dice.below(400) as u64));
        merged += server.metric("tracehound_lake_merged_files_total").unwrap_or_default();
        server.kill()?;
        let unfinished = fs::read_dir(data.join("lake/.tmp"))?.count();
        inside += usize::from(unfinished > 0);
        let after = count(&data, &still)?;
        ensure!(after == before, "after kill {rounds}: {after}, before: {before}");
    }
    println!(
        "killed while merging: {rounds} kills, {inside} in the middle of a merge, {merged} files merged; {} rows before \
         and after each",
        before["n"]
    );
    Ok(())
}
