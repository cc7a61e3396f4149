//! Alerts: incidents with their evidence, history and messages.

use alerts::{Incident, IncidentDetail};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;

use super::backtest::EvidenceId;
use super::value::Attributes;

/// An alert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    /// Stable id, 32 hexadecimal digits.
    pub id: String,
    /// The rule that raised it.
    pub rule_id: String,
    /// Its title.
    pub rule_title: String,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `open`, `acknowledged` or `closed`.
    pub status: String,
    /// What was seen, in one sentence.
    pub reason: String,
    /// Group-by fields with their values.
    #[schema(value_type = Object)]
    pub group: Attributes,
    /// Number of detections.
    pub count: u64,
    /// Event time of the earliest detection, RFC 3339.
    pub first_seen_time: String,
    /// Event time of the latest detection, RFC 3339.
    pub last_seen_time: String,
    /// When the alert was made, RFC 3339.
    pub created_time: String,
    /// The first traces of the evidence, at most 5.
    pub trace_ids: Vec<String>,
    /// Tags of the rule.
    pub tags: Vec<String>,
    /// Author of the rule.
    pub author: String,
}

impl From<Incident> for Alert {
    fn from(incident: Incident) -> Self {
        let group: Map<_, _> = incident.group.into_iter().map(|(field, value)| (field, value.into())).collect();
        Self {
            id: incident.id,
            rule_id: incident.rule.id,
            rule_title: incident.rule.title,
            severity: incident.severity.to_string(),
            status: incident.status.to_string(),
            reason: incident.reason,
            group,
            count: incident.count,
            first_seen_time: incident.first_seen.to_string(),
            last_seen_time: incident.last_seen.to_string(),
            created_time: incident.created.to_string(),
            trace_ids: incident.trace_ids.iter().map(ToString::to_string).collect(),
            tags: incident.rule.tags,
            author: incident.rule.author,
        }
    }
}

/// One event that is evidence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Evidence {
    /// `span`, `log`, or `external` for an event from outside the store.
    pub kind: &'static str,
    /// Its trace.
    pub trace_id: Option<String>,
    /// Its span.
    pub span_id: Option<String>,
    /// Its log record; the name of an external event.
    pub log_id: Option<String>,
    /// Event time of the detection that brought it, RFC 3339.
    pub time: String,
}

/// One line of an alert's history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Activity {
    /// When, RFC 3339.
    pub time: String,
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

/// One message to one target.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    /// Name of the target.
    pub target: String,
    /// `alert.created`, `alert.escalated` or `alert.status`.
    pub event_type: String,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it is sent again, RFC 3339; null unless pending.
    pub next_attempt_time: Option<String>,
}

/// An alert with all that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertDetail {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// Description of the rule.
    pub description: String,
    /// References of the rule.
    pub references: Vec<String>,
    /// What looks like it and is harmless.
    pub false_positives: Vec<String>,
    /// Where to read what to do; empty when the rule names none.
    pub runbook: String,
    /// Events, in the order they came.
    pub evidence: Vec<Evidence>,
    /// Events that were left out.
    pub evidence_omitted: u64,
    /// History, oldest first.
    pub activity: Vec<Activity>,
    /// Messages, oldest first.
    pub deliveries: Vec<Delivery>,
}

impl From<IncidentDetail> for AlertDetail {
    fn from(detail: IncidentDetail) -> Self {
        let rule = detail.incident.rule.clone();
        Self {
            description: rule.description,
            references: rule.references,
            false_positives: rule.false_positives,
            runbook: rule.runbook,
            evidence_omitted: detail.incident.evidence_omitted,
            alert: Alert::from(detail.incident),
            evidence: detail.evidence.into_iter().map(evidence).collect(),
            activity: detail.activity.into_iter().map(activity).collect(),
            deliveries: detail.deliveries.into_iter().map(delivery).collect(),
        }
    }
}

fn evidence(evidence: alerts::Evidence) -> Evidence {
    let time = evidence.detected.to_string();
    let EvidenceId { kind, trace_id, span_id, log_id } = EvidenceId::from(&evidence.event);
    Evidence { kind, trace_id, span_id, log_id, time }
}

fn activity(line: alerts::Activity) -> Activity {
    Activity {
        time: line.time.to_string(),
        actor: line.actor,
        kind: line.kind,
        from: line.from,
        to: line.to,
        comment: line.comment,
    }
}

fn delivery(message: alerts::Delivery) -> Delivery {
    Delivery {
        target: message.target,
        event_type: message.event_type,
        state: message.state.as_str().to_owned(),
        attempts: message.attempts,
        last_error: message.last_error,
        next_attempt_time: message.next_attempt.map(|time| time.to_string()),
    }
}

/// What somebody does about an alert.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusRequest {
    /// `open`, `acknowledged` or `closed`.
    pub status: String,
    /// Why; at most 4,000 characters.
    #[serde(default)]
    pub comment: String,
}
