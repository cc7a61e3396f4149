//! How fast the rule engine is, beside rsigma-eval in the same run: `rules-bench` runs all of it, `rules-bench NAME` one part.
//!
//! Every figure is CPU time of one thread, the median of some rounds, over a corpus made from a printed seed.

mod corpus;
mod json;
mod overhead;
mod peer;
mod ruleset;
mod stateless;
mod windows;

use anyhow::{Result, bail};
use rustix::time::{ClockId, clock_gettime};

/// The server's allocator, so that the engine measured here costs what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECTIONS: [&str; 5] = ["logs", "spans", "keywords", "windows", "overhead"];

/// CPU seconds this thread has used.
fn cpu_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU seconds of one call.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = cpu_secs();
    let done = work();
    (cpu_secs() - started, done)
}

/// The middle of an odd number of measurements.
fn median(mut found: Vec<f64>) -> f64 {
    found.sort_by(f64::total_cmp);
    found[found.len() / 2]
}

fn main() -> Result<()> {
    println!("seed {}\n", corpus::SEED);
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let sections = if asked.is_empty() { SECTIONS.map(str::to_owned).to_vec() } else { asked };
    for section in sections {
        match section.as_str() {
            "logs" => stateless::logs()?,
            "spans" => stateless::spans()?,
            "keywords" => stateless::keywords()?,
            "windows" => windows::run()?,
            "overhead" => overhead::run()?,
            other => bail!("there is no part {other:?}: {}", SECTIONS.join(", ")),
        }
    }
    Ok(())
}
