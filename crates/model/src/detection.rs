//! What a rule found.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::{LogId, SpanId, TenantId, TraceId, UnixNanos};

/// How bad it is: Sigma's five levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Severity {
    /// Worth recording, not worth a look of its own.
    Informational,
    /// Worth a look when there is time.
    Low,
    /// Worth a look today.
    #[default]
    Medium,
    /// Worth a look now.
    High,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// Every level, mildest first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Sigma's name of the level.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|level| level.as_str() == text);
        found.ok_or_else(|| format!("level must be informational, low, medium, high or critical, got {text:?}"))
    }
}

/// Names one event that is evidence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventId {
    /// A span.
    Span(TraceId, SpanId),
    /// A log record, with the trace it belongs to when it says so.
    Log(LogId, Option<TraceId>),
    /// An event from outside the store, by the name its file gives it.
    External(String),
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span(trace, span) => write!(f, "span:{trace}:{span}"),
            Self::Log(log, _) => write!(f, "log:{log}"),
            Self::External(name) => write!(f, "external:{name}"),
        }
    }
}

/// What an alert says of the rule that raised it; taken from the rule file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleInfo {
    /// Sigma `id`, or the `name`, or a hash of the title: stable across edits.
    pub id: String,
    /// Hash of what the rule means, 16 hexadecimal digits; changes when an edit changes its verdicts.
    pub version: String,
    /// Sigma `title`.
    pub title: String,
    /// Sigma `description`.
    pub description: String,
    /// Sigma `author`; shown on every alert, as the Detection Rule License asks.
    pub author: String,
    /// Sigma `level`.
    pub level: Severity,
    /// Sigma `tags`, as in `attack.t1110.004`.
    pub tags: Vec<String>,
    /// Sigma `references`.
    pub references: Vec<String>,
    /// Sigma `falsepositives`.
    pub false_positives: Vec<String>,
    /// Where to read what to do; empty when the rule names none.
    pub runbook: String,
}

/// A rule found something. Pure data: the same events and rules give the same detections with the same ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Stable id: see [`Detection::derive_id`]. 32 hexadecimal digits.
    pub id: String,
    /// Whose.
    pub tenant: TenantId,
    /// Which rule.
    pub rule: Arc<RuleInfo>,
    /// Group-by fields (or aliases) with their values, in the rule's order; for a rule without group-by, `service.name`.
    pub group: Vec<(String, String)>,
    /// Event time of the event that completed the detection: the end of a span, the time of a log record.
    pub at: UnixNanos,
    /// First moment of the window; equal to `at` for a rule on single events.
    pub window_start: UnixNanos,
    /// The count or value that met the condition; `None` for a rule on single events.
    pub metric: Option<f64>,
    /// The events, oldest first, at most a bounded number of them.
    pub events: Vec<EventId>,
    /// How many events were left out of `events`.
    pub events_omitted: u64,
    /// One sentence that says what was seen, with the values that matter.
    pub reason: String,
}

impl Detection {
    /// The id: the first 16 bytes of SHA-256 over tenant, rule id and version, group, and the identity of the firing.
    pub fn derive_id(tenant: &TenantId, rule: &RuleInfo, group: &[(String, String)], firing: &str) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        part(tenant.as_str());
        part(&rule.id);
        part(&rule.version);
        for (field, value) in group {
            part(field);
            part(value);
        }
        part(firing);
        hex::encode(&hash.finalize()[..16])
    }
}
