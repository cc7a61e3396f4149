//! The first minute: a demo server shows an attack unfold.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::{Server, at_most, wait_for};

#[test]
fn the_demo_raises_three_alerts_tied_to_traces_soon_after_the_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let server = Server::start(folder.path(), &["--demo"])?;
    ensure!(server.ready_after < at_most(Duration::from_secs(2)), "ready after {:?}", server.ready_after);
    let alerts = wait_for("three different alerts", || {
        let alerts = server.items("/api/v1/alerts")?;
        let rules: BTreeSet<_> = alerts.iter().filter_map(|alert| alert["rule_id"].as_str()).collect();
        ensure!(rules.len() >= 3, "{} rules so far", rules.len());
        Ok(alerts)
    })?;
    let took = started.elapsed();
    println!("demo: ready after {:?}, three different alerts after {took:?}", server.ready_after);
    ensure!(took < at_most(Duration::from_secs(30)), "three alerts took {took:?}");
    for alert in &alerts {
        let trace_id = alert["trace_ids"][0].as_str();
        let trace_id = trace_id.ok_or_else(|| anyhow::anyhow!("an alert without a trace: {alert}"))?;
        ensure!(server.get(&format!("/api/v1/traces/{trace_id}"))?["spans"].is_array(), "trace of {alert}");
    }
    // history reaches back two hours, and twelve services are on the map
    let oldest = server.items("/api/v1/services?start=0")?;
    ensure!(oldest.len() >= 11, "{} services", oldest.len());
    Ok(())
}
