//! Stored rows back to OTLP.
//!
//! Lossless as far as the schema goes. Not kept: the order of attributes that have columns of their own, an end before
//! the start when the marking attribute was removed, ids of log records that were not ids, entity references. What the
//! server derived is left out.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int8Type, Int64Type, TimestampNanosecondType, UInt32Type};
use model::attribute::{self, Value};
use model::field::{DERIVED, FieldKind, PROMOTED};
use model::signal::{self, log, span};
use model::view::text_at;
use model::{Signal, signal as columns};
use prost::Message as _;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::{InstrumentationScope, KeyValue};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::resource::v1::Resource;
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::value::{any_value, key_value};
use crate::{Format, json};

/// Why rows could not be written as OTLP. Seen only when a file was written by other hands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A column is missing or has another type than the schema says.
    #[error("column {0:?} is missing or has the wrong type")]
    Column(&'static str),
    /// The stored bytes of events or links are not OTLP.
    #[error("column {0:?} holds bytes that are not OTLP")]
    Damaged(&'static str),
}

/// Writes rows (with the decoded or the stored schema of `signal`) as one export request.
///
/// Consecutive rows of one resource and scope share their envelope.
///
/// # Errors
/// [`EncodeError`] when the batch does not follow the schema.
pub fn encode(signal: Signal, format: Format, records: &RecordBatch) -> Result<Vec<u8>, EncodeError> {
    let rows = Rows { records };
    let protobuf = match signal {
        Signal::Spans => spans(&rows)?.encode_to_vec(),
        Signal::Logs => logs(&rows)?.encode_to_vec(),
    };
    match format {
        Format::Protobuf => Ok(protobuf),
        Format::Json => {
            let json = json::from_protobuf(json::request(signal), &protobuf);
            json.map(String::into_bytes).map_err(|_| EncodeError::Damaged(span::EVENTS))
        }
    }
}

struct Rows<'a> {
    records: &'a RecordBatch,
}

/// What stands around a record: rows that agree in it share an envelope.
#[derive(PartialEq, Clone, Copy)]
struct Around<'a> {
    resource: &'a str,
    scope_name: &'a str,
    scope_version: &'a str,
    scope: &'a str,
}

impl<'a> Rows<'a> {
    fn column(&self, name: &'static str) -> Result<&'a ArrayRef, EncodeError> {
        self.records.column_by_name(name).ok_or(EncodeError::Column(name))
    }

    fn text(&self, name: &'static str, row: usize) -> Result<&'a str, EncodeError> {
        Ok(text_at(self.column(name)?, row).unwrap_or_default())
    }

    fn bytes(&self, name: &'static str, row: usize) -> Result<&'a [u8], EncodeError> {
        let column = self.column(name)?;
        if column.is_null(row) {
            return Ok(&[]);
        }
        if let Some(fixed) = column.as_fixed_size_binary_opt() {
            return Ok(fixed.value(row));
        }
        column.as_binary_opt::<i32>().map(|plain| plain.value(row)).ok_or(EncodeError::Column(name))
    }

    fn small(&self, name: &'static str, row: usize) -> Result<i32, EncodeError> {
        let column = self.column(name)?.as_primitive_opt::<Int8Type>().ok_or(EncodeError::Column(name))?;
        Ok(i32::from(column.value(row)))
    }

    /// 0 for null.
    fn count(&self, name: &'static str, row: usize) -> Result<u32, EncodeError> {
        let column = self.column(name)?.as_primitive_opt::<UInt32Type>().ok_or(EncodeError::Column(name))?;
        Ok(if column.is_null(row) { 0 } else { column.value(row) })
    }

    /// 0 for null.
    fn time(&self, name: &'static str, row: usize) -> Result<i64, EncodeError> {
        let column = self.column(name)?.as_primitive_opt::<TimestampNanosecondType>();
        let column = column.ok_or(EncodeError::Column(name))?;
        Ok(if column.is_null(row) { 0 } else { column.value(row) })
    }

    fn around(&self, row: usize) -> Result<Around<'a>, EncodeError> {
        Ok(Around {
            resource: self.text(signal::RESOURCE, row)?,
            scope_name: self.text(signal::SCOPE_NAME, row)?,
            scope_version: self.text(signal::SCOPE_VERSION, row)?,
            scope: self.text(signal::SCOPE, row)?,
        })
    }

    fn attributes(&self, row: usize) -> Result<Vec<KeyValue>, EncodeError> {
        let mut found = Vec::new();
        let derived = self.count(columns::DERIVED, row)?;
        for promoted in PROMOTED {
            let column = self.column(promoted.name)?;
            if column.is_null(row) || is_derived(promoted.name, derived) {
                continue;
            }
            let value = match promoted.kind {
                FieldKind::Int => column.as_primitive_opt::<Int64Type>().map(|ints| Value::Int(ints.value(row))),
                FieldKind::Label | FieldKind::Text => text_at(column, row).map(Value::str),
            };
            found.push(key_value(promoted.name, &value.ok_or(EncodeError::Column(promoted.name))?));
        }
        let wrong = EncodeError::Column(columns::ATTRS_REST);
        let rest = self.column(columns::ATTRS_REST)?.as_list_opt::<i32>().ok_or(wrong.clone())?.value(row);
        let entries = rest.as_string_opt::<i32>().ok_or(wrong)?;
        let parsed = entries.iter().flatten().filter_map(attribute::parse_entry);
        found.extend(parsed.map(|(key, value)| key_value(&key, &value)));
        Ok(found)
    }
}

/// Whether the server worked the attribute out, so that no client sent it.
fn is_derived(name: &str, bits: u32) -> bool {
    bits != 0 && DERIVED.iter().position(|derived| *derived == name).is_some_and(|bit| bits & 1 << bit != 0)
}

fn spans(rows: &Rows<'_>) -> Result<ExportTraceServiceRequest, EncodeError> {
    let mut request = ExportTraceServiceRequest::default();
    let mut last: Option<Around<'_>> = None;
    for row in 0..rows.records.num_rows() {
        let around = rows.around(row)?;
        if last.is_none_or(|last| last.resource != around.resource) {
            let (resource, schema_url) = resource_of(around.resource);
            request.resource_spans.push(ResourceSpans { resource, scope_spans: Vec::new(), schema_url });
        }
        let resource = request.resource_spans.last_mut().expect("a resource was pushed for the first row");
        if last != Some(around) {
            let (scope, schema_url) = scope_of(around);
            resource.scope_spans.push(ScopeSpans { scope, spans: Vec::new(), schema_url });
        }
        let scope = resource.scope_spans.last_mut().expect("a scope was pushed for the first row");
        scope.spans.push(span_of(rows, row)?);
        last = Some(around);
    }
    Ok(request)
}

fn span_of(rows: &Rows<'_>, row: usize) -> Result<Span, EncodeError> {
    let mut attributes = rows.attributes(row)?;
    let duration = rows.column(span::DURATION_NANOS)?.as_primitive_opt::<Int64Type>();
    let duration = duration.ok_or(EncodeError::Column(span::DURATION_NANOS))?.value(row);
    let start = rows.time(span::START_TIME, row)?;
    let mut end = start.saturating_add(duration);
    if let Some(marked) = attributes.last().filter(|last| last.key == span::END_BEFORE_START && duration == 0)
        && let Some(proto::common::v1::any_value::Value::IntValue(backwards)) =
            marked.value.as_ref().and_then(|value| value.value.clone())
        // files by other hands may say anything; only what decoding could have written is taken back
        && (1..=start).contains(&backwards)
    {
        end = start - backwards;
        attributes.pop();
    }
    let (code, message) = (rows.small(span::STATUS_CODE, row)?, rows.text(span::STATUS_MESSAGE, row)?);
    let status = (code != 0 || !message.is_empty()).then(|| Status { message: message.to_owned(), code });
    let mut span = Span {
        trace_id: rows.bytes(columns::TRACE_ID, row)?.to_vec(),
        span_id: rows.bytes(columns::SPAN_ID, row)?.to_vec(),
        trace_state: rows.text(span::TRACE_STATE, row)?.to_owned(),
        parent_span_id: rows.bytes(span::PARENT_SPAN_ID, row)?.to_vec(),
        flags: rows.count(span::FLAGS, row)?,
        name: rows.text(span::NAME, row)?.to_owned(),
        kind: rows.small(span::KIND, row)?,
        start_time_unix_nano: u64::try_from(start).unwrap_or(0),
        end_time_unix_nano: u64::try_from(end).unwrap_or(0),
        attributes,
        dropped_attributes_count: rows.count(columns::DROPPED_ATTRIBUTES, row)?,
        events: Vec::new(),
        dropped_events_count: rows.count(span::DROPPED_EVENTS, row)?,
        links: Vec::new(),
        dropped_links_count: rows.count(span::DROPPED_LINKS, row)?,
        status,
    };
    // the columns hold fields of the span's own message, so that merging them is reading them
    span.merge(rows.bytes(span::EVENTS, row)?).map_err(|_| EncodeError::Damaged(span::EVENTS))?;
    span.merge(rows.bytes(span::LINKS, row)?).map_err(|_| EncodeError::Damaged(span::LINKS))?;
    Ok(span)
}

fn logs(rows: &Rows<'_>) -> Result<ExportLogsServiceRequest, EncodeError> {
    let mut request = ExportLogsServiceRequest::default();
    let mut last: Option<Around<'_>> = None;
    for row in 0..rows.records.num_rows() {
        let around = rows.around(row)?;
        if last.is_none_or(|last| last.resource != around.resource) {
            let (resource, schema_url) = resource_of(around.resource);
            request.resource_logs.push(ResourceLogs { resource, scope_logs: Vec::new(), schema_url });
        }
        let resource = request.resource_logs.last_mut().expect("a resource was pushed for the first row");
        if last != Some(around) {
            let (scope, schema_url) = scope_of(around);
            resource.scope_logs.push(ScopeLogs { scope, log_records: Vec::new(), schema_url });
        }
        let scope = resource.scope_logs.last_mut().expect("a scope was pushed for the first row");
        scope.log_records.push(log_of(rows, row)?);
        last = Some(around);
    }
    Ok(request)
}

fn log_of(rows: &Rows<'_>, row: usize) -> Result<LogRecord, EncodeError> {
    let tag = rows.text(log::BODY_TYPE, row)?.chars().next();
    let body = tag.map(|tag| {
        let text = text_at(rows.records.column_by_name(log::BODY)?, row)?;
        body_value(tag, text).map(|value| any_value(&value))
    });
    Ok(LogRecord {
        time_unix_nano: u64::try_from(rows.time(log::TIME, row)?).unwrap_or(0),
        observed_time_unix_nano: u64::try_from(rows.time(log::OBSERVED_TIME, row)?).unwrap_or(0),
        severity_number: rows.small(log::SEVERITY_NUMBER, row)?,
        severity_text: rows.text(log::SEVERITY_TEXT, row)?.to_owned(),
        body: body.flatten(),
        attributes: rows.attributes(row)?,
        dropped_attributes_count: rows.count(columns::DROPPED_ATTRIBUTES, row)?,
        flags: rows.count(log::FLAGS, row)?,
        trace_id: rows.bytes(columns::TRACE_ID, row)?.to_vec(),
        span_id: rows.bytes(columns::SPAN_ID, row)?.to_vec(),
        event_name: rows.text(log::EVENT_NAME, row)?.to_owned(),
    })
}

/// A body is stored as plain text beside its tag: unlike an entry, nothing in it is escaped.
fn body_value(tag: char, text: &str) -> Option<Value<'_>> {
    match tag {
        's' => Some(Value::str(text)),
        'j' => Some(Value::Json(text.into())),
        'i' => text.parse().ok().map(Value::Int),
        'd' => text.parse().ok().map(Value::Double),
        'b' => text.parse().ok().map(Value::Bool),
        'x' => hex::decode(text).ok().map(Value::Bytes),
        _ => Some(Value::Empty),
    }
}

/// Attributes, dropped count and schema URL of a stored list.
fn split_list(list: &str) -> (Vec<KeyValue>, u32, String) {
    let (mut attributes, mut dropped, mut schema_url) = (Vec::new(), 0, String::new());
    for (key, value) in attribute::parse_list(list) {
        match (&*key, &value) {
            (attribute::SCHEMA_URL, Value::Str(url)) => schema_url = url.to_string(),
            (attribute::DROPPED, Value::Int(count)) => dropped = u32::try_from(*count).unwrap_or(u32::MAX),
            _ => attributes.push(key_value(&key, &value)),
        }
    }
    (attributes, dropped, schema_url)
}

fn resource_of(list: &str) -> (Option<Resource>, String) {
    let (attributes, dropped_attributes_count, schema_url) = split_list(list);
    let is_set = !attributes.is_empty() || dropped_attributes_count > 0;
    let resource = Resource { attributes, dropped_attributes_count, entity_refs: Vec::new() };
    (is_set.then_some(resource), schema_url)
}

fn scope_of(around: Around<'_>) -> (Option<InstrumentationScope>, String) {
    let (attributes, dropped_attributes_count, schema_url) = split_list(around.scope);
    let scope = InstrumentationScope {
        name: around.scope_name.to_owned(),
        version: around.scope_version.to_owned(),
        attributes,
        dropped_attributes_count,
    };
    ((scope != InstrumentationScope::default()).then_some(scope), schema_url)
}
