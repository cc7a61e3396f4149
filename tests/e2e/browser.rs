//! A person's way through the pages, in Debian's Chromium: alert, evidence, trace, logs, rules.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::{Server, at_most, root, unix_nanos, wait_for};

/// From the start of `serve --demo` to the first alert on the API that the page reads.
const FIRST_ALERT: Duration = Duration::from_secs(45);

#[test]
fn the_journey_from_alert_to_logs_works_and_a_large_trace_opens_quickly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let server = Server::start(folder.path(), &["--demo"])?;
    let big = simulate::big_trace(5, 10_000, unix_nanos() - 60_000_000_000);
    let trace_id = hex::encode(big.trace_id);
    for export in big.exports {
        ensure!(server.export("traces", export.body)?.status().is_success(), "big trace is taken");
    }
    wait_for("the first alert", || {
        ensure!(!server.items("/api/v1/alerts")?.is_empty(), "none yet");
        Ok(())
    })?;
    let took = started.elapsed();
    ensure!(took < at_most(FIRST_ALERT), "the first alert took {took:?}");
    let patience = if cfg!(debug_assertions) { "6" } else { "1" };
    let pictures = root().join("target/screenshots");
    std::fs::create_dir_all(&pictures)?;
    let output = Command::new("node")
        .arg(root().join("web/e2e/journey.mjs"))
        .args(["--base", &server.base, "--big-trace", &trace_id, "--patience", patience])
        .arg("--out")
        .arg(&pictures)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
