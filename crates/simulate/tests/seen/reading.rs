//! Reads exports back into flat events, as a receiver would.

use std::collections::BTreeMap;

use prost::Message;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::{KeyValue, any_value::Value};
use proto::resource::v1::Resource;
use simulate::{Export, Signal};

/// A span or a log record with its attributes as text.
#[derive(Debug, Clone)]
pub struct Event {
    pub signal: Signal,
    pub service: String,
    pub trace_id: Vec<u8>,
    pub span_id: Vec<u8>,
    pub parent_span_id: Vec<u8>,
    /// Span name, or event name of a log record.
    pub name: String,
    pub kind: i32,
    pub start: u64,
    pub end: u64,
    pub attributes: BTreeMap<String, String>,
    pub exceptions: usize,
}

impl Event {
    pub fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    pub fn is_span(&self) -> bool {
        self.signal == Signal::Traces
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    };
    let map: BTreeMap<_, _> = pairs.iter().map(|pair| (pair.key.clone(), value(pair))).collect();
    assert_eq!(map.len(), pairs.len(), "an attribute twice: {:?}", pairs.iter().map(|p| &p.key).collect::<Vec<_>>());
    map
}

fn service(resource: Option<&Resource>) -> String {
    attributes(&resource.expect("every export names its resource").attributes)["service.name"].clone()
}

/// The events of one export.
pub fn events(export: &Export) -> Vec<Event> {
    match export.signal {
        Signal::Traces => spans(export),
        Signal::Logs => logs(export),
    }
}

fn spans(export: &Export) -> Vec<Event> {
    let request = ExportTraceServiceRequest::decode(export.body.as_slice()).expect("a valid trace request");
    let mut events = Vec::new();
    for resource in request.resource_spans {
        let service = service(resource.resource.as_ref());
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            events.push(Event {
                signal: export.signal,
                service: service.clone(),
                attributes: attributes(&span.attributes),
                trace_id: span.trace_id,
                span_id: span.span_id,
                parent_span_id: span.parent_span_id,
                name: span.name,
                kind: span.kind,
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                exceptions: span.events.len(),
            });
        }
    }
    events
}

fn logs(export: &Export) -> Vec<Event> {
    let request = ExportLogsServiceRequest::decode(export.body.as_slice()).expect("a valid log request");
    let mut events = Vec::new();
    for resource in request.resource_logs {
        let service = service(resource.resource.as_ref());
        for record in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            events.push(Event {
                signal: export.signal,
                service: service.clone(),
                attributes: attributes(&record.attributes),
                trace_id: record.trace_id,
                span_id: record.span_id,
                parent_span_id: Vec::new(),
                name: record.event_name,
                kind: 0,
                start: record.time_unix_nano,
                end: record.time_unix_nano,
                exceptions: 0,
            });
        }
    }
    events
}
