//! Steps of one load on one process, and the median of each figure over them.

use std::path::Path;
use std::time::Duration;
use std::{fmt, fs};

use anyhow::{Result, ensure};
use tests::Server;

use crate::load::{Answers, Load, Pace};
use crate::{median, usage};

/// Steps of a row.
pub const STEPS: usize = 5;
/// How long a step lasts.
pub const LASTING: Duration = Duration::from_secs(10);
/// Connections, where the load is no more than clients that obey.
pub const CONNECTIONS: usize = 8;

/// The columns of [`Figures`] as they are displayed.
pub const HEADING: &str =
    "| load | acknowledged spans/s | refused spans/s | p50 ms | p99 ms | CPU us/span | core | peak RSS MiB |
|---|---|---|---|---|---|---|---|";

/// Medians of a row.
pub struct Figures {
    /// Spans per second in acknowledged requests.
    pub goodput: f64,
    refused: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us: f64,
    /// CPU of the process, over the time; 100 is one core.
    pub core_percent: f64,
    /// The most that the process had in memory over all steps.
    pub peak_rss_mib: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { goodput, refused, p50_ms, p99_ms, cpu_us, core_percent, peak_rss_mib } = self;
        write!(f, "{goodput:.0} | {refused:.0} | {p50_ms:.1} | {p99_ms:.1} | {cpu_us:.2} | {core_percent:.0} % | ")?;
        write!(f, "{peak_rss_mib:.0} |")
    }
}

/// A server with these settings, its data and settings file in `folder`.
///
/// Bodies are sent again and again, and each is to be stored: hashed and remembered as ever, and forgotten at once.
pub fn server(folder: &Path, settings: &str) -> Result<Server> {
    let config = folder.join("bench.toml");
    fs::write(&config, format!("[otlp.resends]\nmax_requests = 1\n{settings}"))?;
    Server::start(&folder.join("data"), &["--config", &config.to_string_lossy()])
}

/// An open loop of so many spans per second; `None` is as fast as answers come.
pub fn pace(rate: Option<f64>) -> Pace {
    Pace { connections: CONNECTIONS, rate, obeys: false, lasting: LASTING }
}

/// [`STEPS`] steps, one right after the other, on the process that `load` goes to.
pub fn measure(load: &Load, pid: u32, pace: Pace) -> Result<Figures> {
    usage::forget_peak(pid)?;
    let mut steps = Vec::new();
    for _ in 0..STEPS {
        let before = usage::cpu_seconds(pid)?;
        let answers = load.send(pace)?;
        ensure!(answers.unanswered == 0, "{} spans were not answered", answers.unanswered);
        let cpu_seconds = usage::cpu_seconds(pid)? - before;
        steps.push((answers, cpu_seconds));
    }
    let over = |figure: fn(&Answers, f64) -> f64| {
        median(steps.iter().map(|(answers, cpu_seconds)| figure(answers, *cpu_seconds)).collect())
    };
    Ok(Figures {
        goodput: over(|answers, _| answers.acknowledged as f64 / answers.seconds),
        refused: over(|answers, _| answers.refused() as f64 / answers.seconds),
        p50_ms: over(|answers, _| percentile_ms(&answers.latencies, 0.50)),
        p99_ms: over(|answers, _| percentile_ms(&answers.latencies, 0.99)),
        cpu_us: over(|answers, cpu_seconds| cpu_seconds * 1e6 / answers.acknowledged.max(1) as f64),
        core_percent: over(|answers, cpu_seconds| 100.0 * cpu_seconds / answers.seconds),
        peak_rss_mib: usage::peak_rss_mib(pid)?,
    })
}

/// The latency that this share of all stays within.
fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let index = ((sorted.len() as f64 - 1.0) * share).max(0.0) as usize;
    sorted.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3
}
