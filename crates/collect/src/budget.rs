//! Bytes in flight: one limit for all requests, kept by reservation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime::metric;

use crate::status::Refusal;

/// The limit and what of it is taken.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    requests: AtomicU64,
}

/// A request's share of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        metrics::gauge!(metric::COLLECT_IN_FLIGHT_LIMIT_BYTES).set(limit_bytes as f64);
        let budget = Self { limit_bytes, used_bytes: AtomicU64::new(0), requests: AtomicU64::new(0) };
        budget.note();
        Arc::new(budget)
    }

    /// Takes `bytes`, or refuses when they would pass the limit.
    pub fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Reservation, Refusal> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut reservation = Reservation { budget: Arc::clone(self), bytes: 0 };
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    fn note(&self) {
        metrics::gauge!(metric::COLLECT_IN_FLIGHT_BYTES).set(self.used_bytes.load(Ordering::Relaxed) as f64);
        metrics::gauge!(metric::COLLECT_IN_FLIGHT).set(self.requests.load(Ordering::Relaxed) as f64);
    }
}

impl Reservation {
    /// Takes `more` bytes; on refusal what was taken before stays.
    pub fn grow(&mut self, more: u64) -> Result<(), Refusal> {
        let limit = self.budget.limit_bytes;
        let grown = |used: u64| used.checked_add(more).filter(|used| *used <= limit);
        let taken = self.budget.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        if taken.is_err() {
            return Err(Refusal::Busy);
        }
        self.bytes += more;
        self.budget.note();
        Ok(())
    }

    /// Makes the share `bytes` large, giving back or taking the difference.
    pub fn resize(&mut self, bytes: u64) -> Result<(), Refusal> {
        if bytes >= self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.budget.used_bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
        self.budget.note();
        Ok(())
    }

    /// Size of the share.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.requests.fetch_sub(1, Ordering::Relaxed);
        self.budget.note();
    }
}

#[cfg(test)]
mod tests;
