//! Stored events handed over window by window, within what a run may take.

use model::{EventBatch, UnixNanos};
use runtime::{Pace, metric};
use tokio::time::Instant;

use super::{BacktestLimits, Ended, Watch};
use crate::query::blocking;
use crate::{QueryError, Replay, ReplayProgress};

/// The reading of one run: its history, then its range.
pub struct Reading<'r> {
    limits: &'r BacktestLimits,
    watch: &'r Watch,
    started: Instant,
    /// What was read before.
    before: ReplayProgress,
}

impl<'r> Reading<'r> {
    pub fn new(limits: &'r BacktestLimits, watch: &'r Watch) -> Self {
        Self { limits, watch, started: Instant::now(), before: ReplayProgress::default() }
    }

    /// Hands every batch of a replay to something, and tells it after each window what was passed; why that ended.
    pub async fn read<T: Send + 'static>(
        &mut self,
        mut replay: Replay,
        mut to: T,
        take: fn(&mut T, &EventBatch),
        passed: fn(&mut T, UnixNanos),
    ) -> Result<(T, Ended), QueryError> {
        let ended = loop {
            let read = self.show(replay.progress());
            if self.watch.is_cancelled() {
                break Ended::Cancelled;
            }
            if self.started.elapsed() >= self.limits.time {
                break Ended::Time;
            }
            if read.rows_done >= self.limits.events {
                break Ended::Events;
            }
            let Some(batches) = replay.next().await? else { break Ended::Whole };
            let (share, watch, at) = (self.limits.share, self.watch.clone(), replay.progress().at);
            let judge = move || {
                hand_over(&mut to, batches, take, share, &watch);
                passed(&mut to, at);
                Ok(to)
            };
            to = blocking(judge).await?;
        };
        self.before = self.show(replay.progress());
        Ok((to, ended))
    }

    /// Shows how far the run is, all of it taken together.
    fn show(&self, now: ReplayProgress) -> ReplayProgress {
        let progress = ReplayProgress {
            files: self.before.files + now.files,
            files_done: self.before.files_done + now.files_done,
            rows: self.before.rows + now.rows,
            rows_done: self.before.rows_done + now.rows_done,
            at: now.at,
        };
        self.watch.show(progress);
        progress
    }
}

/// Hands the batches of a window over, resting in between.
fn hand_over<T>(to: &mut T, batches: Vec<EventBatch>, take: fn(&mut T, &EventBatch), share: f64, watch: &Watch) {
    let mut pace = Pace::new(share);
    for batch in batches {
        if watch.is_cancelled() {
            break;
        }
        take(to, &batch);
        metrics::counter!(metric::BACKTEST_EVENTS).increment(batch.len() as u64);
        std::thread::sleep(pace.rest());
        pace.go_on();
    }
}
