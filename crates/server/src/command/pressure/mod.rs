//! Where a running server is held up: every stage from the socket to the memtable, at two looks at its metrics.
//!
//! A stage is saturated when its queue is at least nine tenths full at both looks, or half full while it was busy for nine
//! tenths of the time between them. Being busy alone is no fault: the log's writer always is under load, and takes
//! more at a time then; a long flush counts when it ends. Behind a saturated stage the queues fill up too, and so the
//! most downstream one is the bottleneck.

mod look;
mod sample;

use std::fmt::Write as _;

use runtime::metric;

pub use look::look_twice;
pub use sample::Sample;

/// From here on a queue is full.
const FULL: f64 = 0.9;
/// From here on a queue is filling behind a stage that is busy.
const FILLING: f64 = 0.5;
/// From here on a stage is busy.
const BUSY: f64 = 0.9;

/// One stage: what waits before it, and how long it worked.
struct Stage {
    name: &'static str,
    /// A gauge and the gauge of its limit.
    queue: (&'static str, &'static str),
    /// A histogram whose sum is the time that the stage was busy, and how many work at a time.
    work: Option<(&'static str, Workers)>,
}

/// How much a stage can do at a time.
#[derive(Clone, Copy)]
enum Workers {
    One,
    /// As many as a gauge says.
    Many(&'static str),
}

/// From the socket downstream. Detection stands before the memtable: it never holds up what the memtable lets in.
const STAGES: [Stage; 8] = [
    stage("connections", (metric::COLLECT_CONNECTIONS, metric::COLLECT_CONNECTIONS_LIMIT)),
    stage("requests", (metric::COLLECT_IN_FLIGHT, metric::COLLECT_IN_FLIGHT_LIMIT)),
    stage("request bytes", (metric::COLLECT_IN_FLIGHT_BYTES, metric::COLLECT_IN_FLIGHT_LIMIT_BYTES)),
    stage("decode", (metric::COLLECT_DECODES, metric::COLLECT_DECODES_LIMIT))
        .works(metric::COLLECT_DECODE_SECONDS, Workers::Many(metric::COLLECT_DECODES_LIMIT)),
    stage("log writer", (metric::WAL_QUEUE_BYTES, metric::WAL_QUEUE_LIMIT_BYTES))
        .works(metric::WAL_GROUP_SECONDS, Workers::One),
    stage("log budget", (metric::WAL_BYTES, metric::WAL_BUDGET_BYTES)),
    stage("detect", (metric::DETECT_QUEUE_BYTES, metric::DETECT_QUEUE_LIMIT_BYTES))
        .works(metric::DETECT_SECONDS, Workers::One),
    stage("memtable", (metric::MEMTABLE_BYTES, metric::MEMTABLE_LIMIT_BYTES))
        .works(metric::LAKE_FLUSH_SECONDS, Workers::One),
];

const fn stage(name: &'static str, queue: (&'static str, &'static str)) -> Stage {
    Stage { name, queue, work: None }
}

impl Stage {
    const fn works(self, seconds: &'static str, workers: Workers) -> Self {
        Self { work: Some((seconds, workers)), ..self }
    }

    /// Share of the time between two looks that the stage was busy.
    fn busy(&self, before: &Sample, after: &Sample) -> Option<f64> {
        let (seconds, workers) = self.work?;
        let workers = match workers {
            Workers::One => 1.0,
            Workers::Many(gauge) => after.value(gauge).filter(|count| *count >= 1.0).unwrap_or(1.0),
        };
        let elapsed = after.taken_secs - before.taken_secs;
        let sum = |sample: &Sample| sample.value(&format!("{seconds}_sum")).unwrap_or(0.0);
        let worked = (sum(after) - sum(before)).max(0.0);
        (elapsed > 0.0).then(|| (worked / elapsed / workers).min(1.0))
    }
}

/// What two looks at the metrics say.
#[derive(Debug, PartialEq)]
pub struct Pressure {
    /// Every stage, from the socket downstream.
    pub stages: Vec<StagePressure>,
    /// Name of the most downstream stage that is saturated.
    pub bottleneck: Option<&'static str>,
}

/// One stage between two looks; shares are 0 to 1, `None` when the server does not say.
#[derive(Debug, PartialEq)]
pub struct StagePressure {
    /// What it is called.
    pub name: &'static str,
    /// How full its queue was, at the look when it was emptier.
    pub fill: Option<f64>,
    /// How much of the time it was busy.
    pub busy: Option<f64>,
}

impl StagePressure {
    fn is_saturated(&self) -> bool {
        let (fill, busy) = (self.fill.unwrap_or(0.0), self.busy.unwrap_or(0.0));
        fill >= FULL || (fill >= FILLING && busy >= BUSY)
    }
}

/// Weighs two looks at the metrics of one server.
pub fn weigh(before: &Sample, after: &Sample) -> Pressure {
    let stages: Vec<_> = STAGES
        .iter()
        .map(|stage| {
            let (queue, limit) = stage.queue;
            let fill = before.fill(queue, limit).zip(after.fill(queue, limit)).map(|(before, after)| before.min(after));
            StagePressure { name: stage.name, fill, busy: stage.busy(before, after) }
        })
        .collect();
    let bottleneck = stages.iter().rev().find(|stage| stage.is_saturated()).map(|stage| stage.name);
    Pressure { stages, bottleneck }
}

impl Pressure {
    /// The section that `doctor` prints.
    pub fn text(&self) -> String {
        let mut text = "pressure:\n".to_owned();
        for StagePressure { name, fill, busy } in &self.stages {
            let _ = write!(text, "  {name:<14} fill {}", percent(*fill));
            if busy.is_some() {
                let _ = write!(text, "  busy {}", percent(*busy));
            }
            text.push('\n');
        }
        let _ = writeln!(text, "bottleneck: {}", self.bottleneck.unwrap_or("none"));
        text
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "   ?".to_owned(), |share| format!("{:>3.0}%", share * 100.0))
}

#[cfg(test)]
mod tests;
