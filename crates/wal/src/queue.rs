//! Requests that wait for the writer: bounded by bytes, in order.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::gauge;
use model::Lsn;
use runtime::metric;
use tokio::sync::oneshot;

use crate::{Frame, WalError};

/// Most bytes written by one group, so that the first waiter is not kept by the last.
const GROUP_BYTES: u64 = 16 << 20;

/// A frame on its way to disk.
pub(crate) struct Request<T> {
    pub frame: Frame,
    /// Whether its payload is encrypted.
    pub is_sealed: bool,
    pub attachment: T,
    pub answer: oneshot::Sender<Result<Lsn, WalError>>,
}

/// What the writer finds when it looks.
pub(crate) enum Taken<T> {
    /// Everything that was waiting, up to the size of one group.
    Group(Vec<Request<T>>),
    /// Nothing came in the time given.
    Nothing,
    /// Closed, and nothing is left.
    Closed,
}

/// Bounded by bytes: what is held counts until [`Queue::release`].
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    limit_bytes: u64,
}

struct State<T> {
    waiting: VecDeque<Request<T>>,
    held_bytes: u64,
    door: Door,
}

enum Door {
    Open,
    Closed,
    Failed(String),
}

impl<T> Queue<T> {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        gauge!(metric::WAL_QUEUE_LIMIT_BYTES).set(limit_bytes as f64);
        let state = State { waiting: VecDeque::new(), held_bytes: 0, door: Door::Open };
        state.report();
        Self { state: Mutex::new(state), filled: Condvar::new(), limit_bytes }
    }

    /// Puts a frame in line. A frame larger than the whole queue is let in when it is alone.
    pub(crate) fn push(&self, request: Request<T>) -> Result<(), WalError> {
        let bytes = request.frame.size_bytes();
        let mut state = self.lock();
        match &state.door {
            Door::Open => {}
            Door::Closed => return Err(WalError::Closed),
            Door::Failed(reason) => return Err(WalError::Failed { reason: reason.clone() }),
        }
        if state.held_bytes > 0 && state.held_bytes.saturating_add(bytes) > self.limit_bytes {
            return Err(WalError::QueueFull { limit_bytes: self.limit_bytes });
        }
        state.held_bytes += bytes;
        state.waiting.push_back(request);
        state.report();
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for requests, at most `patience` when one is given.
    pub(crate) fn take(&self, patience: Option<Duration>) -> Taken<T> {
        let mut state = self.lock();
        let idle = |state: &mut State<T>| state.waiting.is_empty() && matches!(state.door, Door::Open);
        state = match patience {
            None => self.filled.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.filled.wait_timeout_while(state, limit, idle).unwrap_or_else(PoisonError::into_inner).0,
        };
        if state.waiting.is_empty() {
            return if matches!(state.door, Door::Open) { Taken::Nothing } else { Taken::Closed };
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(request) = state.waiting.front() {
            let size_bytes = request.frame.size_bytes();
            if bytes > 0 && bytes + size_bytes > GROUP_BYTES {
                break;
            }
            bytes += size_bytes;
            group.extend(state.waiting.pop_front());
        }
        state.report();
        Taken::Group(group)
    }

    /// Gives back the bytes of requests that were answered.
    pub(crate) fn release(&self, bytes: u64) {
        let mut state = self.lock();
        state.held_bytes = state.held_bytes.saturating_sub(bytes);
        state.report();
    }

    /// Lets nobody in any more; what waits is still written.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if matches!(state.door, Door::Open) {
            state.door = Door::Closed;
        }
        drop(state);
        self.filled.notify_all();
    }

    /// Lets nobody in any more and answers everybody who waits with the reason.
    pub(crate) fn fail(&self, reason: &str) {
        let mut state = self.lock();
        state.door = Door::Failed(reason.to_owned());
        let refused = std::mem::take(&mut state.waiting);
        state.held_bytes = 0;
        state.report();
        drop(state);
        for request in refused {
            let _ = request.answer.send(Err(WalError::Failed { reason: reason.to_owned() }));
        }
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn report(&self) {
        gauge!(metric::WAL_QUEUE_FRAMES).set(self.waiting.len() as f64);
        gauge!(metric::WAL_QUEUE_BYTES).set(self.held_bytes as f64);
    }
}
