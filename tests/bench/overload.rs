//! Overload: ten times what the server can take, from clients that obey nothing: what still comes in, and what memory does.

use std::time::{Duration, Instant};

use anyhow::Result;
use tests::{Server, wait_for};

use crate::corpus::Corpus;
use crate::load::{Answers, Load, Pace};
use crate::quota::Quota;
use crate::step::{self, Figures, LASTING, STEPS};
use crate::{Cores, pin, usage};

/// How many times the peak is offered.
const FACTOR: f64 = 10.0;
/// Percent of a core that the server gets: one core of load can then offer it as many times what it takes.
const SERVER_PERCENT: u64 = 20;
/// How long.
const OVERLOAD: Duration = Duration::from_secs(30);
/// Connections at the peak: enough that some always are sending, when others were told to come back later.
const AT_PEAK: usize = 32;
/// Connections that offer more, with one request under way each: the more there are, the less it slows them to be held.
const BEYOND: [usize; 2] = [128, 1_024];
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Finds the peak, then passes it.
pub fn run(corpus: &Corpus) -> Result<()> {
    println!(
        "## overload\n\nserver on {SERVER_PERCENT} % of core 0, load on core 1, bodies compressed with gzip before; peak: {AT_PEAK}"
    );
    println!("connections, as fast as answered,");
    println!("median of {STEPS} steps of {} s; then clients that obey nothing,", LASTING.as_secs());
    println!("{FACTOR} times the peak, {} s\n", OVERLOAD.as_secs());
    pin(std::process::id(), Cores::ONE_EACH.load)?;
    for connections in BEYOND {
        let folder = tempfile::tempdir()?;
        let server = step::server(folder.path(), "")?;
        pin(server.pid(), Cores::ONE_EACH.server)?;
        // gone after the server, which is in it
        let quota = Quota::hold(server.pid(), SERVER_PERCENT);
        if let Err(error) = &quota {
            println!("the server has the whole core, and is offered less than {FACTOR} times the peak: {error:#}\n");
        }
        let load = Load::gzipped(corpus, &server.http)?;
        let peak = step::measure(&load, server.pid(), Pace { connections: AT_PEAK, ..step::pace(None) })?;
        let pace = Pace { connections, rate: Some(peak.goodput * FACTOR), obeys: false, lasting: OVERLOAD };
        let (answers, memory) = watched(&load, &server, pace)?;
        print(connections, &answers, &peak, &memory);
        wait_for("the server still answers", || server.get("/readyz").map(drop))?;
        server.kill()?;
    }
    Ok(())
}

/// Resident memory over time, from the first request on.
type Memory = Vec<(Duration, f64)>;

fn watched(load: &Load, server: &Server, pace: Pace) -> Result<(Answers, Memory)> {
    let started = Instant::now();
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| load.send(pace));
        while !sending.is_finished() {
            memory.push((started.elapsed(), usage::rss_mib(server.pid())?));
            std::thread::sleep(LOOK_EVERY);
        }
        Ok((sending.join().expect("no sender panics")?, memory))
    })
}

fn print(connections: usize, answers: &Answers, peak: &Figures, memory: &Memory) {
    let per_second = |spans: u64| spans as f64 / answers.seconds;
    let goodput = per_second(answers.acknowledged);
    println!("| what | {connections} connections |\n|---|---|");
    let Figures { goodput: peak, core_percent, peak_rss_mib, .. } = peak;
    println!("| peak, acknowledged spans/s | {peak:.0}, core {core_percent:.0} % |");
    println!("| RSS at most while at the peak, MiB | {peak_rss_mib:.0} |");
    println!("| due spans/s | {:.0}, {FACTOR:.1} times the peak |", peak * FACTOR);
    let sent = per_second(answers.offered());
    println!("| sent spans/s | {sent:.0}, {:.1} times the peak |", sent / peak);
    println!("| goodput, acknowledged spans/s | {goodput:.0}, {:.0} % of the peak |", 100.0 * goodput / peak);
    for ((status, comes_back), spans) in &answers.refused {
        let header = if *comes_back { "with" } else { "without" };
        println!("| refused spans/s, {status} {header} Retry-After | {:.0} |", per_second(*spans));
    }
    println!("| unanswered spans/s | {:.0} |", per_second(answers.unanswered));
    for second in [0, 10, 20, OVERLOAD.as_secs()] {
        let passed = memory.iter().rev().find(|(at, _)| at.as_secs() <= second);
        println!("| RSS after {second} s, MiB | {:.0} |", passed.map_or(0.0, |(_, mib)| *mib));
    }
    let most = memory.iter().map(|(_, mib)| *mib).fold(0.0, f64::max);
    println!("| RSS at most, MiB | {most:.0}, {:.0} % of that at the peak |\n", 100.0 * most / peak_rss_mib);
}
