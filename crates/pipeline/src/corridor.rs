//! Where a durable batch becomes visible: into the memtable, and into the queue of the rule engine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use lake::Lake;
use model::{EventBatch, Lsn};
use runtime::metric;
use tokio::sync::Notify;

/// Takes batches from the log's writer, in log order, after their fsync and before their acknowledgement. Cheap to clone.
#[derive(Clone)]
pub struct Corridor {
    lake: Lake,
    queue: Arc<Queue>,
}

impl std::fmt::Debug for Corridor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Corridor").finish_non_exhaustive()
    }
}

impl Corridor {
    /// A corridor whose queue to the rule engine holds at most `queue_limit_bytes` of batches.
    pub fn new(lake: Lake, queue_limit_bytes: u64) -> Self {
        metrics::gauge!(metric::DETECT_QUEUE_BYTES).set(0.0);
        metrics::gauge!(metric::DETECT_QUEUE_LIMIT_BYTES).set(queue_limit_bytes as f64);
        Self { lake, queue: Arc::new(Queue::new(queue_limit_bytes)) }
    }

    /// Makes a durable batch visible to searches, then hands it to the rule engine. Never blocks: past the queue's limit
    /// the batch is left out there, and the engine reads it back from the log.
    pub fn publish(&self, lsn: Lsn, batch: EventBatch) {
        match batch.placed(lsn) {
            Ok(placed) => {
                self.lake.insert(placed.clone());
                self.queue.push(placed);
            }
            // the collector builds batches with the one schema; should it ever not, replay after a restart says so too
            Err(error) => tracing::error!(%lsn, %error, "batch does not have the schema of its signal"),
        }
    }

    /// The rule engine's end of the queue.
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// The lake behind the corridor.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }
}

/// Batches that wait for the rule engine: bounded by bytes, in log order, possibly with gaps.
#[derive(Debug)]
pub struct Queue {
    limit_bytes: u64,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<(EventBatch, u64)>,
    bytes: u64,
}

impl Queue {
    fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, waiting: Mutex::default(), arrived: Notify::new() }
    }

    fn push(&self, batch: EventBatch) {
        let bytes = model::column::memory_bytes(&batch.records);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes + bytes <= self.limit_bytes {
            waiting.bytes += bytes;
            waiting.batches.push_back((batch, bytes));
            metrics::gauge!(metric::DETECT_QUEUE_BYTES).set(waiting.bytes as f64);
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// The next batch after `done`, if it is the oldest one here; drops what is not newer than `done`.
    pub fn next_after(&self, done: Lsn) -> Next {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((batch, bytes)) = waiting.batches.pop_front() {
            if batch.lsn.0 > done.0 + 1 {
                let lsn = batch.lsn;
                waiting.batches.push_front((batch, bytes));
                return Next::Gap(lsn);
            }
            waiting.bytes -= bytes;
            metrics::gauge!(metric::DETECT_QUEUE_BYTES).set(waiting.bytes as f64);
            if batch.lsn > done {
                return Next::Batch(Box::new(batch));
            }
        }
        Next::Empty
    }

    /// Ends when a batch has been published since the last call, at once if one already was.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

/// What the queue has for the engine.
#[derive(Debug)]
pub enum Next {
    /// The very next batch.
    Batch(Box<EventBatch>),
    /// Nothing between the last one and this position: look into the log.
    Gap(Lsn),
    /// Nothing at all.
    Empty,
}
