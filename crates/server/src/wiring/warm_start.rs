//! Reads stored events for the baselines that know nothing of what was before them, beside all else that goes on.

use std::time::Duration;

use model::TimeRange;
use pipeline::history::{Orders, Read};
use query::{HISTORY_EVENTS, Query, QueryError, ReplayAsk};
use rules::Learner;
use runtime::{Stop, metric};
use tokio::time::Instant;

/// Events in memory at once.
const WINDOW_ROWS: usize = 65_536;
const WINDOW_BYTES: u64 = 64 << 20;
/// Rows of a batch, and how far they may lie apart.
const BATCH_ROWS: usize = 8_192;
const BATCH_NANOS: i64 = 60 * 1_000_000_000;
/// The longest pause between two windows. It lasts as long as the window took, so that half of the time is left.
const PAUSE: Duration = Duration::from_secs(2);

/// How a history ended.
enum Outcome {
    Whole,
    Shortened,
    Stopped,
}

/// Reads one history after the other until asked to stop.
pub(super) async fn run(query: Query, mut orders: Orders, stop: Stop) {
    loop {
        let learner = tokio::select! {
            () = stop.asked() => return,
            learner = orders.next() => learner,
        };
        let Some(mut learner) = learner else { return };
        let tenant = learner.tenant().clone();
        let rules: Vec<String> = learner.rules().map(str::to_owned).collect();
        tracing::info!(%tenant, ?rules, "learning from stored events");
        let read = read(&query, &mut learner, &stop).await;
        metrics::gauge!(metric::DETECT_HISTORY_LEFT).set(0.0);
        let outcome = match read {
            Ok(Outcome::Stopped) => return,
            Ok(Outcome::Whole) => "whole",
            Ok(Outcome::Shortened) => "shortened",
            Err(error) => {
                tracing::error!(%tenant, %error, "stored events cannot be read; rules learn from live ones until they can");
                metrics::counter!(metric::DETECT_HISTORIES, "outcome" => "failed").increment(1);
                orders.done(Read::Failed(tenant)).await;
                continue;
            }
        };
        tracing::info!(%tenant, outcome, "learned from stored events");
        metrics::counter!(metric::DETECT_HISTORIES, "outcome" => outcome).increment(1);
        orders.done(Read::Whole(Box::new(learner))).await;
    }
}

async fn read(query: &Query, learner: &mut Learner, stop: &Stop) -> Result<Outcome, QueryError> {
    let whole = learner.range();
    let range = query.latest_part(learner.tenant(), whole, HISTORY_EVENTS);
    let outcome = if range == whole { Outcome::Whole } else { Outcome::Shortened };
    let mut replay = query.replay(learner.tenant(), ask(range));
    let mut before = 0;
    loop {
        let began = Instant::now();
        let Some(batches) = replay.next().await? else { return Ok(outcome) };
        let progress = replay.progress();
        tokio::task::block_in_place(|| {
            batches.iter().for_each(|batch| learner.take(batch));
            learner.settle(progress.at);
        });
        metrics::counter!(metric::DETECT_HISTORY_EVENTS).increment(progress.rows_done.saturating_sub(before));
        before = progress.rows_done;
        let left_nanos = range.end.0.saturating_sub(progress.at.0).max(0);
        metrics::gauge!(metric::DETECT_HISTORY_LEFT).set(left_nanos as f64 / 1e9);
        tokio::select! {
            () = stop.asked() => return Ok(Outcome::Stopped),
            () = tokio::time::sleep(began.elapsed().min(PAUSE)) => {}
        }
    }
}

fn ask(range: TimeRange) -> ReplayAsk {
    ReplayAsk {
        range,
        window_rows: WINDOW_ROWS,
        window_bytes: WINDOW_BYTES,
        batch_rows: BATCH_ROWS,
        batch_nanos: BATCH_NANOS,
    }
}
