//! How late it is for a tenant of whom nothing is heard, whatever the machine's clock is set to meanwhile.
//!
//! While events come they say how late it is. Where none come, time alone closes windows, and an hour that the clock skips
//! has not been without events: taken at its word, a clock that is set ahead would raise every alert about what is missing,
//! and make late what comes next. So time passes for a tenant by the steady clock, counted from its newest event or from the
//! start of the process, and never past what the machine's clock says.

use std::collections::BTreeMap;

use model::{TenantId, UnixNanos};
use runtime::Clock;

/// The newest event of each tenant, and when it was heard of; one entry for each engine.
#[derive(Debug)]
pub(crate) struct Quiet {
    clock: Clock,
    heard: BTreeMap<TenantId, Heard>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    newest: UnixNanos,
    steady_nanos: i64,
}

impl Quiet {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, heard: BTreeMap::new() }
    }

    /// What event times are bounded by: the later of the two clocks, so that one that is set back makes no event a future
    /// one.
    pub(crate) fn bound(&self) -> UnixNanos {
        UnixNanos(self.clock.unix_nanos().max(self.clock.steady_nanos()))
    }

    /// Takes note of a tenant's newest event.
    pub(crate) fn hear(&mut self, tenant: &TenantId, newest: UnixNanos) {
        let heard = Heard { newest, steady_nanos: self.clock.steady_nanos() };
        match self.heard.get_mut(tenant) {
            Some(before) if newest > before.newest => *before = heard,
            Some(_) => {}
            None => drop(self.heard.insert(tenant.clone(), heard)),
        }
    }

    /// How late it is for the tenant.
    pub(crate) fn now(&self, tenant: &TenantId) -> UnixNanos {
        let steady_nanos = self.clock.steady_nanos();
        let heard = self.heard.get(tenant);
        let since = heard.map(|heard| heard.newest.plus(steady_nanos.saturating_sub(heard.steady_nanos)).0);
        UnixNanos(since.unwrap_or(i64::MIN).max(steady_nanos).min(self.clock.unix_nanos()))
    }
}

#[cfg(test)]
mod tests;
