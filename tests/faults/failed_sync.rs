//! The disk says that it could not sync: from then on nothing is acknowledged, nothing is tried twice, and health says so.

use std::fs;

use anyhow::{Context, Result, ensure};
use tests::{Server, serve_command, unix_nanos, wait_for};

use crate::ledger::Ledger;
use crate::recording::strace_is_missing;

/// Spans per request.
const SPANS: u64 = 8;
/// Which sync fails: the log's writer thread alone calls fdatasync, once for a group of requests.
const FAILS: usize = 40;
/// Requests sent after the one that failed.
const AFTERWARDS: usize = 10;

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_nothing_synced_again() -> Result<()> {
    if let Some(reason) = strace_is_missing() {
        println!("failed sync: skipped, {reason}");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (data, trace) = (folder.path().join("data"), folder.path().join("trace"));
    let serve = serve_command(&data);
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-e", "trace=fdatasync", "-e", "signal=none", "-o"]).arg(&trace);
    command.args(["-e", &format!("inject=fdatasync:error=EIO:when={FAILS}")]);
    command.arg(serve.get_program()).args(serve.get_args()).arg("--no-auth").env("TRACEHOUND__LOG__FILTER", "error");
    let server = Server::start_command(command)?;
    let ledger = Ledger::default();
    let mut bodies = (0..).flat_map(|seed| simulate::load(seed + 1, SPANS, unix_nanos())).map(|export| export.body);
    let mut answered = 0;
    let failed = loop {
        ensure!(answered <= FAILS, "no sync failed");
        let body = bodies.next().context("a request")?;
        let answer = server.export("traces", body.clone())?;
        if !answer.status().is_success() {
            break answer;
        }
        ledger.enter(&body, false)?;
        answered += 1;
    };
    ensure!(answered >= FAILS / 2, "only {answered} requests before");
    ensure!(failed.status().as_u16() == 503 && failed.headers().contains_key("retry-after"), "{}", failed.status());
    let mut acknowledged_after = 0;
    for body in bodies.take(AFTERWARDS) {
        acknowledged_after += u32::from(server.export("traces", body)?.status().is_success());
    }
    let health = server.send(reqwest::Method::GET, "/readyz?verbose", None)?;
    let (status, said) = (health.status(), health.text()?);
    ensure!(status.as_u16() == 503 && said.contains("failed"), "health is {status}: {said}");
    wait_for("the metric", || {
        ensure!(server.metric("tracehound_wal_failed")? == 1.0, "the metric is not set");
        Ok(())
    })?;
    let syncs = fs::read_to_string(&trace)?;
    let after =
        syncs.lines().skip_while(|line| !line.contains("INJECTED")).skip(1).filter(|line| line.contains("fdatasync"));
    let after = after.count();
    let pid = fs::read_to_string(data.join("lock"))?;
    ensure!(std::process::Command::new("kill").args(["-9", pid.trim()]).status()?.success(), "killed");
    server.wait()?;
    ensure!(
        acknowledged_after == 0 && after == 0,
        "{acknowledged_after} acknowledged, {after} syncs after the failed one"
    );
    let found = ledger.compare(&data, &[])?;
    println!(
        "failed sync: {answered} requests before it, 0 of {AFTERWARDS} acknowledged after it, 0 syncs after it, health \
         {status}; {} spans acknowledged, {} lost, {} doubled",
        found.acknowledged, found.lost, found.doubled
    );
    ensure!(found.lost == 0 && found.doubled == 0, "{found:?}");
    let server = Server::start(&data, &[])?;
    ensure!(server.metric("tracehound_wal_failed")? == 0.0, "a restart takes requests again");
    Ok(())
}
