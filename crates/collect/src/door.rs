//! What the collector is given to do its work.

use std::sync::Arc;

use access::Access;
use model::{EventBatch, TenantId};
use runtime::Clock;
use wal::Wal;

use crate::redaction::Policy;

/// Whether the house can take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// It can.
    Open,
    /// It cannot for now: clients are told why, and to come back.
    Closed(&'static str),
}

/// The parts of the house behind the listeners.
#[derive(Clone)]
pub struct Door {
    /// Where accepted requests go; the decoded batch travels with the frame.
    pub wal: Wal<EventBatch>,
    /// Who may bring events, and whose they are.
    pub access: Access,
    /// Tells when a request arrived.
    pub clock: Clock,
    /// Asked before a body is read. Must be quick.
    pub pressure: Arc<dyn Fn() -> Pressure + Send + Sync>,
    /// Tenant of requests that show no key; `None` refuses them. A key that is shown must be right in any case.
    pub open_tenant: Option<TenantId>,
    /// What is taken out of requests before they reach the log; `None` keeps everything as it came.
    pub redaction: Option<Arc<Policy>>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("open_tenant", &self.open_tenant).finish_non_exhaustive()
    }
}
