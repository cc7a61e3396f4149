//! Benchmarks of the release binary and its parts; `make bench` runs them all, `bench NAME` one of them.
//!
//! Every figure is measured in this run, on this machine, over a corpus made from a printed seed.

mod attributes;
mod collector;
mod corpus;
mod decode;
mod files;
mod ingest;
mod lake;
mod load;
mod log_lines;
mod logs;
mod memtable;
mod minute;
mod overload;
mod peer_corpus;
mod peer_logs;
mod prost_path;
mod quota;
mod rules;
mod step;
mod storing;
mod tls;
mod usage;

use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::corpus::{Corpus, SEED};

/// The server's allocator, so that a part measured here costs what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What can be asked for, in the order in which all of it is run.
const SECTIONS: [&str; 11] =
    ["decode", "ingest", "overload", "collector", "tls", "storing", "lake", "files", "logs", "rules", "minute"];

/// Where the two sides of a benchmark run, as taskset(1) names it.
struct Cores {
    server: &'static str,
    load: &'static str,
}

impl Cores {
    /// Neither takes from the other.
    const ONE_EACH: Self = Self { server: "0", load: "1" };
    /// They share the machine.
    const SHARED: Self = Self { server: "0,1", load: "0,1" };
}

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
    let corpus = Corpus::new();
    let (bytes, spans) = (corpus.bytes as f64, corpus.spans);
    println!(
        "corpus: seed {SEED}, {spans} spans, {:.0} bytes a span, {:.0} spans a request\n",
        bytes / spans as f64,
        corpus.spans_per_body()
    );
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let sections = if asked.is_empty() { SECTIONS.map(str::to_owned).to_vec() } else { asked };
    for section in sections {
        match section.as_str() {
            "decode" => decode::run(&corpus),
            "ingest" => ingest::run(&corpus)?,
            "overload" => overload::run(&corpus)?,
            "collector" => collector::run(&corpus)?,
            "tls" => tls::run(&corpus)?,
            "lake" => lake::run(&corpus)?,
            "storing" => storing::run()?,
            "files" => files::run()?,
            "logs" => logs::run()?,
            "rules" => rules::run()?,
            "memory" => memtable::run(&corpus)?,
            "attributes" => attributes::run()?,
            // no benchmarks: what others are measured on
            "corpus" => peer_corpus::run()?,
            "log-corpus" => peer_logs::run()?,
            "minute" => minute::run()?,
            other => bail!("there is no benchmark {other:?}: {}", SECTIONS.join(", ")),
        }
    }
    Ok(())
}
