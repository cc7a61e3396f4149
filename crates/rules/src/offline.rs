//! The offline face of the engine: JSON lines in, matches or alerts out, for people who test rules.
//!
//! An event is a JSON object. A nested object is reachable by the dotted path of its keys; `null` is an absent field; a
//! list matches when one of its elements does. Both calls run the very engine that runs live, over columns built from
//! the lines; `logsource` is ignored, because a file does not say what its events are.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use model::attribute::{self, Value};
use model::{Detection, EventId, TenantId, UnixNanos, signal};
use serde_json::{Map, Value as Json};

use crate::engine::{Engine, Settings};
use crate::events::Events;
use crate::inherited::lines::Inheriting;
use crate::pass::Matches;
use crate::set::RuleSet;

/// Events evaluated at once.
const BATCH_EVENTS: usize = 8_192;
const DEPTH: usize = 32;

/// Why a file of events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// A line is not a JSON object. Lines count from 1.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The columns could not be built; too much text in one batch.
    #[error("events do not fit into columns: {0}")]
    Columns(#[from] ArrowError),
}

/// An event that satisfies a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// Line of the event, from 0; blank lines count.
    pub event: usize,
    /// The rule's id, or its name when it has none.
    pub rule: String,
}

impl Match {
    /// `{"rule": .., "event": ..}`.
    pub fn to_json(&self) -> Json {
        serde_json::json!({"rule": self.rule, "event": self.event})
    }
}

/// A moment at which a rule fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The rule's id, or its name when it has none.
    pub rule: String,
    /// Group-by fields or aliases with their values, in the rule's order.
    pub group: Vec<(String, String)>,
    /// Event time in milliseconds since 1970, rounded down.
    pub at_ms: i64,
    /// What the events call themselves, sorted; the 0-based line number of an event that does not say.
    pub event_ids: Vec<Json>,
}

impl Alert {
    /// `{"rule": .., "group": {..}, "at_ms": .., "event_ids": [..]}`.
    pub fn to_json(&self) -> Json {
        let group: Map<String, Json> =
            self.group.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        serde_json::json!({"rule": self.rule, "group": group, "at_ms": self.at_ms, "event_ids": self.event_ids})
    }
}

/// Which events satisfy which rules on single events, in the order of the lines, then of the rule ids.
///
/// # Errors
/// Names the first line that is not a JSON object.
pub fn match_events<'l>(
    rules: &Arc<RuleSet>,
    lines: impl IntoIterator<Item = &'l str>,
) -> Result<Vec<Match>, OfflineError> {
    let mut found = Vec::new();
    let mut lines = lines.into_iter().enumerate();
    let mut inheriting = Inheriting::new(rules);
    loop {
        let mut events = Vec::new();
        for (line, text) in lines.by_ref().filter(|(_, text)| !text.trim().is_empty()).take(BATCH_EVENTS) {
            events.push((line, object(line, text)?));
        }
        if events.is_empty() {
            found.extend(inheriting.rest());
            found.sort();
            return Ok(found);
        }
        let records = columns(events.iter().map(|(_, event)| event))?;
        let times = vec![0; events.len()];
        let view = Events::external(&records, &times, inheriting.note(events.iter().map(|(line, _)| *line)));
        let mut matches = Matches::new(rules, &view);
        found.extend(inheriting.take(&mut matches));
        let mut batch: Vec<Match> = Vec::new();
        for (number, rows) in matches.rows.iter().filter(|(number, _)| !rules.rules[**number].asks_of_others()) {
            let id = &rules.rules[*number].info.id;
            batch.extend(rows.iter().map(|row| Match { event: events[*row].0, rule: id.clone() }));
        }
        batch.sort();
        found.append(&mut batch);
    }
}

/// Runs rules over events in order of event time (lines decide between equal times) and returns every alert, in order
/// of time, then rule, then group. Nothing is held back as a repeat. An event without a time is an error.
///
/// # Errors
/// Names the first line that is not a JSON object or has no time that can be read.
pub fn replay<'l>(
    rules: &Arc<RuleSet>,
    lines: impl IntoIterator<Item = &'l str>,
    time_field: &str,
    id_field: &str,
) -> Result<Vec<Alert>, OfflineError> {
    let mut events = Vec::new();
    for (line, text) in lines.into_iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let event = object(line, text)?;
        let time = find(&event, time_field).ok_or_else(|| fault(line, format!("no field {time_field:?}")))?;
        let nanos = time_nanos(time).ok_or_else(|| wrong_time(line, time_field, time))?;
        let id = find(&event, id_field).cloned().unwrap_or_else(|| Json::from(line));
        events.push(Dated { nanos, id, event });
    }
    events.sort_by_key(|event| event.nanos);
    run(rules, &events)
}

/// Hands lines of JSON over in batches, in order of time, with the 0-based lines they stand at; a line without the time field happens at the same moment as
/// every other such line.
///
/// # Errors
/// Names the first line that is not a JSON object, or whose time cannot be read.
pub(crate) fn in_batches<'l>(
    lines: impl IntoIterator<Item = &'l str>,
    time_field: &str,
    mut take: impl FnMut(&Events<'_>, &[usize]),
) -> Result<(), OfflineError> {
    let mut events: Vec<(i64, usize, Map<String, Json>)> = Vec::new();
    for (line, text) in lines.into_iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let event = object(line, text)?;
        let nanos = match find(&event, time_field) {
            None => 0,
            Some(time) => time_nanos(time).ok_or_else(|| wrong_time(line, time_field, time))?,
        };
        events.push((nanos, line, event));
    }
    events.sort_by_key(|(nanos, ..)| *nanos);
    for (number, chunk) in events.chunks(BATCH_EVENTS).enumerate() {
        let records = columns(chunk.iter().map(|(.., event)| event))?;
        let times: Vec<i64> = chunk.iter().map(|(nanos, ..)| *nanos).collect();
        let lines: Vec<usize> = chunk.iter().map(|(_, line, _)| *line).collect();
        take(&Events::external(&records, &times, number * BATCH_EVENTS), &lines);
    }
    Ok(())
}

fn wrong_time(line: usize, field: &str, time: &Json) -> OfflineError {
    fault(line, format!("{field:?} must be milliseconds since 1970 or RFC 3339, got {time}"))
}

/// An event with its time and the name it gives itself.
pub(crate) struct Dated {
    pub nanos: i64,
    pub id: Json,
    pub event: Map<String, Json>,
}

/// How often one rule fires over events that are in order of time, whether or not it raises alerts of its own.
pub(crate) fn firings(rules: &Arc<RuleSet>, id: &str, events: &[Dated]) -> Result<usize, OfflineError> {
    let (engine, _) = play(rules, events)?;
    let matched = engine.counters().find(|(rule, _)| *rule == id).map_or(0, |(_, counters)| counters.matched);
    Ok(usize::try_from(matched).unwrap_or(usize::MAX))
}

fn run(rules: &Arc<RuleSet>, events: &[Dated]) -> Result<Vec<Alert>, OfflineError> {
    let (_, detections) = play(rules, events)?;
    let mut alerts: Vec<(i64, Alert)> = Vec::new();
    for detection in detections {
        let mut event_ids: Vec<Json> = detection.events.iter().filter_map(|event| id_of(event, events)).collect();
        event_ids.sort_by(compare_ids);
        let alert =
            Alert { rule: detection.rule.id.clone(), group: detection.group, at_ms: detection.at.millis(), event_ids };
        alerts.push((detection.at.0, alert));
    }
    alerts.sort_by(|(left_at, left), (right_at, right)| {
        (left_at, &left.rule, &left.group).cmp(&(right_at, &right.rule, &right.group))
    });
    Ok(alerts.into_iter().map(|(_, alert)| alert).collect())
}

/// Runs rules over events that are in order of time.
fn play(rules: &Arc<RuleSet>, events: &[Dated]) -> Result<(Engine, Vec<Detection>), OfflineError> {
    let mut engine = Engine::with_settings(Arc::clone(rules), Settings::offline());
    let tenant = TenantId::default_tenant();
    let mut detections = Vec::new();
    for (number, chunk) in events.chunks(BATCH_EVENTS).enumerate() {
        let records = columns(chunk.iter().map(|event| &event.event))?;
        let times: Vec<i64> = chunk.iter().map(|event| event.nanos).collect();
        let view = Events::external(&records, &times, number * BATCH_EVENTS);
        detections.append(&mut engine.run(&tenant, &view, UnixNanos(i64::MAX)));
    }
    if let Some(last) = events.last() {
        detections.append(&mut engine.finish(last.nanos));
    }
    Ok((engine, detections))
}

fn id_of(event: &EventId, events: &[Dated]) -> Option<Json> {
    let EventId::External(position) = event else { return None };
    events.get(position.parse::<usize>().ok()?).map(|event| event.id.clone())
}

/// Numbers by size, then everything else by its text.
fn compare_ids(left: &Json, right: &Json) -> std::cmp::Ordering {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => left.to_string().cmp(&right.to_string()),
    }
}

fn fault(line: usize, reason: String) -> OfflineError {
    OfflineError::Line { line: line + 1, reason }
}

fn object(line: usize, text: &str) -> Result<Map<String, Json>, OfflineError> {
    match serde_json::from_str(text) {
        Ok(Json::Object(map)) => Ok(map),
        Ok(_) => Err(fault(line, "an event must be a JSON object".to_owned())),
        Err(error) => Err(fault(line, error.to_string())),
    }
}

/// A field by its literal name, or by its dotted path.
fn find<'e>(event: &'e Map<String, Json>, name: &str) -> Option<&'e Json> {
    if let Some(found) = event.get(name).filter(|found| !found.is_null()) {
        return Some(found);
    }
    name.match_indices('.').find_map(|(dot, _)| {
        let Some(Json::Object(inner)) = event.get(&name[..dot]) else { return None };
        find(inner, &name[dot + 1..])
    })
}

fn time_nanos(time: &Json) -> Option<i64> {
    match time {
        Json::Number(number) => match number.as_i64() {
            Some(millis) => Some(UnixNanos::from_millis(millis).0),
            None => number.as_f64().map(|millis| (millis * 1e6) as i64),
        },
        Json::String(text) => match text.trim().parse::<i64>() {
            Ok(millis) => Some(UnixNanos::from_millis(millis).0),
            Err(_) => UnixNanos::from_rfc3339(text.trim()).map(|time| time.0),
        },
        _ => None,
    }
}

/// Events as one residual column.
fn columns<'e>(events: impl Iterator<Item = &'e Map<String, Json>>) -> Result<RecordBatch, ArrowError> {
    let item = Field::new("item", DataType::Utf8, false);
    let mut rest = ListBuilder::new(StringBuilder::new()).with_field(item);
    let mut entry = String::new();
    for event in events {
        flatten("", event, 0, &mut |key, value| {
            entry.clear();
            attribute::push_entry(&mut entry, key, value);
            rest.values().append_value(&entry);
        });
        rest.append(true);
    }
    let column: ArrayRef = Arc::new(rest.finish());
    let schema = Schema::new(vec![Field::new(signal::ATTRS_REST, signal::rest_type(), false)]);
    RecordBatch::try_new(Arc::new(schema), vec![column])
}

fn flatten(prefix: &str, event: &Map<String, Json>, depth: usize, take: &mut impl FnMut(&str, &Value<'_>)) {
    for (key, json) in event {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match json {
            Json::Null => {}
            Json::Bool(flag) => take(&key, &Value::Bool(*flag)),
            Json::String(text) => take(&key, &Value::str(text)),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => take(&key, &Value::Int(whole)),
                None => take(&key, &Value::str(&number.to_string())),
            },
            Json::Array(_) => take(&key, &Value::Json(json.to_string().into())),
            Json::Object(inner) if depth < DEPTH => flatten(&key, inner, depth + 1, take),
            Json::Object(_) => take(&key, &Value::Json(json.to_string().into())),
        }
    }
}
