//! Detections become incidents: one transaction for incident, evidence, history and messages.

use model::{Detection, EventId, UnixNanos};
use runtime::metric;
use sqlx::sqlite::SqliteConnection;

use crate::book::{AlertBook, AlertKind, MAX_EVIDENCE, Shared};
use crate::error::AlertsError;
use crate::incident::{Incident, MAX_LISTED_TRACES, Status, fingerprint, incident_id};
use crate::notify::{EventType, Notice};
use crate::triage::Line;
use crate::{outbox, row, sql, triage};

/// Longest reason that is kept; a rule may quote what an attacker wrote.
const MAX_REASON_CHARS: usize = 2_000;

/// What a call to [`AlertBook::apply`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Ids of incidents that are new.
    pub created: Vec<String>,
    /// Ids of incidents that were there and got more.
    pub updated: Vec<String>,
    /// Detections that had been applied before.
    pub duplicates: u64,
}

impl AlertBook {
    /// Applies detections in their order, all or none. A detection with a known id changes nothing, so a caller that
    /// does not know whether a call was kept makes it again.
    ///
    /// A new incident, and one that becomes more severe, puts one message per target into the outbox, in the same
    /// transaction.
    ///
    /// # Errors
    /// [`AlertsError::Database`] ([`runtime::ErrorKind::Unavailable`]): nothing was kept.
    pub async fn apply(&self, detections: &[Detection]) -> Result<Applied, AlertsError> {
        let mut applied = Applied::default();
        if detections.is_empty() {
            return Ok(applied);
        }
        let shared = &*self.shared;
        let mut transaction = shared.db.writer.begin().await?;
        let mut changed: Vec<Incident> = Vec::new();
        for detection in detections {
            let known: bool =
                sqlx::query_scalar(sql::HAS_DETECTION).bind(&detection.id).fetch_one(&mut *transaction).await?;
            if known {
                applied.duplicates += 1;
                continue;
            }
            let (incident, is_new) = apply_one(shared, &mut transaction, detection).await?;
            match changed.iter_mut().find(|earlier| earlier.id == incident.id) {
                Some(earlier) => *earlier = incident,
                None => {
                    let ids = if is_new { &mut applied.created } else { &mut applied.updated };
                    ids.push(incident.id.clone());
                    changed.push(incident);
                }
            }
        }
        transaction.commit().await?;
        for incident in changed {
            let is_new = applied.created.contains(&incident.id);
            if is_new {
                metrics::counter!(metric::ALERTS_INCIDENTS, "severity" => incident.severity.as_str()).increment(1);
            }
            shared.publish(if is_new { AlertKind::Created } else { AlertKind::Updated }, incident);
        }
        shared.wake_senders();
        Ok(applied)
    }
}

async fn apply_one(
    shared: &Shared,
    connection: &mut SqliteConnection,
    detection: &Detection,
) -> Result<(Incident, bool), AlertsError> {
    let now = UnixNanos(shared.clock.unix_nanos());
    let print = fingerprint(detection);
    let window = i64::try_from(shared.settings.group_for.as_nanos()).unwrap_or(i64::MAX);
    let open = sqlx::query(sql::FIND_OPEN_INCIDENT)
        .bind(print.as_slice())
        .bind(detection.at.plus(-window).0)
        .bind(detection.at.plus(window).0)
        .fetch_optional(&mut *connection)
        .await?;
    let is_new = open.is_none();
    let mut incident = match open {
        Some(found) => row::incident(&found)?,
        None => begin(connection, detection, &print, now).await?,
    };
    sqlx::query(sql::ADD_DETECTION).bind(&detection.id).bind(&incident.id).execute(&mut *connection).await?;

    let severity_before = incident.severity;
    incident.count += 1;
    incident.updated = now;
    incident.first_seen = incident.first_seen.min(detection.at);
    incident.severity = incident.severity.max(detection.rule.level);
    if detection.at >= incident.last_seen {
        incident.last_seen = detection.at;
        incident.reason = detection.reason.chars().take(MAX_REASON_CHARS).collect();
    }
    let kept_limit = shared.settings.max_evidence.min(MAX_EVIDENCE);
    add_evidence(connection, &mut incident, detection, u64::from(kept_limit)).await?;

    let event_type = match is_new {
        true => Some(EventType::Created),
        false if incident.severity > severity_before => Some(EventType::Escalated),
        false => None,
    };
    if let Some(event_type) = event_type {
        let line = match event_type {
            EventType::Created => Line { kind: "created", to: Some(Status::Open.as_str()), ..Line::system() },
            _ => Line {
                kind: "escalated",
                from: Some(severity_before.as_str()),
                to: Some(incident.severity.as_str()),
                ..Line::system()
            },
        };
        triage::add_line(connection, &incident.id, now, line).await?;
        let evidence = outbox::evidence_for_message(connection, &incident.id).await?;
        let event_id = outbox::next_event_id(&mut incident);
        let notice = Notice {
            event_id: &event_id,
            event_type,
            at: now,
            incident: &incident,
            evidence: &evidence,
            change: None,
            public_url: &shared.settings.public_url,
        };
        outbox::enqueue(shared, connection, &notice).await?;
    }
    save(connection, &incident).await?;
    Ok((incident, is_new))
}

async fn begin(
    connection: &mut SqliteConnection,
    detection: &Detection,
    print: &[u8; 32],
    now: UnixNanos,
) -> Result<Incident, AlertsError> {
    let rule = &detection.rule;
    let made = sqlx::query(sql::ADD_INCIDENT)
        .bind(incident_id(print, &detection.id))
        .bind(detection.tenant.as_str())
        .bind(print.as_slice())
        .bind(&rule.id)
        .bind(&rule.version)
        .bind(&rule.title)
        .bind(&rule.description)
        .bind(&rule.author)
        .bind(row::severity_number(rule.level))
        .bind(row::to_json(&rule.tags))
        .bind(row::to_json(&rule.references))
        .bind(row::to_json(&rule.false_positives))
        .bind(&rule.runbook)
        .bind(row::to_json(&detection.group))
        .bind(row::severity_number(rule.level))
        .bind(&detection.reason)
        .bind(detection.at.0)
        .bind(now.0)
        .fetch_one(connection)
        .await?;
    row::incident(&made)
}

async fn add_evidence(
    connection: &mut SqliteConnection,
    incident: &mut Incident,
    detection: &Detection,
    kept_limit: u64,
) -> Result<(), AlertsError> {
    incident.evidence_omitted += detection.events_omitted;
    for event in &detection.events {
        let name = event.to_string();
        if incident.evidence_kept >= kept_limit {
            let known: bool = sqlx::query_scalar(sql::HAS_EVIDENCE)
                .bind(&incident.id)
                .bind(&name)
                .fetch_one(&mut *connection)
                .await?;
            incident.evidence_omitted += u64::from(!known);
            continue;
        }
        let (kind, trace, span, log, external) = match event {
            EventId::Span(trace, span) => ("span", Some(*trace), Some(span.to_string()), None, None),
            EventId::Log(log, trace) => ("log", *trace, None, Some(log.to_string()), None),
            EventId::External(external) => ("external", None, None, None, Some(external.as_str())),
        };
        let added = sqlx::query(sql::ADD_EVIDENCE)
            .bind(&incident.id)
            .bind(&name)
            .bind(kind)
            .bind(trace.map(|trace| trace.to_string()))
            .bind(span)
            .bind(log)
            .bind(external)
            .bind(detection.at.0)
            .execute(&mut *connection)
            .await?;
        incident.evidence_kept += added.rows_affected();
        if let Some(trace) = trace.filter(|trace| !incident.trace_ids.contains(trace))
            && incident.trace_ids.len() < MAX_LISTED_TRACES
        {
            incident.trace_ids.push(trace);
        }
    }
    Ok(())
}

/// Writes back everything about an incident that may change.
pub(crate) async fn save(connection: &mut SqliteConnection, incident: &Incident) -> Result<(), AlertsError> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let traces: Vec<String> = incident.trace_ids.iter().map(ToString::to_string).collect();
    sqlx::query(sql::UPDATE_INCIDENT)
        .bind(&incident.id)
        .bind(row::severity_number(incident.severity))
        .bind(incident.status.as_str())
        .bind(&incident.reason)
        .bind(number(incident.count))
        .bind(incident.first_seen.0)
        .bind(incident.last_seen.0)
        .bind(incident.updated.0)
        .bind(row::to_json(&traces))
        .bind(number(incident.evidence_kept))
        .bind(number(incident.evidence_omitted))
        .bind(number(incident.messages))
        .execute(connection)
        .await?;
    Ok(())
}
