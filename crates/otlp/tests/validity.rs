//! What odd data becomes, the same through protobuf and JSON, and what of it comes back out (checks 12, 62 to 70).

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt32Type};
use model::attribute::{self, Value};
use model::view::text_at;
use model::{Signal, UnixNanos, signal};
use otlp::message::export_response;
use otlp::{Arrival, DecodeError, Decoded, Format, decode, encode};
use proptest::prelude::*;
use prost::Message;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::trace::v1::span::Link;
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};

const NOW: i64 = 1_764_000_000_000_000_000;
const DAY: u64 = 86_400_000_000_000;

fn span() -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        start_time_unix_nano: NOW as u64,
        end_time_unix_nano: NOW as u64 + 5,
        ..Span::default()
    }
}

fn spans(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

fn logs(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

fn read(signal: Signal, format: Format, payload: &[u8]) -> Result<Decoded, DecodeError> {
    decode(signal, format, payload, &Arrival { received_at: UnixNanos(NOW), ..Arrival::default() })
}

/// Reads a message in both encodings, which must agree, and once more after the way out through each.
fn both<M: Message + serde::Serialize>(signal: Signal, message: &M) -> Decoded {
    let direct = read(signal, Format::Protobuf, &message.encode_to_vec()).expect("valid protobuf");
    let json = serde_json::to_vec(message).expect("writes");
    let by_json = read(signal, Format::Json, &json).expect("valid JSON");
    assert_eq!(by_json.records, direct.records, "JSON and protobuf");
    assert_eq!((by_json.rejected, &by_json.message), (direct.rejected, &direct.message));
    for format in [Format::Protobuf, Format::Json] {
        let out = encode(signal, format, &direct.records).expect("own rows");
        assert_eq!(read(signal, format, &out).expect("own export").records, direct.records, "{format:?} and back");
    }
    direct
}

fn pair(key: &str, kind: Option<Kind>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: kind }), key_strindex: 0 }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Some(Kind::StringValue(value.to_owned())))
}

fn rest(batch: &RecordBatch, row: usize) -> Vec<(String, Value<'static>)> {
    let list = batch.column_by_name(signal::ATTRS_REST).expect("in the schema").as_list::<i32>().value(row);
    let entries = list.as_string::<i32>().iter().flatten().filter_map(attribute::parse_entry);
    entries.map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

fn cell<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    text_at(batch.column_by_name(column).expect("in the schema"), row)
}

fn starts(batch: &RecordBatch) -> Vec<i64> {
    let column = batch.column_by_name(signal::span::START_TIME).expect("in the schema");
    column.as_primitive::<TimestampNanosecondType>().values().to_vec()
}

proptest! {
    #[test]
    fn otlp_06_09_12_an_answer_is_partial_exactly_when_there_is_something_to_say(
        rejected in prop_oneof![Just(0_u64), 1_u64..1_000_000],
        text in prop_oneof![Just(String::new()), ".{1,40}", Just("ä".repeat(3_000_000))],
    ) {
        // the decoder never counts without a reason
        prop_assume!(rejected == 0 || !text.is_empty());
        for signal in Signal::ALL {
            let answer = export_response(signal, Format::Protobuf, rejected, &text);
            prop_assert!(answer.len() < 4 << 10);
            let told = ExportTraceServiceResponse::decode(answer.as_slice()).expect("the response message");
            let is_full = rejected == 0 && text.is_empty();
            prop_assert_eq!(told.partial_success.is_none(), is_full);
            if let Some(partial) = told.partial_success {
                prop_assert_eq!(partial.rejected_spans, rejected as i64);
                prop_assert!(!partial.error_message.is_empty() && text.starts_with(&partial.error_message));
            }
            let json = export_response(signal, Format::Json, rejected, &text);
            prop_assert!(json.len() < 8 << 10);
            let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
            prop_assert_eq!(json.get("partialSuccess").is_none(), is_full);
        }
    }
}

#[test]
fn otlp_50_58_62_attribute_values_of_every_kind_are_kept_and_come_back() {
    let any = |kind| AnyValue { value: Some(kind) };
    let mixed = Kind::ArrayValue(ArrayValue {
        values: vec![
            any(Kind::StringValue("a".to_owned())),
            any(Kind::IntValue(i64::MIN)),
            any(Kind::DoubleValue(0.1)),
            any(Kind::BoolValue(true)),
            any(Kind::BytesValue(vec![0, 255])),
            AnyValue { value: None },
            any(Kind::ArrayValue(ArrayValue { values: Vec::new() })),
        ],
    });
    let list = Kind::KvlistValue(KeyValueList {
        values: vec![
            pair("x", Some(Kind::IntValue(9_007_199_254_740_993))),
            pair("x", None),
            pair("", Some(mixed.clone())),
        ],
    });
    let attributes = vec![
        pair("empty", None),
        text("no text", ""),
        pair("bytes", Some(Kind::BytesValue(vec![0xfb, 0xff]))),
        pair("no bytes", Some(Kind::BytesValue(Vec::new()))),
        pair("int", Some(Kind::IntValue(i64::MAX))),
        pair("double", Some(Kind::DoubleValue(-0.0))),
        pair("bool", Some(Kind::BoolValue(false))),
        pair("mixed", Some(mixed)),
        pair("list", Some(list)),
        pair("", Some(Kind::IntValue(1))),
        text("", ""),
    ];
    let decoded = both(Signal::Spans, &spans(vec![Span { attributes: attributes.clone(), ..span() }]));
    assert_eq!((decoded.rejected, decoded.message.as_str()), (0, ""));
    assert_eq!(rest(&decoded.records, 0).len(), attributes.len(), "each is there");
    let out = encode(Signal::Spans, Format::Protobuf, &decoded.records).expect("own rows");
    let out = ExportTraceServiceRequest::decode(out.as_slice()).expect("protobuf");
    assert_eq!(out.resource_spans[0].scope_spans[0].spans[0].attributes, attributes, "as they were sent");
    let body = attributes[8].value.clone();
    let record = LogRecord { body, attributes, observed_time_unix_nano: 1, time_unix_nano: 1, ..Default::default() };
    both(Signal::Logs, &logs(vec![record]));
}

#[test]
fn otlp_64_a_repeated_attribute_is_kept_in_order_and_the_first_is_the_one_that_counts() {
    let attributes =
        vec![text("http.route", "/first"), text("http.route", "/second"), text("own", "first"), text("own", "second")];
    let decoded = both(Signal::Spans, &spans(vec![Span { attributes, ..span() }]));
    assert_eq!(cell(&decoded.records, "http.route", 0), Some("/first"), "a column holds the first");
    let others = [("http.route", "/second"), ("own", "first"), ("own", "second")];
    let others = others.map(|(key, value)| (key.to_owned(), Value::str(value)));
    assert_eq!(rest(&decoded.records, 0), others, "nothing is thrown away");
}

#[test]
fn otlp_65_flags_keep_all_their_bits() {
    let of = |flags| Span { flags, links: vec![Link { flags, ..Link::default() }], ..span() };
    // W3C flags; remote known; remote known and true; bits that mean nothing yet
    let flags = [0x01, 0x1_00, 0x3_01, 0xffff_ffff];
    let decoded = both(Signal::Spans, &spans(flags.map(of).to_vec()));
    let column = decoded.records.column_by_name(signal::span::FLAGS).expect("in the schema");
    assert_eq!(column.as_primitive::<UInt32Type>().values(), &flags);
    let links = decoded.records.column_by_name(signal::span::LINKS).expect("in the schema").as_binary::<i32>().clone();
    for (row, flags) in flags.into_iter().enumerate() {
        assert_eq!(otlp::decode_links(links.value(row))[0].flags, flags);
    }
    let record = LogRecord { flags: 0xffff_ff01, time_unix_nano: 1, ..LogRecord::default() };
    let decoded = both(Signal::Logs, &logs(vec![record]));
    let column = decoded.records.column_by_name(signal::log::FLAGS).expect("in the schema");
    assert_eq!(column.as_primitive::<UInt32Type>().values(), &[0xffff_ff01]);
}

#[test]
fn otlp_66_67_68_no_clock_is_judged_by_the_start_of_a_span() {
    let now = NOW as u64;
    let message = spans(vec![
        // began days ago and ended now: a long span, not a wrong clock
        Span { start_time_unix_nano: now - 3 * DAY, end_time_unix_nano: now, ..span() },
        // a clock two hours ahead, and one a year behind
        Span { start_time_unix_nano: now + DAY / 12, end_time_unix_nano: now + DAY / 12 + 5, ..span() },
        Span { start_time_unix_nano: now - 365 * DAY, end_time_unix_nano: now - 365 * DAY + 5, ..span() },
        // 1970 and the last moment of 2262 that can be said
        Span { start_time_unix_nano: 1, end_time_unix_nano: 2, ..span() },
        Span { start_time_unix_nano: i64::MAX as u64, end_time_unix_nano: i64::MAX as u64, ..span() },
        Span { start_time_unix_nano: now, end_time_unix_nano: now - 7, ..span() },
        Span { start_time_unix_nano: 1 << 63, ..span() },
        Span { start_time_unix_nano: u64::MAX, end_time_unix_nano: u64::MAX, ..span() },
    ]);
    let decoded = both(Signal::Spans, &message);
    assert_eq!(decoded.rejected, 2, "what no stored time can say");
    let expected = [NOW - 3 * DAY as i64, NOW + DAY as i64 / 12, NOW - 365 * DAY as i64, 1, i64::MAX, NOW];
    assert_eq!(starts(&decoded.records), expected, "true times");
    let durations = decoded.records.column_by_name(signal::span::DURATION_NANOS).expect("in the schema");
    assert_eq!(durations.as_primitive::<Int64Type>().values(), &[3 * DAY as i64, 5, 5, 1, 0, 0]);
    let backwards = (signal::span::END_BEFORE_START.to_owned(), Value::Int(7));
    assert_eq!(rest(&decoded.records, 5), [backwards], "an end before the start is marked");
}

#[test]
fn otlp_69_what_has_no_name_is_stored_as_unknown() {
    let bare = ResourceSpans {
        resource: None,
        scope_spans: vec![ScopeSpans { scope: None, spans: vec![span()], ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    let decoded = both(Signal::Spans, &ExportTraceServiceRequest { resource_spans: vec![bare] });
    assert_eq!(cell(&decoded.records, signal::SERVICE, 0), Some("unknown_service"));
    assert_eq!(cell(&decoded.records, signal::SCOPE_NAME, 0), None);
    assert_eq!(cell(&decoded.records, signal::span::NAME, 0), Some(""));
    let decoded = both(Signal::Logs, &logs(vec![LogRecord { time_unix_nano: 1, ..LogRecord::default() }]));
    assert_eq!(cell(&decoded.records, signal::SERVICE, 0), Some("unknown_service"));
}

#[test]
fn otlp_70_hostile_texts_come_back_as_they_were_sent() {
    let hostile = "\0 \u{202e}evil \u{1b}[31m \u{1e}\u{1f}\u{1c}\u{1d} <script> ${jndi:} {{7*7}} ";
    let large = hostile.repeat((1 << 20) / hostile.len() + 1);
    for sent in [hostile, &large] {
        let attributes = vec![text("note", sent), text("url.path", sent), text(&hostile.replace('\u{1c}', ""), sent)];
        let span = Span { name: sent.to_owned(), trace_state: sent.to_owned(), attributes, ..span() };
        let decoded = both(Signal::Spans, &spans(vec![span.clone()]));
        assert_eq!(cell(&decoded.records, signal::span::NAME, 0), Some(sent));
        let out = encode(Signal::Spans, Format::Protobuf, &decoded.records).expect("own rows");
        let out = ExportTraceServiceRequest::decode(out.as_slice()).expect("protobuf");
        let came_back = &out.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((&came_back.name, &came_back.trace_state), (&span.name, &span.trace_state));
        assert!(span.attributes.iter().all(|attribute| came_back.attributes.contains(attribute)));
        let body = Some(AnyValue { value: Some(Kind::StringValue(sent.to_owned())) });
        both(Signal::Logs, &logs(vec![LogRecord { body, time_unix_nano: 1, ..LogRecord::default() }]));
    }
}

/// A length-delimited field.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

/// A request with one span, in whose one event this KeyValue is.
fn with_event_pair(pair: &[u8]) -> Vec<u8> {
    let span = [field(0x0a, &[1; 16]), field(0x12, &[2; 8]), field(0x5a, &field(0x1a, pair))].concat();
    field(0x0a, &field(0x12, &field(0x12, &span)))
}

#[test]
fn what_another_field_takes_the_place_of_is_checked_too() {
    let (bad, good) = (field(0x0a, b"\xff"), field(0x0a, b"good"));
    let pairs = [
        // a key, a value, and an array inside a value: the last of each counts
        [bad.clone(), good.clone()].concat(),
        [field(0x12, &bad), field(0x12, &good)].concat(),
        field(0x12, &[field(0x2a, &field(0x0a, &bad)), good.clone()].concat()),
    ];
    for pair in pairs {
        let request = with_event_pair(&pair);
        let refused = decode(Signal::Spans, Format::Protobuf, &request, &Arrival::default());
        let error = refused.expect_err("is not text").to_string();
        assert!(error.contains("span.events.attributes") && error.contains("UTF-8"), "{error}");
    }
}

#[test]
fn otlp_20_what_another_field_takes_the_place_of_nests_no_deeper() {
    // lists of pairs that have two values, and arrays in values that have two: the first of each is nested on
    let lists = |inner: Vec<u8>| field(0x32, &field(0x0a, &[field(0x12, &inner), field(0x12, &[])].concat()));
    let arrays = |inner: Vec<u8>| [field(0x2a, &field(0x0a, &inner)), field(0x0a, b"good")].concat();
    for (levels, is_fine) in [(10, true), (30, false), (20_000, false)] {
        for nest in [&lists as &dyn Fn(Vec<u8>) -> Vec<u8>, &arrays] {
            let value = (0..levels).fold(field(0x0a, b"x"), |inner, _| nest(inner));
            let request = with_event_pair(&[field(0x12, &value), field(0x12, &[])].concat());
            let decoded = decode(Signal::Spans, Format::Protobuf, &request, &Arrival::default());
            assert_eq!(decoded.is_ok(), is_fine, "{levels} levels: {:?}", decoded.err());
        }
    }
}
