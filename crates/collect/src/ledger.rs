//! What every key has used of its limits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::KeyLimits;
use arrow::array::RecordBatch;
use model::{Signal, TenantId, UnixNanos};
use runtime::{Clock, metric};

use crate::bucket::Bucket;
use crate::cap::{Caps, Verdict};
use crate::status::Refusal;

/// Most keys with an account; past it the one that was used longest ago starts afresh.
const MAX_ACCOUNTS: usize = 4_096;
/// Longest time that a client over its rate is asked to wait; it may be told to wait again.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Whose account: a tenant and a key of it, or nobody's key where none is needed.
pub(crate) type Holder = (TenantId, Option<Arc<str>>);

/// Accounts of all keys that were used.
#[derive(Debug)]
pub(crate) struct Ledger {
    clock: Clock,
    accounts: Mutex<HashMap<Holder, Arc<Account>>>,
}

/// What one key has used.
#[derive(Debug)]
pub(crate) struct Account {
    pub limits: Arc<KeyLimits>,
    events: Option<Arc<Bucket>>,
    bytes: Option<Arc<Bucket>>,
    caps: Arc<Mutex<Caps>>,
    used_at_nanos: AtomicI64,
}

impl Ledger {
    pub fn new(clock: Clock) -> Self {
        Self { clock, accounts: Mutex::default() }
    }

    /// The moment, for charging.
    pub fn now_nanos(&self) -> i64 {
        self.clock.steady_nanos()
    }

    /// The account of a key. Limits that differ from those of the request before are in force at once: a rate that
    /// changed begins with a full bucket, and what was counted against the caps stays.
    pub fn account(&self, holder: &Holder, limits: &Arc<KeyLimits>) -> Arc<Account> {
        let now_nanos = self.now_nanos();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(holder) {
            account.used_at_nanos.store(now_nanos, Ordering::Relaxed);
            if Arc::ptr_eq(&account.limits, limits) || account.limits == *limits {
                return Arc::clone(account);
            }
        } else if accounts.len() >= MAX_ACCOUNTS {
            let oldest = accounts.iter().min_by_key(|(_, account)| account.used_at_nanos.load(Ordering::Relaxed));
            let oldest = oldest.map(|(holder, _)| holder.clone());
            if let Some(gone) = oldest.and_then(|oldest| accounts.remove(&oldest)) {
                note_held(gone.caps().held(), (0, 0));
            }
        }
        let account = Arc::new(Account::new(limits, accounts.get(holder).map(|account| &**account), now_nanos));
        accounts.insert(holder.clone(), Arc::clone(&account));
        metrics::gauge!(metric::COLLECT_TRACKED, "what" => "keys").set(accounts.len() as f64);
        account
    }
}

impl Account {
    fn new(limits: &Arc<KeyLimits>, before: Option<&Self>, now_nanos: i64) -> Self {
        let bucket = |per_sec: Option<u64>, held: Option<&Arc<Bucket>>| {
            let per_sec = per_sec?;
            let same = held.filter(|bucket| bucket.per_sec() == per_sec);
            Some(same.map_or_else(|| Arc::new(Bucket::new(per_sec)), Arc::clone))
        };
        Self {
            events: bucket(limits.events_per_sec, before.and_then(|account| account.events.as_ref())),
            bytes: bucket(limits.bytes_per_sec, before.and_then(|account| account.bytes.as_ref())),
            caps: before.map(|account| Arc::clone(&account.caps)).unwrap_or_default(),
            limits: Arc::clone(limits),
            used_at_nanos: AtomicI64::new(now_nanos),
        }
    }

    /// Refuses a request of a key that is in debt, before anything was spent on it.
    pub fn check(&self, now_nanos: i64) -> Result<(), Refusal> {
        for (limit, bucket) in [("events_per_sec", &self.events), ("bytes_per_sec", &self.bytes)] {
            let Some(bucket) = bucket else { continue };
            if let Some(debt) = bucket.debt(now_nanos) {
                metrics::counter!(metric::COLLECT_OVER_QUOTA, "limit" => limit).increment(1);
                let whole_secs = debt.as_secs() + u64::from(debt.subsec_nanos() > 0);
                let retry_after = Duration::from_secs(whole_secs.max(1)).min(MAX_WAIT);
                return Err(Refusal::OverQuota { limit, per_sec: bucket.per_sec(), retry_after });
            }
        }
        Ok(())
    }

    /// Charges inflated bytes.
    pub fn charge_bytes(&self, now_nanos: i64, bytes: u64) {
        self.bytes.iter().for_each(|bucket| bucket.charge(now_nanos, bytes));
    }

    /// Charges decoded events.
    pub fn charge_events(&self, now_nanos: i64, events: u64) {
        self.events.iter().for_each(|bucket| bucket.charge(now_nanos, events));
    }

    /// Takes the charges back of a request that could not be stored.
    pub fn give_back(&self, bytes: u64, events: u64, verdict: &Verdict) {
        self.bytes.iter().for_each(|bucket| bucket.give_back(bytes));
        self.events.iter().for_each(|bucket| bucket.give_back(events));
        self.caps().forget(verdict);
    }

    /// Decides which events stay, and counts them.
    pub fn judge(&self, signal: Signal, records: &RecordBatch, received_at: UnixNanos) -> Verdict {
        let mut caps = self.caps();
        let before = caps.held();
        let verdict = caps.judge(signal, records, &self.limits, received_at);
        note_held(before, caps.held());
        drop(caps);
        let counts = [
            ("services", verdict.other_service),
            ("max_operations", verdict.operations),
            ("max_trace_events", verdict.trace_events),
        ];
        for (limit, events) in counts.into_iter().filter(|(_, events)| *events > 0) {
            metrics::counter!(metric::COLLECT_OVER_QUOTA, "limit" => limit).increment(events);
        }
        verdict
    }

    fn caps(&self) -> MutexGuard<'_, Caps> {
        self.caps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the gauges of all keys together.
fn note_held(before: (usize, usize), after: (usize, usize)) {
    for (what, before, after) in [("operations", before.0, after.0), ("traces", before.1, after.1)] {
        if before != after {
            metrics::gauge!(metric::COLLECT_TRACKED, "what" => what).increment(after as f64 - before as f64);
        }
    }
}

#[cfg(test)]
mod tests;
