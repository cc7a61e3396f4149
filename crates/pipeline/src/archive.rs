//! The archive walker: moves the memtable into files, then lets the log be trimmed.

use std::time::Duration;

use lake::Lake;
use model::EventBatch;
use runtime::Stop;
use wal::{ReaderName, Wal};

/// How often the walker looks whether the memtable wants to be flushed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often retention and the sweep for files without an owner run.
const RETAIN_EVERY: Duration = Duration::from_secs(60);
/// Pause after a flush that failed, so that a full disk is not hammered.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Walks until asked to stop, then flushes once more, so that a clean stop leaves nothing to replay.
pub async fn run(lake: Lake, wal: Wal<EventBatch>, stop: Stop) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut retain_at = tokio::time::Instant::now() + RETAIN_EVERY;
    loop {
        tokio::select! {
            () = stop.asked() => break,
            _ = look.tick() => {}
        }
        if lake.wants_flush() && !flush(&lake, &wal).await {
            tokio::select! {
                () = stop.asked() => break,
                () = tokio::time::sleep(RETRY_PAUSE) => {}
            }
        }
        if tokio::time::Instant::now() >= retain_at {
            retain(&lake).await;
            retain_at = tokio::time::Instant::now() + RETAIN_EVERY;
        }
    }
    flush(&lake, &wal).await;
}

/// One flush; `false` when it failed. The rows stay in memory and in the log.
async fn flush(lake: &Lake, wal: &Wal<EventBatch>) -> bool {
    let mark = match lake.flush().await {
        Ok(mark) => mark,
        Err(error) => {
            tracing::error!(%error, "flush failed; events stay in the log and will be flushed again");
            return false;
        }
    };
    if let Err(error) = wal.advance(ReaderName::Archive, mark) {
        tracing::error!(%error, %mark, "log cannot be trimmed behind the archive");
        return false;
    }
    true
}

async fn retain(lake: &Lake) {
    match lake.retain().await {
        Ok(0) => {}
        Ok(files) => tracing::info!(files, "files past their retention removed"),
        Err(error) => tracing::error!(%error, "retention failed and will be tried again"),
    }
}
