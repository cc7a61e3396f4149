//! What single fields become, what is refused, and where the limits are.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use model::attribute::{self, Value};
use model::signal::span::END_BEFORE_START;
use model::view::text_at;
use model::{Signal, UnixNanos, signal};
use otlp::{Arrival, DecodeError, Decoded, Format, decode, decode_events, decode_links};
use prost::Message;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::resource::v1::Resource;
use proto::trace::v1::span::{Event, Link};
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};

const RECEIVED: i64 = 1_764_000_000_000_000_000;

fn pair(key: &str, kind: Kind) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(kind) }), key_strindex: 0 }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Kind::StringValue(value.to_owned()))
}

fn span() -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "GET /".to_owned(),
        start_time_unix_nano: RECEIVED as u64,
        end_time_unix_nano: RECEIVED as u64 + 5,
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

fn read(request: &ExportTraceServiceRequest) -> Result<Decoded, DecodeError> {
    let arrival = Arrival { received_at: UnixNanos(RECEIVED), key_id: Some("k1".into()), ..Arrival::default() };
    decode(Signal::Spans, Format::Protobuf, &request.encode_to_vec(), &arrival)
}

fn rows(spans: Vec<Span>) -> RecordBatch {
    read(&request(spans)).expect("valid").records
}

fn read_logs(records: Vec<LogRecord>) -> Decoded {
    let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
    let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    let arrival = Arrival { received_at: UnixNanos(RECEIVED), key_id: None, ..Arrival::default() };
    decode(Signal::Logs, Format::Protobuf, &request.encode_to_vec(), &arrival).expect("valid")
}

fn cell<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    text_at(batch.column_by_name(column).expect("in the schema"), row)
}

fn rest(batch: &RecordBatch, row: usize) -> Vec<(String, Value<'static>)> {
    let list = batch.column_by_name(signal::ATTRS_REST).expect("in the schema").as_list::<i32>().value(row);
    let entries = list.as_string::<i32>().iter().flatten().filter_map(attribute::parse_entry);
    entries.map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

fn nanos(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    batch.column_by_name(column).expect("in the schema").as_primitive::<TimestampNanosecondType>().value(row)
}

#[test]
fn attributes_go_to_their_column_or_to_the_rest() {
    let batch = rows(vec![Span {
        attributes: vec![
            text("http.route", "/a"),
            pair("http.response.status_code", Kind::IntValue(404)),
            text("http.response.status_code", "later and of another type"),
            text("http.route", "second of its key"),
            pair("user.id", Kind::IntValue(7)),
            text("own", "x\u{1f}y"),
            text("auth.key_id", "forged"),
            pair("auth.service_verified", Kind::BoolValue(true)),
        ],
        ..span()
    }]);
    assert_eq!(cell(&batch, "http.route", 0), Some("/a"));
    let status = batch.column_by_name("http.response.status_code").expect("promoted").as_primitive::<Int64Type>();
    assert_eq!(status.value(0), 404);
    assert_eq!(cell(&batch, "user.id", 0), None);
    let expected = vec![
        ("http.response.status_code".to_owned(), Value::str("later and of another type")),
        ("http.route".to_owned(), Value::str("second of its key")),
        ("user.id".to_owned(), Value::Int(7)),
        ("own".to_owned(), Value::str("x\u{1f}y")),
    ];
    assert_eq!(rest(&batch, 0), expected);
    assert_eq!(cell(&batch, signal::KEY_ID, 0), Some("k1"), "the server's word, not the client's");
}

#[test]
fn the_server_says_whether_the_credential_lists_the_service() {
    let signed_as = |names: &[&str]| {
        Some(Resource {
            attributes: names.iter().map(|name| text("service.name", name)).collect(),
            ..Resource::default()
        })
    };
    let mut message = request(vec![span()]);
    for names in [&["cart"][..], &["payment", "cart"], &["cart", "payment"], &[""]] {
        message.resource_spans.push(ResourceSpans { resource: signed_as(names), ..message.resource_spans[0].clone() });
    }
    let read = |services: Option<&[&str]>| {
        let services = services.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let arrival =
            Arrival { received_at: UnixNanos(RECEIVED), key_id: Some("k1".into()), services, ..Arrival::default() };
        let decoded = decode(Signal::Spans, Format::Protobuf, &message.encode_to_vec(), &arrival).expect("valid");
        let column =
            decoded.records.column_by_name(signal::SERVICE_VERIFIED).expect("in the schema").as_boolean().clone();
        column.iter().collect::<Vec<_>>()
    };
    let is = Some;
    assert_eq!(read(None), [None; 5], "a credential that lists none says nothing");
    assert_eq!(
        read(Some(&["shop", "cart"])),
        [is(false), is(true), is(false), is(true), is(false)],
        "the first name counts"
    );
    assert_eq!(read(Some(&["unknown_service"])), [is(true), is(false), is(false), is(false), is(true)]);
}

#[test]
fn no_client_forges_a_name_that_is_the_servers_own() {
    let forged = || {
        let names =
            [signal::KEY_ID, signal::SERVICE_VERIFIED, END_BEFORE_START, attribute::SCHEMA_URL, attribute::DROPPED];
        let mut attributes: Vec<_> = names.map(|name| pair(name, Kind::IntValue(5))).into();
        attributes.push(text("own", "kept"));
        attributes
    };
    let mut message = request(vec![
        Span { end_time_unix_nano: RECEIVED as u64, attributes: forged(), ..span() },
        Span { end_time_unix_nano: RECEIVED as u64 - 7, attributes: forged(), ..span() },
    ]);
    let around = &mut message.resource_spans[0];
    around.resource = Some(Resource { attributes: forged(), ..Resource::default() });
    around.scope_spans[0].scope = Some(InstrumentationScope { attributes: forged(), ..Default::default() });
    let batch = read(&message).expect("valid").records;
    let own = ("own".to_owned(), Value::str("kept"));
    assert_eq!(rest(&batch, 0), std::slice::from_ref(&own));
    assert_eq!(rest(&batch, 1), [own, (END_BEFORE_START.to_owned(), Value::Int(7))], "the server's mark is there");
    for column in [signal::RESOURCE, signal::SCOPE] {
        let list = cell(&batch, column, 0).expect("has an attribute");
        assert_eq!(attribute::parse_list(list).count(), 1, "{column}: {list:?}");
    }
    // what is written back says what the client said of its times
    let encoded = otlp::encode(Signal::Spans, Format::Protobuf, &batch).expect("follows the schema");
    let written = ExportTraceServiceRequest::decode(encoded.as_slice()).expect("OTLP");
    let written = &written.resource_spans[0].scope_spans[0].spans;
    let ends: Vec<_> = written.iter().map(|span| span.end_time_unix_nano as i64 - RECEIVED).collect();
    assert_eq!(ends, [0, -7]);
    assert!(written.iter().all(|span| span.attributes.len() == 1));
}

#[test]
fn resources_are_interned_and_name_the_service() {
    let resource = |name: &str| Some(Resource { attributes: vec![text("service.name", name)], ..Resource::default() });
    let mut message = request(vec![span(), span()]);
    message.resource_spans[0].resource = resource("shop");
    message.resource_spans[0].schema_url = "https://example.test/1".to_owned();
    let mut unnamed = request(vec![span()]).resource_spans;
    unnamed[0].resource = resource("");
    message.resource_spans.extend(unnamed);
    message.resource_spans.push(message.resource_spans[0].clone());
    let batch = read(&message).expect("valid").records;
    let services: Vec<_> = (0..5).map(|row| cell(&batch, signal::SERVICE, row).unwrap_or("null")).collect();
    assert_eq!(services, ["shop", "shop", "unknown_service", "shop", "shop"]);
    let column = batch.column_by_name(signal::RESOURCE).expect("in the schema").as_any_dictionary();
    assert_eq!(column.values().len(), 2, "two distinct resources");
    let list = cell(&batch, signal::RESOURCE, 0).expect("never null");
    assert_eq!(attribute::find_in_list(list, attribute::SCHEMA_URL), Some(Value::str("https://example.test/1")));
}

#[test]
fn otlp_59_60_a_span_that_can_never_be_stored_is_counted_and_the_rest_kept() {
    let spans = vec![
        span(),
        Span { trace_id: vec![0; 16], ..span() },
        Span { trace_id: vec![1; 15], ..span() },
        Span { span_id: Vec::new(), ..span() },
        Span { parent_span_id: vec![1; 7], ..span() },
        Span { parent_span_id: vec![0; 8], ..span() },
        Span { start_time_unix_nano: u64::MAX, ..span() },
        Span { end_time_unix_nano: 1 << 63, ..span() },
    ];
    let decoded = read(&request(spans)).expect("the request as a whole is valid");
    assert_eq!((decoded.records.num_rows(), decoded.rejected), (2, 6));
    assert_eq!(
        decoded.message,
        "6 of 8 spans can never be stored: trace_id must be 16 bytes and not all zero (2), span_id must be 8 bytes \
         and not all zero (1), parent_span_id must be empty or 8 bytes (1), start_time_unix_nano lies past the year \
         2262 (1), end_time_unix_nano lies past the year 2262 (1); the first is spans[1] of scope 0 of resource 0"
    );
    let parent = decoded.records.column_by_name(signal::span::PARENT_SPAN_ID).expect("in the schema");
    assert!(parent.is_null(1), "an all-zero parent is no parent");
}

#[test]
fn otlp_66_67_times_are_stored_where_they_can_be_found() {
    let start = RECEIVED as u64;
    let batch = rows(vec![
        Span { end_time_unix_nano: start - 30, ..span() },
        Span { start_time_unix_nano: 0, end_time_unix_nano: start + 9, ..span() },
        Span { start_time_unix_nano: 0, end_time_unix_nano: 0, ..span() },
    ]);
    let starts: Vec<_> = (0..3).map(|row| nanos(&batch, signal::span::START_TIME, row) - RECEIVED).collect();
    assert_eq!(starts, [0, 9, 0]);
    let durations = batch.column_by_name(signal::span::DURATION_NANOS).expect("in the schema");
    assert_eq!(durations.as_primitive::<Int64Type>().values(), &[0, 0, 0]);
    assert_eq!(rest(&batch, 0), [(END_BEFORE_START.to_owned(), Value::Int(30))]);
}

#[test]
fn the_first_exception_has_columns_and_events_stay_whole() {
    let event =
        |name: &str, attributes| Event { time_unix_nano: 5, name: name.to_owned(), attributes, ..Event::default() };
    let events = vec![
        event("retry", vec![text("exception.type", "not an exception event")]),
        event("exception", vec![text("exception.type", "IoError"), text("exception.message", "disk")]),
        event("exception", vec![text("exception.type", "Second")]),
    ];
    let link = Link { trace_id: vec![3; 16], span_id: vec![4; 8], flags: 1, ..Link::default() };
    let batch = rows(vec![span(), Span { events, links: vec![link], ..span() }]);
    assert_eq!(cell(&batch, signal::span::EVENT_EXCEPTION_TYPE, 1), Some("IoError"));
    assert_eq!(cell(&batch, signal::span::EVENT_EXCEPTION_MESSAGE, 1), Some("disk"));
    let stored = |column: &str| batch.column_by_name(column).expect("in the schema").as_binary::<i32>().clone();
    assert!(stored(signal::span::EVENTS).is_null(0));
    let events = decode_events(stored(signal::span::EVENTS).value(1));
    assert_eq!(events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["retry", "exception", "exception"]);
    assert_eq!(events[1].attributes[0], ("exception.type".to_owned(), Value::str("IoError")));
    assert_eq!(events[1].time, UnixNanos(5));
    let links = decode_links(stored(signal::span::LINKS).value(1));
    assert_eq!((links.len(), links[0].flags), (1, 1));
    assert!(links[0].trace_id.is_some_and(|id| id.0 == [3; 16]));
    assert!(decode_events(b"\xff\xff").is_empty(), "damaged bytes read as nothing");
}

#[test]
fn log_records_keep_body_time_and_trace() {
    let body = |kind| Some(AnyValue { value: Some(kind) });
    let list = Kind::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(Kind::DoubleValue(2.0)) }] });
    let decoded = read_logs(vec![
        LogRecord { time_unix_nano: 7, observed_time_unix_nano: 8, trace_id: vec![1; 16], ..Default::default() },
        LogRecord {
            observed_time_unix_nano: 8,
            body: body(Kind::StringValue("hello".to_owned())),
            ..Default::default()
        },
        LogRecord { body: body(list), trace_id: vec![1; 3], severity_number: 17, ..Default::default() },
        LogRecord { time_unix_nano: u64::MAX, ..Default::default() },
    ]);
    assert_eq!(decoded.rejected, 1);
    assert!(decoded.message.contains("1 of 4 log_records") && decoded.message.contains("time_unix_nano"));
    let batch = decoded.records;
    let times: Vec<_> = (0..3).map(|row| nanos(&batch, signal::log::TIME, row)).collect();
    assert_eq!(times, [7, 8, RECEIVED]);
    let bodies: Vec<_> = (0..3).map(|row| cell(&batch, signal::log::BODY, row)).collect();
    assert_eq!(bodies, [None, Some("hello"), Some("[2.0]")]);
    let kinds: Vec<_> = (0..3).map(|row| cell(&batch, signal::log::BODY_TYPE, row)).collect();
    assert_eq!(kinds, [None, Some("s"), Some("j")]);
    let trace = batch.column_by_name(signal::TRACE_ID).expect("in the schema");
    assert!(trace.is_valid(0) && trace.is_null(1) && trace.is_null(2));
    assert_eq!(cell(&batch, signal::KEY_ID, 0), None);
}

#[test]
fn otlp_63_references_into_a_string_table_are_absent_and_told() {
    let attribute = pair("k", Kind::StringValueStrindex(3));
    let decoded = read(&request(vec![Span { attributes: vec![attribute], ..span() }])).expect("no fault");
    assert_eq!(decoded.rejected, 0);
    assert!(decoded.message.contains("string table"), "{}", decoded.message);
    assert_eq!(rest(&decoded.records, 0), [("k".to_owned(), Value::Empty)]);
}

#[test]
fn otlp_20_57_values_nest_twenty_levels_and_no_more() {
    let nested = |levels: usize| {
        let mut kind = Kind::IntValue(1);
        for _ in 1..levels {
            kind = Kind::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(kind) }] });
        }
        request(vec![Span { attributes: vec![pair("deep", kind)], ..span() }])
    };
    assert!(read(&nested(20)).is_ok());
    assert_eq!(read(&nested(21)).map(|_| ()), Err(DecodeError::TooDeep { field: "span.attributes" }));
    let json = |levels: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels - 1);
        let close = "]}}".repeat(levels - 1);
        let value = format!("{open}{{\"intValue\":1}}{close}");
        let ids = r#""traceId":"01010101010101010101010101010101","spanId":"0202020202020202""#;
        let span = format!(r#"{{{ids},"attributes":[{{"key":"deep","value":{value}}}]}}"#);
        let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
        let arrival = Arrival { received_at: UnixNanos(RECEIVED), key_id: None, ..Arrival::default() };
        decode(Signal::Spans, Format::Json, text.as_bytes(), &arrival).map(|decoded| decoded.records.num_rows())
    };
    assert_eq!(json(20), Ok(1));
    assert_eq!(json(21), Err(DecodeError::TooDeep { field: "span.attributes" }));
    assert!(json(10_000).is_err());
    assert!(matches!(read(&nested(2_000)), Err(DecodeError::TooDeep { .. })));
}

fn arrival() -> Arrival {
    Arrival { received_at: UnixNanos(RECEIVED), key_id: None, ..Arrival::default() }
}

#[test]
fn a_flood_of_empty_spans_is_refused_before_it_takes_memory() {
    // two bytes on the wire for a span: 16 MiB hold eight million
    let mut scope = Vec::new();
    for _ in 0..8 << 20 {
        scope.extend([0x12, 0x00]);
    }
    let wrap = |inner: &[u8]| {
        let mut outer = Vec::new();
        prost::encoding::encode_key(2, prost::encoding::WireType::LengthDelimited, &mut outer);
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    };
    let mut payload = wrap(&wrap(&scope));
    payload[0] = 0x0a;
    let refused = decode(Signal::Spans, Format::Protobuf, &payload, &arrival());
    assert_eq!(refused.map(|_| ()), Err(DecodeError::TooManyEvents));
}

#[test]
fn otlp_70_hostile_texts_survive_and_bad_utf8_is_refused() {
    let hostile = "\0 \u{202e}evil \u{1b}[31m \u{1e}\u{1f}".repeat(30_000);
    let attributes = vec![text("note", &hostile), text("url.path", &hostile)];
    let batch = rows(vec![Span { attributes, name: hostile.clone(), ..span() }]);
    assert_eq!(cell(&batch, signal::span::NAME, 0), Some(hostile.as_str()));
    assert_eq!(cell(&batch, "url.path", 0), Some(hostile.as_str()));
    assert_eq!(rest(&batch, 0), [("note".to_owned(), Value::str(&hostile))]);
    let mut payload = request(vec![Span { name: "ABCD".to_owned(), ..span() }]).encode_to_vec();
    let at = payload.windows(4).position(|window| window == b"ABCD").expect("the name is in there");
    payload[at] = 0xff;
    let refused = decode(Signal::Spans, Format::Protobuf, &payload, &arrival());
    let expected = DecodeError::Protobuf { field: "span.name", problem: "not valid UTF-8" };
    assert_eq!(refused.map(|_| ()), Err(expected));
}

#[test]
fn otlp_07_08_empty_requests_and_envelopes_are_no_fault() {
    for (format, payload) in [(Format::Protobuf, &b""[..]), (Format::Json, b""), (Format::Json, b"{}")] {
        for signal in Signal::ALL {
            let decoded = decode(signal, format, payload, &arrival()).expect("empty is fine");
            assert_eq!(decoded.records.schema(), signal.decoded_schema());
            assert_eq!((decoded.records.num_rows(), decoded.rejected, decoded.message.as_str()), (0, 0, ""));
        }
    }
    assert_eq!(read(&request(Vec::new())).expect("fine").records.num_rows(), 0);
}

#[test]
fn otlp_64_a_repeated_value_goes_into_its_column_where_it_is_the_first() {
    let status = |code| pair("http.response.status_code", Kind::IntValue(code));
    let spans = [vec![status(200), status(404)], vec![status(404)], vec![status(404), status(200)]];
    let batch = rows(spans.map(|attributes| Span { attributes, ..span() }).into());
    let codes = batch.column_by_name("http.response.status_code").expect("promoted").as_primitive::<Int64Type>();
    assert_eq!(codes.iter().collect::<Vec<_>>(), [Some(200), Some(404), Some(404)]);
    assert_eq!([0, 1, 2].map(|row| rest(&batch, row).len()), [1, 0, 1]);
}

#[test]
fn otlp_64_what_follows_from_a_repeated_attribute_is_what_its_column_says() {
    let status = |kind| pair("http.response.status_code", kind);
    let denied = || status(Kind::IntValue(403));
    let odd = || status(Kind::StringValue("401".into()));
    let orders = [vec![odd(), denied()], vec![denied(), odd()], vec![denied(), status(Kind::IntValue(401))]];
    for attributes in orders {
        let batch = rows(vec![Span { kind: 2, attributes, ..span() }]);
        let again = otlp::encode(Signal::Spans, Format::Protobuf, &batch).expect("own rows");
        let again = decode(Signal::Spans, Format::Protobuf, &again, &arrival()).expect("own export").records;
        for batch in [&batch, &again] {
            assert_eq!(cell(batch, "auth.outcome", 0), Some("denied"));
        }
    }
}

#[test]
fn what_follows_from_an_event_has_columns_and_does_not_go_back_to_the_client() {
    let refused = Span {
        kind: 2,
        attributes: vec![
            pair("http.status_code", Kind::IntValue(401)),
            text("network.peer.address", "10.0.0.1"),
            text("http.request.header.x-forwarded-for", "1.1.1.1, 203.0.113.9"),
        ],
        ..span()
    };
    // here the sender wrote what it knows: a proxy as the client, and an outcome
    let told = Span {
        kind: 2,
        attributes: vec![
            text("client.address", "10.0.0.2"),
            text("http.request.header.x-forwarded-for", "198.51.100.7"),
            pair("http.status_code", Kind::IntValue(403)),
            text("auth.outcome", "failure"),
        ],
        ..span()
    };
    let arrival = Arrival {
        received_at: UnixNanos(RECEIVED),
        key_id: None,
        services: None,
        trusted_proxies: ["10.0.0.0/8".parse().expect("a network")].into(),
    };
    let sent = request(vec![refused, told, Span { kind: 2, ..span() }]);
    let batch = decode(Signal::Spans, Format::Protobuf, &sent.encode_to_vec(), &arrival).expect("valid").records;
    let column = |name| (0..3).map(|row| cell(&batch, name, row)).collect::<Vec<_>>();
    assert_eq!(column("auth.outcome"), [Some("failure"), Some("failure"), None]);
    assert_eq!(column("client.address"), [Some("203.0.113.9"), Some("198.51.100.7"), None]);

    let back = otlp::encode(Signal::Spans, Format::Protobuf, &batch).expect("own rows");
    let back = ExportTraceServiceRequest::decode(back.as_slice()).expect("valid");
    let attributes = |request: &ExportTraceServiceRequest, row: usize| {
        let mut found = request.resource_spans[0].scope_spans[0].spans[row].attributes.clone();
        found.sort_by(|left, right| left.key.cmp(&right.key));
        found
    };
    for row in 0..3 {
        assert_eq!(attributes(&back, row), attributes(&sent, row), "row {row}");
    }
    let without = decode(Signal::Spans, Format::Protobuf, &sent.encode_to_vec(), &Arrival::default());
    let without = without.expect("valid").records;
    assert_eq!(cell(&without, "client.address", 0), None, "nobody is trusted unless the settings say so");
}

#[test]
fn a_log_line_of_a_known_program_says_how_a_login_ended() {
    let line = |body: &str| LogRecord {
        body: Some(AnyValue { value: Some(Kind::StringValue(body.to_owned())) }),
        ..LogRecord::default()
    };
    let failed = "Failed password for invalid user admin from 203.0.113.9 port 52140 ssh2";
    let batch =
        read_logs(vec![line(failed), line("Accepted password for bob from 10.1.1.1 port 4 ssh2"), line("hello")]);
    let found: Vec<_> = (0..3).map(|row| cell(&batch.records, "auth.outcome", row)).collect();
    assert_eq!(found, [Some("failure"), Some("success"), None]);
}
