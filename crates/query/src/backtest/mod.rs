//! Rules over stored events: the engine that runs live, fed from files in order of time.
//!
//! A run gives way. It reads window by window, each a query that waits for a seat like any other; between batches it rests
//! for the share of a core that it may take, and much longer while others want that core (decision 0022).

mod jobs;
mod reading;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use model::{TenantId, TimeRange};
use rules::backtest::{Backtest, BacktestAsk, BacktestReport, History};
use rules::{Places, Related};

use crate::query::blocking;
use crate::{HISTORY_EVENTS, Query, QueryError, ReplayAsk, ReplayProgress};
pub use jobs::{BacktestJob, BacktestState, Backtests, JobError};
use reading::Reading;
pub use watch::Watch;

/// Rows of one batch, as the engine takes them live.
const BATCH_ROWS: usize = 8_192;
/// Longest time between the events of one batch: far less than lateness, so that nothing in it is late.
const BATCH_NANOS: i64 = 5 * 1_000_000_000;
/// Bytes that an event takes in memory at least; says how many rows a window holds.
const EVENT_BYTES: u64 = 256;

/// How much a run may take. What happens at each limit is said beside it.
#[derive(Debug, Clone)]
pub struct BacktestLimits {
    /// Share of one core, above 0 to 1.
    pub share: f64,
    /// Events in memory at once, in bytes; windows are cut until they fit.
    pub memory_bytes: u64,
    /// Events read; then the run ends and tells what it has.
    pub events: u64,
    /// Wall time; then the run ends and tells what it has.
    pub time: Duration,
    /// Alerts of both versions that are compared; further ones are counted only.
    pub compared: usize,
    /// Alerts listed per rule and kind.
    pub samples: usize,
    /// Runs at once; further ones wait.
    pub concurrent: usize,
    /// Runs that wait; further ones are refused.
    pub waiting: usize,
    /// Results kept; the oldest go first.
    pub kept: usize,
}

impl Default for BacktestLimits {
    fn default() -> Self {
        Self {
            share: 0.5,
            memory_bytes: 64 << 20,
            events: 1_000_000_000,
            time: Duration::from_secs(3_600),
            compared: 200_000,
            samples: 20,
            concurrent: 1,
            waiting: 8,
            kept: 32,
        }
    }
}

/// What to run.
#[derive(Debug, Clone)]
pub struct BacktestRequest {
    /// The rules that are tried.
    pub candidate: Related,
    /// The version in force, to compare with.
    pub deployed: Option<Related>,
    /// Alerts of this time count.
    pub range: TimeRange,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It has read everything.
    Whole,
    /// Somebody asked it to.
    Cancelled,
    /// [`BacktestLimits::events`] was reached.
    Events,
    /// [`BacktestLimits::time`] was reached.
    Time,
}

impl Ended {
    /// The name in answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Cancelled => "cancelled",
            Self::Events => "event_limit",
            Self::Time => "time_limit",
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestOutcome {
    /// What was found.
    pub report: BacktestReport,
    /// Why it ended; what was found covers the range up to `progress.at` when it is not [`Ended::Whole`].
    pub ended: Ended,
    /// How far it came.
    pub progress: ReplayProgress,
    /// Files with events of the range that are damaged or gone: what is in them was not judged.
    pub missing_files: Vec<String>,
}

impl Query {
    /// Runs rules over stored events of a tenant, after the history that rules that learn ask for. Long: `watch` says how
    /// far it is and can end it.
    ///
    /// # Errors
    /// As [`crate::Replay::next`].
    pub async fn backtest(
        &self,
        tenant: &TenantId,
        request: &BacktestRequest,
        limits: &BacktestLimits,
        places: Arc<dyn Places>,
        watch: &Watch,
    ) -> Result<BacktestOutcome, QueryError> {
        let ask = BacktestAsk {
            tenant: tenant.clone(),
            range: request.range,
            settings: rules::Settings::default(),
            places,
            samples: limits.samples,
            compared: limits.compared,
        };
        let mut test = Backtest::new(&request.candidate, request.deployed.as_ref(), ask);
        let mut missing_files = Vec::new();
        for signal in model::Signal::ALL {
            missing_files.extend(self.missing(tenant, signal, &request.range));
        }
        let mut reading = Reading::new(limits, watch);
        let mut ended = Ended::Whole;
        if let Some(history) = test.history() {
            let range = self.latest_part(tenant, history.range(), HISTORY_EVENTS);
            let replay = self.replay(tenant, replay_ask(range, limits));
            let (history, read) = reading.read(replay, history, History::take, History::settle).await?;
            test = blocking(move || {
                test.adopt(history, range.start);
                Ok(test)
            })
            .await?;
            ended = read;
        }
        if ended == Ended::Whole {
            let replay = self.replay(tenant, replay_ask(test.reads(), limits));
            (test, ended) = reading.read(replay, test, Backtest::take, |_, _| ()).await?;
        }
        let report = blocking(move || Ok(if ended == Ended::Whole { test.finish() } else { test.report() })).await?;
        Ok(BacktestOutcome { report, ended, progress: watch.progress(), missing_files })
    }
}

fn replay_ask(range: TimeRange, limits: &BacktestLimits) -> ReplayAsk {
    let rows = usize::try_from(limits.memory_bytes / EVENT_BYTES).unwrap_or(usize::MAX);
    ReplayAsk {
        range,
        window_rows: rows.max(BATCH_ROWS),
        window_bytes: limits.memory_bytes,
        batch_rows: BATCH_ROWS,
        batch_nanos: BATCH_NANOS,
    }
}
