//! What an alert is: an incident, its evidence, its history and the messages about it.

use std::fmt;
use std::str::FromStr;

use model::detection::RuleInfo;
use model::{Detection, EventId, Severity, TenantId, TraceId, UnixNanos};
use sha2::{Digest, Sha256};

use crate::book::AlertKind;
use crate::error::AlertsError;

/// Traces an incident names in lists; all of them are in its evidence.
pub const MAX_LISTED_TRACES: usize = 5;

/// What people have done about an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Nobody has looked at it.
    Open,
    /// Somebody is on it.
    Acknowledged,
    /// It is over; the same again makes a new incident.
    Closed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Closed];

    /// The name, as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = AlertsError;

    fn from_str(text: &str) -> Result<Self, AlertsError> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| AlertsError::Status(text.chars().take(32).collect()))
    }
}

/// Detections of one rule and one group that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Stable id, 32 hexadecimal digits: see [`incident_id`].
    pub id: String,
    /// Whose.
    pub tenant: TenantId,
    /// The rule, as it was when the incident began.
    pub rule: RuleInfo,
    /// Group-by fields with their values.
    pub group: Vec<(String, String)>,
    /// The highest level among the detections.
    pub severity: Severity,
    /// What people have done about it.
    pub status: Status,
    /// What was seen, by the latest detection in event time.
    pub reason: String,
    /// Number of detections.
    pub count: u64,
    /// Event time of the earliest detection.
    pub first_seen: UnixNanos,
    /// Event time of the latest detection.
    pub last_seen: UnixNanos,
    /// When the incident was made.
    pub created: UnixNanos,
    /// When it last changed.
    pub updated: UnixNanos,
    /// The first [`MAX_LISTED_TRACES`] traces of the evidence.
    pub trace_ids: Vec<TraceId>,
    /// Events kept as evidence.
    pub evidence_kept: u64,
    /// Events that were left out, here or by the rule's own limit.
    pub evidence_omitted: u64,
    /// Event ids given out so far.
    pub(crate) messages: u64,
    /// Place in lists.
    pub(crate) seq: i64,
}

/// One event that is evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Which event.
    pub event: EventId,
    /// Event time of the detection that brought it.
    pub detected: UnixNanos,
}

/// One line of an incident's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// When.
    pub time: UnixNanos,
    /// Who: a user, or `system`.
    pub actor: String,
    /// What: `created`, `escalated`, `status`, `comment`, `undelivered` or `target-disabled`.
    pub kind: String,
    /// What it was before, when something changed.
    pub from: Option<String>,
    /// What it is now, when something changed.
    pub to: Option<String>,
    /// What was said.
    pub comment: String,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Still to be sent, or to be sent again.
    Pending,
    /// The receiver took it.
    Delivered,
    /// Given up: a dead letter.
    Dead,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// The name, as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// One message to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The `webhook-id`, the same at every attempt: `msg_<incident>_<n>`.
    pub event_id: String,
    /// `alert.created`, `alert.escalated` or `alert.status`.
    pub event_type: String,
    /// Name of the target.
    pub target: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last attempt failed; never what the receiver answered in its body.
    pub last_error: Option<String>,
    /// When the message was made.
    pub created: UnixNanos,
    /// When it is sent again; `None` unless pending.
    pub next_attempt: Option<UnixNanos>,
    /// When it was delivered or given up; `None` while pending.
    pub ended: Option<UnixNanos>,
}

/// An incident with all that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentDetail {
    /// The incident.
    pub incident: Incident,
    /// Events, in the order they came.
    pub evidence: Vec<Evidence>,
    /// History, oldest first.
    pub activity: Vec<Activity>,
    /// Messages, oldest first.
    pub deliveries: Vec<Delivery>,
}

/// Something happened to an incident; sent to subscribers after the commit.
#[derive(Debug, Clone)]
pub struct AlertEvent {
    /// Counts up from 1 in each run of the server.
    pub seq: u64,
    /// Whose.
    pub tenant: TenantId,
    /// What happened.
    pub kind: AlertKind,
    /// The incident afterwards.
    pub incident: Incident,
}

/// What makes detections belong together: SHA-256 over tenant, rule id and group, each part preceded by its length
/// (8 bytes, little endian). Severity, version and text of the rule are left out, so that an edit starts nothing new.
pub fn fingerprint(detection: &Detection) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    part(detection.tenant.as_str());
    part(&detection.rule.id);
    for (field, value) in &detection.group {
        part(field);
        part(value);
    }
    hash.finalize().into()
}

/// Id of the incident that a detection begins: the first 16 bytes of SHA-256 over fingerprint and detection id. The
/// same detections, applied again to an empty database, make incidents with the same ids.
pub fn incident_id(fingerprint: &[u8; 32], first_detection_id: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(fingerprint);
    hash.update(first_detection_id.as_bytes());
    hex::encode(&hash.finalize()[..16])
}
