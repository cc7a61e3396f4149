//! Ordinary traffic of a window of time, as export requests in the order they would be sent.

use std::collections::{BTreeMap, VecDeque};

use crate::batch::{Export, Tray};
use crate::journey::{self, LOOKBACK_SECS, NANOS_PER_SEC, Request};
use crate::shop;
use crate::weave::Woven;

/// A half-open span of event time: requests that begin in it belong to it, with all that follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First moment, in nanoseconds since 1970.
    pub start_unix_nanos: u64,
    /// First moment no longer in it; `u64::MAX` for traffic without end.
    pub end_unix_nanos: u64,
}

/// The iterator behind [`traffic`]. Holds the requests of the journeys under way and the traces under way, nothing else.
pub struct Traffic {
    seed: u64,
    window: Window,
    rate_per_sec: f64,
    batch_nanos: u64,
    /// The next second whose journeys are not yet known.
    next_second: u64,
    /// End of the batches made so far.
    sent_before: u64,
    /// Requests to come, by time; journey and step make the key unique.
    requests: BTreeMap<(u64, u64, u64), Request>,
    tray: Tray,
    out: VecDeque<Export>,
}

/// Requests per second above which a rate is not taken at its word.
const MAX_RATE_PER_SEC: f64 = 1_000.0;

/// Ordinary traffic: about `rate_per_sec` requests (traces) per second over a day, fewer at night (at most 1,000; a
/// negative or absurd rate counts as 0). The shop's own clockwork, about three traces a minute, is there at any rate.
///
/// Exports come once per second of event time ([`Traffic::batched_every_secs`] changes that) and in order of
/// `at_unix_nanos`: a live sender waits until the clock shows that time, a back-fill does not wait. Two windows that
/// meet hold exactly the spans of one window over both. An empty or reversed window has no traffic.
pub fn traffic(seed: u64, window: Window, rate_per_sec: f64) -> Traffic {
    let rate_per_sec = if rate_per_sec.is_finite() { rate_per_sec.clamp(0.0, MAX_RATE_PER_SEC) } else { 0.0 };
    Traffic {
        seed,
        window,
        rate_per_sec,
        batch_nanos: NANOS_PER_SEC,
        next_second: (window.start_unix_nanos / NANOS_PER_SEC).saturating_sub(LOOKBACK_SECS),
        sent_before: window.start_unix_nanos,
        requests: BTreeMap::new(),
        tray: Tray::default(),
        out: VecDeque::new(),
    }
}

impl Traffic {
    /// Gathers this many seconds (at least 1) into each batch, which still splits at 500 events: larger requests suit a
    /// back-fill. The events are the same for any length.
    #[must_use]
    pub fn batched_every_secs(mut self, secs: u64) -> Self {
        self.batch_nanos = secs.max(1).saturating_mul(NANOS_PER_SEC);
        self
    }

    fn is_over(&self) -> bool {
        self.sent_before >= self.window.end_unix_nanos && self.tray.is_empty()
    }

    /// Makes the batches of the next period.
    fn advance(&mut self) {
        let period = self.sent_before / self.batch_nanos + 1;
        let end = period.saturating_mul(self.batch_nanos);
        let asked_before = end.min(self.window.end_unix_nanos);
        while self.next_second.saturating_mul(NANOS_PER_SEC) < asked_before {
            self.meet(self.next_second);
            self.next_second += 1;
        }
        let later = self.requests.split_off(&(asked_before, 0, 0));
        for request in std::mem::replace(&mut self.requests, later).into_values() {
            if request.at_unix_nanos >= self.window.start_unix_nanos {
                self.tray.put(shop::perform(self.seed, &request));
            }
        }
        self.tray.send_before(self.seed, end, &mut self.out);
        self.sent_before = end;
    }

    /// Takes in what begins in a second.
    fn meet(&mut self, second: u64) {
        for request in journey::arrivals(self.seed, second, self.rate_per_sec) {
            self.requests.insert((request.at_unix_nanos, request.journey, request.step), request);
        }
        for (instance, record) in shop::housekeeping(self.seed, second) {
            let at = record.time_unix_nano;
            if (self.window.start_unix_nanos..self.window.end_unix_nanos).contains(&at) {
                self.tray.put(Woven { logs: vec![(instance, record)], end_unix_nanos: at, ..Woven::default() });
            }
        }
    }
}

impl Iterator for Traffic {
    type Item = Export;

    fn next(&mut self) -> Option<Export> {
        if self.window.start_unix_nanos >= self.window.end_unix_nanos {
            return None;
        }
        while self.out.is_empty() && !self.is_over() {
            self.advance();
        }
        self.out.pop_front()
    }
}
