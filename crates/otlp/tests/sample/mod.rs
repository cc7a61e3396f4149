//! Random OTLP messages, as the generated types hold them.

use proptest::collection::vec;
use proptest::prelude::*;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::resource::v1::Resource;
use proto::trace::v1::span::{Event, Link};
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

const START: u64 = 1_764_000_000_000_000_000;

/// Text with the characters that break separators, JSON and terminals.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z.]{0,12}",
        1 => prop::sample::select(vec!["10.0.0.1", "203.0.113.9, 10.0.0.2", "Failed password for x"]).prop_map(str::to_owned),
        1 => "[\\x00-\\x1f\"\\\\\u{7f}\u{202e}ä€😀]{0,6}",
    ]
}

fn key() -> impl Strategy<Value = String> {
    let known = vec![
        "http.route",
        "http.response.status_code",
        "url.path",
        "user.id",
        "db.query.text",
        "service.name",
        "exception.type",
        "http.status_code",
        "auth.outcome",
        "client.address",
        "network.peer.address",
        "http.request.header.x-forwarded-for",
        "own.key",
    ];
    prop_oneof![
        4 => prop::sample::select(known).prop_map(str::to_owned),
        1 => text().prop_filter("keys of the server's own lists", |key| !key.starts_with('\u{1c}')),
    ]
}

fn double() -> impl Strategy<Value = f64> {
    let odd = prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324, -0.0, 3.0]);
    prop_oneof![any::<f64>().prop_filter("not equal to itself", |number| !number.is_nan()), odd]
}

fn scalar() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => text().prop_map(Kind::StringValue),
        2 => any::<i64>().prop_map(Kind::IntValue),
        2 => (0_i64..600).prop_map(Kind::IntValue),
        1 => (401_i64..404).prop_map(Kind::IntValue),
        1 => any::<bool>().prop_map(Kind::BoolValue),
        1 => double().prop_map(Kind::DoubleValue),
        1 => vec(any::<u8>(), 0..9).prop_map(Kind::BytesValue),
    ]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let wrap = |kind| AnyValue { value: Some(kind) };
    let leaf = prop_oneof![12 => scalar().prop_map(wrap), 1 => Just(AnyValue { value: None })];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        let array = vec(inner.clone(), 0..4).prop_map(|values| Kind::ArrayValue(ArrayValue { values }));
        let pair = (key(), inner).prop_map(|(key, value)| KeyValue { key, value: Some(value), key_strindex: 0 });
        let list = vec(pair, 0..4).prop_map(|values| Kind::KvlistValue(KeyValueList { values }));
        prop_oneof![array, list].prop_map(wrap)
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = (key(), value()).prop_map(|(key, value)| KeyValue { key, value: Some(value), key_strindex: 0 });
    vec(pair, 0..6)
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    let some = (attributes(), 0_u32..3).prop_map(|(attributes, dropped_attributes_count)| Resource {
        attributes,
        dropped_attributes_count,
        entity_refs: Vec::new(),
    });
    prop::option::weighted(0.8, some)
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    let some = (text(), text(), attributes(), 0_u32..3).prop_map(|(name, version, attributes, dropped)| {
        InstrumentationScope { name, version, attributes, dropped_attributes_count: dropped }
    });
    prop::option::weighted(0.8, some)
}

/// Mostly real ids; sometimes none, all zero, or of a wrong length.
fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => vec(1_u8.., length),
        1 => Just(Vec::new()),
        1 => Just(vec![0; length]),
        1 => vec(any::<u8>(), length - 1),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![20 => START..START + 3_600_000_000_000, 1 => Just(0), 1 => Just(u64::MAX), 1 => Just(1)]
}

fn event() -> impl Strategy<Value = Event> {
    let name = prop_oneof![Just("exception".to_owned()), text()];
    (any::<u64>(), name, attributes(), 0_u32..3).prop_map(|(time_unix_nano, name, attributes, dropped)| Event {
        time_unix_nano,
        name,
        attributes,
        dropped_attributes_count: dropped,
    })
}

fn link() -> impl Strategy<Value = Link> {
    (id(16), id(8), text(), attributes(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count: 1,
            flags,
        },
    )
}

fn span() -> impl Strategy<Value = Span> {
    let identity = (id(16), id(8), prop_oneof![Just(Vec::new()), id(8)], text(), any::<u32>());
    let body = (text(), 0..7_i32, time(), time(), attributes(), 0_u32..3);
    let status = prop::option::of((text(), 0..3_i32).prop_map(|(message, code)| Status { message, code }));
    let lists = (vec(event(), 0..3), vec(link(), 0..3), status);
    (identity, body, lists).prop_map(|(identity, body, lists)| {
        let (trace_id, span_id, parent_span_id, trace_state, flags) = identity;
        let (name, kind, start_time_unix_nano, end_time_unix_nano, attributes, dropped) = body;
        let (events, links, status) = lists;
        Span {
            trace_id,
            span_id,
            trace_state,
            parent_span_id,
            flags,
            name,
            kind,
            start_time_unix_nano,
            end_time_unix_nano,
            attributes,
            dropped_attributes_count: dropped,
            events,
            dropped_events_count: dropped,
            links,
            dropped_links_count: dropped,
            status,
        }
    })
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let times = (time(), time(), 0..25_i32, text());
    let body = (prop::option::of(value()), attributes(), 0_u32..3, any::<u32>());
    (times, body, id(16), id(8), text()).prop_map(|(times, body, trace_id, span_id, event_name)| LogRecord {
        time_unix_nano: times.0,
        observed_time_unix_nano: times.1,
        severity_number: times.2,
        severity_text: times.3,
        body: body.0,
        attributes: body.1,
        dropped_attributes_count: body.2,
        flags: body.3,
        trace_id,
        span_id,
        event_name,
    })
}

pub fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (scope(), vec(span(), 0..4), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    });
    let resource = (resource(), vec(scope, 0..3), text())
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    vec(resource, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope = (scope(), vec(log_record(), 0..4), text()).prop_map(|(scope, log_records, schema_url)| ScopeLogs {
        scope,
        log_records,
        schema_url,
    });
    let resource = (resource(), vec(scope, 0..3), text()).prop_map(|(resource, scope_logs, schema_url)| ResourceLogs {
        resource,
        scope_logs,
        schema_url,
    });
    vec(resource, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}
