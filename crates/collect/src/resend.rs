//! Requests that were stored lately, so that one which comes again is acknowledged without being stored again.
//!
//! A client that never saw our answer sends the same bytes again. A request is remembered by who brought it, what it
//! holds and a hash of 128 bits of what goes into the log, from the moment it is on its way to disk: one that comes again
//! while the first is still being written waits for it, also when the client of the first has gone. Nothing is
//! acknowledged on the strength of a write that did not succeed.
//!
//! A request is remembered only when its like cannot be meant twice. Spans have ids. Log records have none, so that two
//! senders with a coarse clock may say the same in the same second: at least one record must have a time that says more
//! than microseconds.
//!
//! The hash (xxh3, with a seed of this process) is no defence against who makes two requests that share it. They must be
//! of the same key: who does that keeps its own events out, which it could as well not send.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampNanosecondType;
use model::signal::log;
use model::{Lsn, Signal, TenantId, UnixNanos};
use runtime::{Random, metric};
use tokio::sync::watch;
use twox_hash::XxHash3_128;
use wal::{Appending, Format, Frame, WalError};

/// A time that is a whole number of these does not tell one log record from another.
const COARSE_NANOS: i64 = 1_000;

/// Requests of the last while.
#[derive(Debug)]
pub(crate) struct Resends {
    window_nanos: i64,
    max_requests: usize,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: HashMap<Key, Request>,
    /// Oldest first. What was forgotten and came again is in here twice, with another number.
    order: VecDeque<(i64, u64, Key)>,
    /// Number of the last request that was entered.
    entered: u64,
}

/// What makes a request the same as another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    tenant: TenantId,
    key_id: Option<Arc<str>>,
    signal: Signal,
    format: Format,
    digest: u128,
}

#[derive(Debug)]
struct Request {
    number: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Somebody waits for the log; the channel closes when that has come to an end.
    Writing(watch::Receiver<()>),
    /// On its way into the log, and nobody waits.
    Left(Appending),
    /// Durable.
    Kept,
}

/// Whose turn it is to write a request.
pub(crate) enum Turn<'a> {
    /// Nobody's: it is durable.
    Kept,
    /// The caller's.
    Write(Ticket<'a>),
}

/// The right to write a request, and the duty to say what became of it, which dropping it does.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    resends: &'a Resends,
    key: Key,
    number: u64,
    appending: Option<Appending>,
    is_kept: bool,
    /// Closes when the ticket is gone and what became of it is written down.
    _over: watch::Sender<()>,
}

enum Found<'a> {
    Kept,
    New(Ticket<'a>),
    Left(Ticket<'a>),
    Writing(watch::Receiver<()>),
}

impl Resends {
    /// Remembers `max_requests` for `window`; `None` when that is no time.
    pub fn new(window: Duration, max_requests: usize) -> Option<Self> {
        let window_nanos = i64::try_from(window.as_nanos()).unwrap_or(i64::MAX);
        let seed = u64::from_le_bytes(Random.bytes());
        metrics::gauge!(metric::COLLECT_TRACKED, "what" => "requests").set(0.0);
        (window_nanos > 0).then(|| Self { window_nanos, max_requests, seed, state: Mutex::default() })
    }

    /// How long a request is remembered.
    pub fn window_nanos(&self) -> i64 {
        self.window_nanos
    }

    /// The digest of a request with these records; `None` when its like may be meant.
    pub fn digest(
        &self,
        signal: Signal,
        records: &RecordBatch,
        received_at: UnixNanos,
        payload: &[u8],
    ) -> Option<u128> {
        is_unmistakable(signal, records, received_at).then(|| XxHash3_128::oneshot_with_seed(self.seed, payload))
    }

    /// Finds out who writes the request; waits while somebody else does.
    pub async fn turn(&self, key: &Key, now_nanos: i64) -> Turn<'_> {
        loop {
            match self.find(key, now_nanos) {
                Found::Kept => return Turn::Kept,
                Found::New(ticket) => return Turn::Write(ticket),
                Found::Left(mut ticket) => {
                    return match ticket.wait().await {
                        Ok(_) => Turn::Kept,
                        Err(_) => Turn::Write(ticket),
                    };
                }
                // an error says that it is over, which is what is waited for
                Found::Writing(mut over) => drop(over.changed().await),
            }
        }
    }

    /// Enters a request that is durable already.
    pub fn remember(&self, key: Key, at_nanos: i64) {
        let mut state = self.lock();
        if !state.requests.contains_key(&key) {
            state.enter(key, Stage::Kept, at_nanos);
            state.forget(at_nanos.saturating_sub(self.window_nanos), self.max_requests);
        }
    }

    fn find(&self, key: &Key, now_nanos: i64) -> Found<'_> {
        let mut state = self.lock();
        state.forget(now_nanos.saturating_sub(self.window_nanos), self.max_requests);
        let (sender, over) = watch::channel(());
        let ticket = |number: u64, appending: Option<Appending>| Ticket {
            resends: self,
            key: key.clone(),
            number,
            appending,
            is_kept: false,
            _over: sender,
        };
        let Some(request) = state.requests.get_mut(key) else {
            let number = state.enter(key.clone(), Stage::Writing(over), now_nanos);
            state.forget(i64::MIN, self.max_requests);
            return Found::New(ticket(number, None));
        };
        match std::mem::replace(&mut request.stage, Stage::Kept) {
            Stage::Kept => Found::Kept,
            Stage::Writing(others) => {
                request.stage = Stage::Writing(others.clone());
                Found::Writing(others)
            }
            Stage::Left(appending) => {
                request.stage = Stage::Writing(over);
                Found::Left(ticket(request.number, Some(appending)))
            }
        }
    }

    fn settle(&self, key: &Key, number: u64, stage: Option<Stage>) {
        let mut state = self.lock();
        // it may have been forgotten, and entered anew by another
        let Some(request) = state.requests.get_mut(key).filter(|request| request.number == number) else { return };
        match stage {
            Some(stage) => request.stage = stage,
            None => {
                state.requests.remove(key);
                state.note();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, key: Key, stage: Stage, at_nanos: i64) -> u64 {
        self.entered += 1;
        self.order.push_back((at_nanos, self.entered, key.clone()));
        self.requests.insert(key, Request { number: self.entered, stage });
        self.note();
        self.entered
    }

    /// Forgets what is older than `before_nanos`, and the oldest while there are too many.
    fn forget(&mut self, before_nanos: i64, max_requests: usize) {
        let before = self.requests.len();
        while let Some((at_nanos, number, key)) = self.order.front() {
            let is_old = *at_nanos < before_nanos;
            if !is_old && self.order.len() <= max_requests {
                break;
            }
            let is_current = self.requests.get(key).is_some_and(|request| request.number == *number);
            if is_current {
                self.requests.remove(key);
                if !is_old {
                    metrics::counter!(metric::COLLECT_RESENDS_FORGOTTEN).increment(1);
                }
            }
            self.order.pop_front();
        }
        if self.requests.len() != before {
            self.note();
        }
    }

    fn note(&self) {
        metrics::gauge!(metric::COLLECT_TRACKED, "what" => "requests").set(self.requests.len() as f64);
    }
}

impl Key {
    /// The key of a frame with this digest.
    pub fn of(frame: &Frame, digest: u128) -> Self {
        let (tenant, key_id) = (frame.tenant.clone(), frame.key_id.clone());
        Self { tenant, key_id, signal: frame.signal, format: frame.format, digest }
    }
}

impl Ticket<'_> {
    /// Waits until the frame is durable. When the caller goes away before, the next to bring the request waits on.
    pub async fn write(mut self, appending: Appending) -> Result<Lsn, WalError> {
        self.appending = Some(appending);
        self.wait().await
    }

    async fn wait(&mut self) -> Result<Lsn, WalError> {
        let appending = self.appending.as_mut().expect("set by those who call this");
        let result = appending.await;
        self.appending = None;
        self.is_kept = result.is_ok();
        result
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let stage = match (self.is_kept, self.appending.take()) {
            (true, _) => Some(Stage::Kept),
            (false, Some(appending)) => Some(Stage::Left(appending)),
            (false, None) => None,
        };
        self.resends.settle(&self.key, self.number, stage);
    }
}

/// Whether a request with these very records can only be one that was sent twice.
fn is_unmistakable(signal: Signal, records: &RecordBatch, received_at: UnixNanos) -> bool {
    if signal == Signal::Spans {
        return true;
    }
    [log::TIME, log::OBSERVED_TIME].into_iter().any(|name| {
        let column =
            records.column_by_name(name).and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        // a record without a time has that of its arrival, which is not the sender's word
        let is_fine = |time: i64| time % COARSE_NANOS != 0 && time != received_at.0;
        column.is_some_and(|column| column.iter().flatten().any(is_fine))
    })
}

#[cfg(test)]
mod tests;
