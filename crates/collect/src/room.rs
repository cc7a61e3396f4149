//! Whether the house can take more for now, and a short wait until it can.
//!
//! Memory is full for as long as a file takes to be written. A request that waits for that is served as soon as there is
//! room again; if it were refused at once, its client would be away when there is, and the house would have nothing to do.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::EventBatch;
use runtime::metric;
use tokio::sync::Notify;
use tokio::time::Instant;
use wal::Wal;

use crate::Pressure;
use crate::status::Refusal;

/// How long a request waits for room at most, as long as its client would be asked to stay away.
pub(crate) const PATIENCE: Duration = crate::status::RETRY_AFTER;
/// How often one task looks whether there is room, for all that wait.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The signs that tell whether there is room, and who waits for them to change.
pub(crate) struct Room {
    pressure: Arc<dyn Fn() -> Pressure + Send + Sync>,
    wal: Wal<EventBatch>,
    /// Told by whoever begins to wait.
    wanted: Notify,
    /// Told when there is room after there was none.
    opened: Notify,
    waiting: AtomicU64,
}

impl Room {
    pub fn new(pressure: Arc<dyn Fn() -> Pressure + Send + Sync>, wal: Wal<EventBatch>) -> Self {
        metrics::gauge!(metric::COLLECT_WAITING).set(0.0);
        Self { pressure, wal, wanted: Notify::new(), opened: Notify::new(), waiting: AtomicU64::new(0) }
    }

    /// Whether there is room now.
    pub fn check(&self) -> Result<(), Refusal> {
        if let Pressure::Closed(reason) = (self.pressure)() {
            return Err(Refusal::Closed(reason));
        }
        // a log that is broken says so itself
        if self.wal.is_healthy() && !self.wal.has_room() {
            return Err(Refusal::NoRoom);
        }
        Ok(())
    }

    /// Ends when there is room, or with the reason why there is none after `patience`.
    pub async fn wait(&self, patience: Duration) -> Result<(), Refusal> {
        // nearly always; listening for nothing would take a lock that all share
        if self.check().is_ok() {
            return Ok(());
        }
        let until = Instant::now() + patience;
        let mut waiter = None;
        loop {
            // first listening, then looking: what changes in between is not missed
            let mut opened = std::pin::pin!(self.opened.notified());
            opened.as_mut().enable();
            let refusal = match self.check() {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            };
            waiter.get_or_insert_with(|| Waiter::of(self));
            self.wanted.notify_one();
            if tokio::time::timeout_at(until, opened).await.is_err() {
                return Err(refusal);
            }
        }
    }

    /// Looks for all that wait, and tells them. Never ends.
    pub async fn watch(&self) -> Infallible {
        loop {
            self.wanted.notified().await;
            while self.waiting.load(Ordering::SeqCst) > 0 && self.check().is_err() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            self.opened.notify_waiters();
        }
    }
}

/// A request that waits, for as long as it does.
struct Waiter<'a>(&'a Room);

impl<'a> Waiter<'a> {
    fn of(room: &'a Room) -> Self {
        metrics::gauge!(metric::COLLECT_WAITING).set((room.waiting.fetch_add(1, Ordering::SeqCst) + 1) as f64);
        Self(room)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        metrics::gauge!(metric::COLLECT_WAITING).set((self.0.waiting.fetch_sub(1, Ordering::SeqCst) - 1) as f64);
    }
}
