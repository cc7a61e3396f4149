//! Rows of the database as the types of this crate, and back.

use std::str::FromStr;

use model::detection::RuleInfo;
use model::{EventId, Severity, SpanId, TraceId, UnixNanos};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::error::AlertsError;
use crate::incident::{Activity, Delivery, DeliveryState, Evidence, Incident};

/// A severity as it is stored: its place among the five levels.
pub(crate) fn severity_number(severity: Severity) -> i64 {
    severity as i64
}

/// Texts, numbers and pairs of texts as JSON.
pub(crate) fn to_json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists of them always have a JSON form")
}

pub(crate) fn incident(row: &SqliteRow) -> Result<Incident, AlertsError> {
    let status: String = row.try_get("status")?;
    let traces = texts(row, "trace_ids")?;
    let count = |column: &str| Ok::<u64, AlertsError>(row.try_get::<i64, _>(column)?.unsigned_abs());
    let nanos = |column: &str| Ok::<UnixNanos, AlertsError>(UnixNanos(row.try_get(column)?));
    Ok(Incident {
        id: row.try_get("id")?,
        tenant: parse("tenant", &row.try_get::<String, _>("tenant")?)?,
        rule: RuleInfo {
            id: row.try_get("rule_id")?,
            version: row.try_get("rule_version")?,
            title: row.try_get("rule_title")?,
            description: row.try_get("rule_description")?,
            author: row.try_get("rule_author")?,
            level: severity(row, "rule_level")?,
            tags: texts(row, "rule_tags")?,
            references: texts(row, "rule_references")?,
            false_positives: texts(row, "rule_false_positives")?,
            runbook: row.try_get("rule_runbook")?,
        },
        group: pairs(row, "group_values")?,
        severity: severity(row, "severity")?,
        status: parse("status", &status)?,
        reason: row.try_get("reason")?,
        count: count("detections")?,
        first_seen: nanos("first_seen_unix_nanos")?,
        last_seen: nanos("last_seen_unix_nanos")?,
        created: nanos("created_unix_nanos")?,
        updated: nanos("updated_unix_nanos")?,
        trace_ids: traces.iter().map(|text| parse("trace_ids", text)).collect::<Result<_, _>>()?,
        evidence_kept: count("evidence_kept")?,
        evidence_omitted: count("evidence_omitted")?,
        messages: count("messages")?,
        seq: row.try_get("seq")?,
    })
}

pub(crate) fn evidence(row: &SqliteRow) -> Result<Evidence, AlertsError> {
    let trace: Option<String> = row.try_get("trace_id")?;
    let trace = trace.map(|text| parse::<TraceId>("trace_id", &text)).transpose()?;
    let missing = |what| AlertsError::Stored { what, reason: "absent".to_owned() };
    let event = match row.try_get::<String, _>("kind")?.as_str() {
        "span" => {
            let span: SpanId = parse("span_id", &row.try_get::<String, _>("span_id")?)?;
            EventId::Span(trace.ok_or_else(|| missing("trace_id"))?, span)
        }
        "log" => EventId::Log(parse("log_id", &row.try_get::<String, _>("log_id")?)?, trace),
        _ => EventId::External(row.try_get("external")?),
    };
    Ok(Evidence { event, detected: UnixNanos(row.try_get("detected_unix_nanos")?) })
}

pub(crate) fn activity(row: &SqliteRow) -> Result<Activity, AlertsError> {
    Ok(Activity {
        time: UnixNanos(row.try_get("time_unix_nanos")?),
        actor: row.try_get("actor")?,
        kind: row.try_get("kind")?,
        from: row.try_get("from_value")?,
        to: row.try_get("to_value")?,
        comment: row.try_get("comment")?,
    })
}

pub(crate) fn delivery(row: &SqliteRow) -> Result<Delivery, AlertsError> {
    let state: String = row.try_get("state")?;
    let known = DeliveryState::ALL.into_iter().find(|known| known.as_str() == state);
    let state = known.ok_or(AlertsError::Stored { what: "state", reason: state })?;
    let next: i64 = row.try_get("next_attempt_unix_nanos")?;
    Ok(Delivery {
        event_id: row.try_get("event_id")?,
        event_type: row.try_get("event_type")?,
        target: row.try_get("target")?,
        state,
        attempts: row.try_get("attempts")?,
        last_error: row.try_get("last_error")?,
        created: UnixNanos(row.try_get("created_unix_nanos")?),
        next_attempt: (state == DeliveryState::Pending).then_some(UnixNanos(next)),
        ended: row.try_get::<Option<i64>, _>("ended_unix_nanos")?.map(UnixNanos),
    })
}

fn severity(row: &SqliteRow, what: &'static str) -> Result<Severity, AlertsError> {
    let number: i64 = row.try_get(what)?;
    let found = usize::try_from(number).ok().and_then(|at| Severity::ALL.get(at));
    found.copied().ok_or_else(|| AlertsError::Stored { what, reason: number.to_string() })
}

fn texts(row: &SqliteRow, what: &'static str) -> Result<Vec<String>, AlertsError> {
    json(row, what)
}

fn pairs(row: &SqliteRow, what: &'static str) -> Result<Vec<(String, String)>, AlertsError> {
    json(row, what)
}

fn json<T: DeserializeOwned>(row: &SqliteRow, what: &'static str) -> Result<T, AlertsError> {
    let text: String = row.try_get(what)?;
    serde_json::from_str(&text).map_err(|error| AlertsError::Stored { what, reason: error.to_string() })
}

fn parse<T: FromStr<Err: std::fmt::Display>>(what: &'static str, text: &str) -> Result<T, AlertsError> {
    text.parse().map_err(|error: T::Err| AlertsError::Stored { what, reason: error.to_string() })
}
