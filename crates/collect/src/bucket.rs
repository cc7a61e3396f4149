//! A rate, kept by a bucket that may go into debt.
//!
//! A request is let in while the bucket is not in debt, and is charged what it turns out to cost, even if that takes the
//! bucket far below zero; the next one waits until the debt is paid. So a request that is larger than a second's worth
//! is never refused for ever, a request is charged once its size is known, and the rate holds over time. The crate
//! `governor` does not fit: a cell there is let in when all of it fits the burst, and one larger than that never is.
//!
//! The whole state is one number: the moment at which the bucket will be full again.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// What a bucket holds when it is full: this long of its rate.
const BURST_NANOS: i64 = 1_000_000_000;
const NANOS_PER_SEC: u128 = 1_000_000_000;

/// A rate per second and what has been used of it. Moments are nanoseconds of a clock that never goes back.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_sec: u64,
    full_at_nanos: AtomicI64,
}

impl Bucket {
    /// A full bucket. A rate of 0 counts as 1.
    pub fn new(per_sec: u64) -> Self {
        Self { per_sec: per_sec.max(1), full_at_nanos: AtomicI64::new(i64::MIN) }
    }

    /// The rate.
    pub fn per_sec(&self) -> u64 {
        self.per_sec
    }

    /// How long until the debt is paid; `None` when there is none and a request may come in.
    pub fn debt(&self, now_nanos: i64) -> Option<Duration> {
        let empty_at = self.full_at_nanos.load(Ordering::Relaxed).saturating_sub(BURST_NANOS);
        let owed = empty_at.saturating_sub(now_nanos);
        u64::try_from(owed).ok().filter(|owed| *owed > 0).map(Duration::from_nanos)
    }

    /// Takes an amount out, whether it is there or not.
    pub fn charge(&self, now_nanos: i64, amount: u64) {
        let later = |full_at: i64| Some(full_at.max(now_nanos).saturating_add(self.nanos_of(amount)));
        // the function never refuses
        let _ = self.full_at_nanos.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }

    /// Puts back what was charged for a request that came to nothing through no fault of its sender.
    pub fn give_back(&self, amount: u64) {
        let sooner = |full_at: i64| Some(full_at.saturating_sub(self.nanos_of(amount)));
        // the function never refuses
        let _ = self.full_at_nanos.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sooner);
    }

    /// How long the rate takes to bring an amount.
    fn nanos_of(&self, amount: u64) -> i64 {
        let nanos = u128::from(amount) * NANOS_PER_SEC / u128::from(self.per_sec);
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
