//! Who may run: a few queries at once, a few more waiting, the rest turned away at the door.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Limits, QueryError};

/// The door.
#[derive(Debug)]
pub(crate) struct Admission {
    seats: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_running: usize,
    max_waiting: usize,
}

/// Leaves the queue when dropped, also when the wait is given up.
struct InQueue<'a>(&'a AtomicUsize);

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(limits.max_running)),
            waiting: AtomicUsize::new(0),
            max_running: limits.max_running,
            max_waiting: limits.max_waiting,
        }
    }

    /// Waits for a seat; it is free again when the permit is dropped.
    ///
    /// # Errors
    /// [`QueryError::Overloaded`] when the queue is full.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        if let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() {
            return Ok(seat);
        }
        let before = self.waiting.fetch_add(1, Ordering::SeqCst);
        let _in_queue = InQueue(&self.waiting);
        if before >= self.max_waiting {
            return Err(QueryError::Overloaded { running: self.max_running, waiting: before });
        }
        let seat = Arc::clone(&self.seats).acquire_owned().await;
        seat.map_err(|closed| QueryError::Threads(closed.to_string()))
    }
}

#[cfg(test)]
mod tests;
