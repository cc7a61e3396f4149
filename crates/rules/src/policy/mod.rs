//! Service-call policies: who may call whom, and for what.
//!
//! | file | what it answers |
//! |---|---|
//! | `pattern.rs` | which operations a pattern allows |
//! | `verdict.rs` | whether a call is allowed, and what is wrong with it when not |
//! | `watch.rs` | what the engine does with the calls of a batch |
//! | `learn.rs` | who called whom, out of stored spans |
//! | `workload.rs` | where a service runs, as learned |
//! | `write.rs` | the policy that allows what was learned, as text |
//! | `yaml_text.rs` | how texts stand in YAML |
//! | `export.rs`, `istio.rs`, `network.rs` | the same policy for a service mesh and for a cluster network |

mod export;
mod istio;
mod learn;
mod network;
pub(crate) mod pattern;
mod verdict;
pub(crate) mod watch;
mod workload;
mod write;
mod yaml_text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::diagnostic::Report;
use crate::pipeline::Pipelines;
use crate::rule::Body;

pub use export::{ExportError, Exported, Target};
pub use learn::{Graph, Learned, Learner, Seen};
pub use write::{Origin, write};

use pattern::Pattern;

/// Version of the format.
pub(crate) const VERSION: f64 = 1.0;
/// Fields by which correlations may group the violations of a policy, in the order of their values.
pub(crate) const GROUP: [&str; 4] = ["service.name", "service.peer.name", "violation", "operation"];
/// How long repeats of one violation are held back when the policy does not say.
pub(crate) const SUPPRESS_NANOS: i64 = 3_600 * 1_000_000_000;
/// Tags of the alerts of a policy that names none.
pub(crate) const TAGS: [&str; 2] = ["attack.t1021", "owasp.api8"];

/// What is allowed. Services that are not listed may be called by anybody.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    /// Whose calls are judged; everybody's when `None`.
    pub tenant: Option<String>,
    /// Kinds of violation that raise alerts.
    pub alert: Vec<Violation>,
    /// By the service that is called.
    pub services: BTreeMap<String, Allowed>,
    pub exceptions: Vec<Exception>,
    /// Where services run, for exports.
    pub workloads: BTreeMap<String, Workload>,
    /// Where requests from outside enter a cluster, for exports.
    pub ingress: Option<Workload>,
}

/// Who may call a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed {
    /// What may be asked from outside; empty when nothing may.
    pub external: Vec<Pattern>,
    /// By the caller; `*` stands for every service.
    pub callers: BTreeMap<String, Vec<Pattern>>,
}

/// Something that is allowed for a while.
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    pub caller: String,
    pub callee: String,
    pub operations: Vec<Pattern>,
    /// The first moment at which it is not allowed any more, in nanoseconds.
    pub until: i64,
    /// The day, as it was written.
    pub until_text: String,
    pub reason: String,
}

/// Where a service runs in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Workload {
    pub namespace: String,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    pub service_account: Option<String>,
    pub ports: Vec<u16>,
}

/// What is wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// The caller is not listed.
    NewCaller,
    /// The caller is listed, not for this.
    NewOperation,
    /// The request came from outside, and nothing may.
    ExternalCaller,
    /// The caller's span never came.
    UnknownCaller,
}

impl Violation {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::NewCaller, Self::NewOperation, Self::ExternalCaller, Self::UnknownCaller];

    /// The name in policies and alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewCaller => "new_caller",
            Self::NewOperation => "new_operation",
            Self::ExternalCaller => "external_caller",
            Self::UnknownCaller => "unknown_caller",
        }
    }

    /// Whether it raises alerts when the policy does not say. A caller's span that is missing is mostly lost or sampled.
    pub fn alerts_by_default(self) -> bool {
        self != Self::UnknownCaller
    }
}

/// Whether the text is a policy of this tenant and nothing else; faults of the text itself are left to who stores it.
///
/// # Errors
/// Says what is in it besides.
pub fn check_tenant(text: &str, tenant: &str) -> Result<(), String> {
    for rule in crate::read::rules(text, &Pipelines::default(), &mut Report::new("policy")) {
        match &rule.body {
            Body::Policy(policy) if policy.tenant.as_deref() == Some(tenant) => {}
            Body::Policy(_) => return Err(format!("service_policy.tenant must be {tenant}")),
            _ => return Err("every document of the text must have a service_policy".to_owned()),
        }
    }
    Ok(())
}
