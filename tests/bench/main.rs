//! Benchmarks of the release binary and its parts; `make bench` runs them all, `bench NAME` one of them.
//!
//! Every figure is measured in this run, on this machine, over a corpus made from a printed seed.

mod corpus;
mod decode;
mod ingest;
mod minute;
mod prost_path;

use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use crate::corpus::{Corpus, SEED};

/// The server's allocator, so that a part measured here costs what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Puts every thread of a process on one core.
fn pin(pid: u32, core: &str) -> Result<()> {
    let done = Command::new("taskset").args(["-a", "-p", "-c", core, &pid.to_string()]).output()?;
    ensure!(done.status.success(), "taskset: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// The middle of an odd number of measurements.
fn median(mut found: Vec<f64>) -> f64 {
    found.sort_by(f64::total_cmp);
    found[found.len() / 2]
}

fn main() -> Result<()> {
    let corpus = Arc::new(Corpus::new());
    let (bytes, spans) = (corpus.bytes as f64, corpus.spans);
    println!(
        "corpus: seed {SEED}, {spans} spans, {:.0} bytes a span, {:.0} spans a request\n",
        bytes / spans as f64,
        corpus.spans_per_body()
    );
    let asked = std::env::args().nth(1);
    let sections = match asked.as_deref() {
        None => vec!["decode", "ingest", "minute"],
        Some(one) => vec![one],
    };
    for section in sections {
        match section {
            "decode" => decode::run(&corpus),
            "ingest" => ingest::run(&corpus)?,
            "minute" => minute::run()?,
            other => bail!("there is no benchmark {other:?}: decode, ingest or minute"),
        }
    }
    Ok(())
}
