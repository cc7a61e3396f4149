//! What the routes work with: the rooms below, and what the server says about itself.

use std::ops::Deref;
use std::sync::Arc;

use access::Access;
use alerts::AlertBook;
use model::TenantId;
use pipeline::detect::Tally;
use pipeline::{Peek, RuleShelf};
use query::{Backtests, Query};
use runtime::{Clock, Random, Stop};
use tokio::sync::Semaphore;

/// Most requests being worked on at once; more are answered 429.
const REQUESTS_AT_ONCE: usize = 256;
/// Most clients on the alert stream at once; more are answered 429.
const STREAMS_AT_ONCE: usize = 128;

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Whoever has a session.
    Session,
    /// Anybody who reaches the listener, as the first user of this tenant. For loopback listeners alone: requests
    /// whose `Host` is not loopback are refused, so that a web page cannot reach it by a name of its own.
    None(TenantId),
}

/// What a person may set about the API.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may ask.
    pub auth: Auth,
    /// Mark the session cookie `Secure`. Set it when people come in over HTTPS.
    pub secure_cookie: bool,
    /// Version of the program, as shown.
    pub version: String,
    /// Where OTLP over gRPC is taken, as shown: `http://host:port`.
    pub otlp_grpc: String,
    /// Where OTLP over HTTP is taken, as shown: `http://host:port`.
    pub otlp_http: String,
    /// Whether demo traffic runs.
    pub demo: bool,
}

/// One condition of being ready. `probe` answers at once, from memory: what is well, or what is wrong.
#[derive(Clone)]
pub struct Check {
    /// Name, as shown by `/readyz?verbose`.
    pub name: &'static str,
    /// Asks for the state.
    pub probe: Arc<dyn Fn() -> Result<String, String> + Send + Sync>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The rooms below, and what only the server knows.
pub struct Parts {
    /// Reads events.
    pub query: Query,
    /// Incidents.
    pub alerts: AlertBook,
    /// Sessions, roles, keys, the audit trail.
    pub access: Access,
    /// Rule files.
    pub rules: RuleShelf,
    /// How often each rule has matched since the start.
    pub tally: Tally,
    /// What the rule engine remembers.
    pub peek: Peek,
    /// Rules over stored events.
    pub backtests: Backtests,
    /// The time.
    pub clock: Clock,
    /// Randomness, for request ids.
    pub random: Random,
    /// Settings.
    pub settings: Settings,
    /// Whether any span was ever stored; answers from memory.
    pub spans_seen: Arc<dyn Fn() -> bool + Send + Sync>,
    /// What must be well for `/readyz`.
    pub checks: Vec<Check>,
    /// Renders `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Ends streams when the server stops.
    pub stop: Stop,
}

/// Shared by all routes. Cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

/// What [`ApiState`] gives access to.
pub struct Shared {
    pub(crate) parts: Parts,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
}

impl ApiState {
    /// With the limits of this file.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared {
            parts,
            requests: Arc::new(Semaphore::new(REQUESTS_AT_ONCE)),
            streams: Arc::new(Semaphore::new(STREAMS_AT_ONCE)),
        }))
    }
}

impl Deref for ApiState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState").field("settings", &self.parts.settings).finish_non_exhaustive()
    }
}
