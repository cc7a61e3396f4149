//! The first minute of a newcomer: the demo from its start to alerts, a large trace, the service map.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::{Server, wait_for};

use crate::corpus::SEED;
use crate::pin;

/// The demo from its start to three different alerts, and a large trace read through the API, on both cores.
pub fn run() -> Result<()> {
    pin(std::process::id(), "0,1")?;
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let server = Server::start(folder.path(), &["--demo"])?;
    wait_for("three different alerts", || {
        let alerts = server.items("/api/v1/alerts")?;
        let rules: BTreeSet<_> = alerts.iter().filter_map(|alert| alert["rule_id"].as_str()).collect();
        ensure!(rules.len() >= 3, "{} so far", rules.len());
        Ok(())
    })?;
    println!("demo: start to three different alerts: {:.1} s", started.elapsed().as_secs_f64());
    let big = simulate::big_trace(SEED, 10_000, tests::unix_nanos() - 60_000_000_000);
    for export in big.exports {
        ensure!(server.export("traces", export.body)?.status().is_success(), "big trace is taken");
    }
    let path = format!("/api/v1/traces/{}", hex::encode(big.trace_id));
    let mut took: Vec<_> = (0..5).map(|_| timed(&server, &path)).collect::<Result<_>>()?;
    took.sort();
    println!("trace of 10,000 spans by the API: {:.0} ms (median of 5, JSON parsed)", took[2].as_secs_f64() * 1e3);
    let map = timed(&server, "/api/v1/service-map")?;
    println!("service map of the last hour of the demo: {:.0} ms", map.as_secs_f64() * 1e3);
    Ok(())
}

fn timed(server: &Server, path: &str) -> Result<Duration> {
    let started = Instant::now();
    server.get(path)?;
    Ok(started.elapsed())
}
