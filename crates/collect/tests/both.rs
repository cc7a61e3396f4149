//! What holds over gRPC and HTTP, in protobuf and JSON alike (checks 4 to 18, 24, 41).

mod house;

use std::time::Duration;

use collect::{Pressure, Settings};
use house::call::{TRACES, Told, WAYS, Way, framed, raw};
use house::{House, NOW, send, settings, span, traces};
use model::Signal;
use prost::Message as _;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, KeyValue};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::trace::v1::Span;

const UNAVAILABLE: i64 = 14;
const RESOURCE_EXHAUSTED: i64 = 8;

fn logs(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

/// Five spans, two of which can never be stored.
fn partly_wrong() -> ExportTraceServiceRequest {
    let mut message = traces((1..=5).map(span).collect());
    message.resource_spans[0].scope_spans[0].spans[2].trace_id = vec![0; 16];
    message.resource_spans[0].scope_spans[0].spans[4].parent_span_id = vec![1; 3];
    message
}

fn assert_full(told: &Told, way: Way) {
    assert_eq!((told.code, told.http, &told.partial), (0, 200, &None), "{way:?}");
}

/// Told to come back, with nothing that a client could take for a partial success.
fn assert_comes_back(told: &Told, way: Way) {
    let http = if way == Way::Grpc { 200 } else { 503 };
    assert_eq!((told.code, told.http, told.is_retry, &told.partial), (UNAVAILABLE, http, true, &None), "{way:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_01_08_09_compressed_or_not_the_rows_are_the_same_and_full_success_is_silent() {
    let house = House::open().await;
    let message = traces((1..=3).map(span).collect());
    for way in WAYS {
        let payload =
            if way == Way::Json { serde_json::to_vec(&message).expect("writes") } else { message.encode_to_vec() };
        for gzipped in [false, true] {
            assert_full(&house.tell_bytes(way, Signal::Spans, payload.clone(), gzipped).await, way);
        }
    }
    let batches = house.batches();
    assert_eq!(batches.len(), 6);
    assert!(batches.iter().all(|batch| batch.records == batches[0].records && batch.len() == 3));
    for way in WAYS {
        assert_full(&house.tell(way, Signal::Logs, &logs(vec![LogRecord::default()])).await, way);
        // envelopes around nothing
        assert_full(&house.tell(way, Signal::Spans, &traces(Vec::new())).await, way);
        assert_full(&house.tell(way, Signal::Logs, &logs(Vec::new())).await, way);
    }
    assert_eq!(house.wal.end().0, 9, "nothing to store is not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_04_memory_is_charged_by_the_inflated_size() {
    // room for one request of the largest size: 16 KiB and four times 1 MiB
    let tight = Settings { max_inflated_bytes: 1 << 20, max_in_flight_bytes: 0, ..settings() };
    let house = House::with(tight, None).await;
    let mut large = span(1);
    large.name = "x".repeat(900 << 10);
    let payload = traces(vec![large]).encode_to_vec();
    assert!(house::gzip(&payload).len() < 16 << 10, "a few kilobytes on the wire");
    house.gate.shut();
    let waiting = house.tell_bytes(Way::Grpc, Signal::Spans, payload.clone(), true);
    tokio::pin!(waiting);
    let refused = async {
        // the first is in the log, and keeps its share until it is answered
        while house.wal.end().0 == 0 {
            tokio::task::yield_now().await;
        }
        house.tell_bytes(Way::Protobuf, Signal::Spans, payload.clone(), true).await
    };
    let refused = tokio::select! {
        early = &mut waiting => panic!("answered before the log was: {early:?}"),
        refused = refused => refused,
    };
    assert_comes_back(&refused, Way::Protobuf);
    house.gate.open();
    assert_full(&waiting.await, Way::Grpc);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_06_answers_stay_small_whatever_there_is_to_say() {
    let house = House::open().await;
    let spans = (0..200_000_u32).map(|number| Span {
        trace_id: if number % 2 == 0 { Vec::new() } else { vec![1; 16] },
        name: "never to be stored".to_owned(),
        ..Span::default()
    });
    let message = traces(spans.collect());
    for way in WAYS {
        let told = house.tell(way, Signal::Spans, &message).await;
        let (rejected, text) = told.partial.expect("all of it is rejected");
        assert_eq!(rejected, 200_000, "{way:?}");
        assert!(!text.is_empty() && told.bytes < 4_096, "{way:?}: {} bytes", told.bytes);
    }
    let long = format!("/{}", "x".repeat(12_000));
    let refused = raw(&house, &long, &[], framed(0, b"")).await;
    assert_eq!(refused.code, "12");
    assert!(refused.bytes < 4_096, "{} bytes", refused.bytes);
    let refused = house.post(&long, &[("content-type", "application/json")], b"{}").await;
    assert_eq!(refused.status, 404);
    assert!(refused.body.len() < 4_096, "{} bytes", refused.body.len());
    assert_eq!(house.wal.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_10_12_59_60_partial_success_counts_exactly_and_says_why() {
    let house = House::open().await;
    for way in WAYS {
        let told = house.tell(way, Signal::Spans, &partly_wrong()).await;
        assert_eq!((told.code, told.http), (0, 200), "{way:?}");
        let (rejected, text) = told.partial.expect("partial");
        assert_eq!(rejected, 2, "{way:?}");
        assert!(text.contains("trace_id") && text.contains("parent_span_id"), "{text}");
        let record = LogRecord { time_unix_nano: u64::MAX, ..LogRecord::default() };
        let told = house.tell(way, Signal::Logs, &logs(vec![LogRecord::default(), record])).await;
        let (rejected, text) = told.partial.expect("partial");
        assert!(rejected == 1 && text.contains("time_unix_nano"), "{way:?}: {rejected} {text}");
    }
    assert_eq!(house.rows(), 3 * (3 + 1), "the rest is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_11_63_a_warning_rejects_nothing_and_has_a_text() {
    let house = House::open().await;
    let value = Some(AnyValue { value: Some(Kind::StringValueStrindex(3)) });
    let attributes = vec![KeyValue { key: "k".to_owned(), value, key_strindex: 0 }];
    let record = LogRecord { attributes: attributes.clone(), ..LogRecord::default() };
    let span = Span { attributes, ..span(1) };
    for way in WAYS {
        for told in [
            house.tell(way, Signal::Spans, &traces(vec![span.clone()])).await,
            house.tell(way, Signal::Logs, &logs(vec![record.clone()])).await,
        ] {
            let (rejected, text) = told.partial.expect("a warning");
            assert!(rejected == 0 && text.contains("string table"), "{way:?}: {rejected} {text}");
        }
    }
    assert_eq!(house.rows(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_13_39_what_could_be_stored_later_is_never_rejected() {
    let house = House::open().await;
    *house.pressure.lock().expect("not poisoned") = Pressure::Closed("memory is full");
    for way in WAYS {
        assert_comes_back(&house.tell(way, Signal::Spans, &partly_wrong()).await, way);
    }
    *house.pressure.lock().expect("not poisoned") = Pressure::Open;
    for way in WAYS {
        // the same spans are rejected each time: nothing about them would get better
        for _ in 0..2 {
            let told = house.tell(way, Signal::Spans, &partly_wrong()).await;
            assert_eq!(told.partial.map(|(rejected, _)| rejected), Some(2), "{way:?}");
        }
    }
    let stored = house.rows();
    let wal = house.wal.clone();
    tokio::task::spawn_blocking(move || wal.close()).await.expect("the log closes");
    for way in WAYS {
        assert_comes_back(&house.tell(way, Signal::Spans, &partly_wrong()).await, way);
    }
    assert_eq!(house.rows(), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_14_a_batch_is_one_frame_or_none() {
    let house = House::open().await;
    let mut message = traces(vec![span(1)]);
    for number in 2..=5 {
        message.resource_spans.extend(traces(vec![span(number), span(number)]).resource_spans);
    }
    for (number, way) in WAYS.into_iter().enumerate() {
        assert_full(&house.tell(way, Signal::Spans, &message).await, way);
        assert_eq!(house.wal.end().0, number as u64 + 1, "five resources, one frame");
    }
    let stored = house.rows();
    for way in WAYS {
        let mut payload =
            if way == Way::Json { serde_json::to_vec(&message).expect("writes") } else { message.encode_to_vec() };
        // everything but the last byte is right
        payload.pop();
        let told = house.tell_bytes(way, Signal::Spans, payload, false).await;
        assert_eq!((told.code, told.is_retry), (3, false), "{way:?}");
    }
    assert_eq!((house.wal.end().0, house.rows()), (3, stored), "an error stores nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_15_an_answer_comes_after_the_fsync_of_its_frame() {
    let house = House::open().await;
    for way in WAYS {
        for _ in 0..5 {
            let before = house.wal.fsyncs();
            assert_full(&house.tell(way, Signal::Spans, &traces(vec![span(1)])).await, way);
            assert!(house.wal.fsyncs() > before, "{way:?}: answered without an fsync");
        }
    }
    house.gate.shut();
    for way in WAYS {
        let message = traces(vec![span(1)]);
        let waiting = house.tell(way, Signal::Spans, &message);
        let early = tokio::time::timeout(Duration::from_millis(300), waiting).await;
        assert!(early.is_err(), "{way:?}: answered before the log was: {early:?}");
    }
    house.gate.open();
    assert_full(&house.tell(Way::Grpc, Signal::Spans, &traces(vec![span(1)])).await, Way::Grpc);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_16_27_47_a_request_that_is_not_remembered_is_told_as_the_same_rows_again() {
    let house = House::open().await;
    house.gate.shut();
    let message = traces((1..=3).map(span).collect());
    let body = framed(0, &message.encode_to_vec());
    let refused = raw(&house, TRACES, &[("grpc-timeout", "200m")], body.clone()).await;
    assert_eq!(refused.code, "4", "expired after the frame was written");
    house.gate.open();
    assert_eq!(raw(&house, TRACES, &[], body).await.code, "0");
    let batches = house.batches();
    assert_eq!(batches.len(), 2, "both copies are kept");
    assert_eq!(batches[0].records, batches[1].records, "what readers fold copies by");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_17_a_missing_or_wrong_key_is_told_for_good() {
    let house = House::open().await;
    let body = traces(vec![span(1)]).encode_to_vec();
    for key in [None, Some("nonsense"), Some("th_0000_1111")] {
        let mut headers = vec![("content-type", "application/x-protobuf")];
        headers.extend(key.map(|key| ("x-tracehound-key", key)));
        let answer = send(house.http, "POST", "/v1/traces", &headers, &body).await;
        assert_eq!((answer.status, answer.rpc_status().0, answer.header("retry-after")), (401, 16, ""));
    }
    // the house's own client adds the right bearer, which comes first
    let wrong = [("authorization", "Bearer th_0000_1111"), ("content-type", "application/x-protobuf")];
    let answer = send(house.http, "POST", "/v1/traces", &wrong, &body).await;
    assert_eq!((answer.status, answer.rpc_status().0), (401, 16));
    assert_eq!(house.wal.end().0, 0);
}

/// A length-delimited field, as a client of a later version of the protocol writes it.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

/// Fields that no version of the protocol has yet: one of each wire type.
fn unknown() -> Vec<u8> {
    let mut out = field(900, b"later");
    prost::encoding::encode_key(901, prost::encoding::WireType::Varint, &mut out);
    out.push(7);
    prost::encoding::encode_key(902, prost::encoding::WireType::SixtyFourBit, &mut out);
    out.extend([7; 8]);
    prost::encoding::encode_key(903, prost::encoding::WireType::ThirtyTwoBit, &mut out);
    out.extend([7; 4]);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_18_52_unknown_fields_are_ignored_at_every_level() {
    let house = House::open().await;
    let value = AnyValue { value: Some(Kind::StringValue("v".to_owned())) };
    let attribute = KeyValue { key: "k".to_owned(), value: Some(value.clone()), key_strindex: 0 };
    let plain = Span { attributes: vec![attribute], ..span(1) };
    assert_full(&house.tell(Way::Grpc, Signal::Spans, &traces(vec![plain])).await, Way::Grpc);

    let value = [unknown(), value.encode_to_vec(), unknown()].concat();
    let attribute = [unknown(), field(1, b"k"), field(2, &value), unknown()].concat();
    let inner = [unknown(), span(1).encode_to_vec(), field(9, &attribute), unknown()].concat();
    let scope = [unknown(), field(2, &inner), unknown()].concat();
    let resource = [unknown(), field(2, &scope), unknown()].concat();
    let request = [unknown(), field(1, &resource), unknown()].concat();
    for way in [Way::Grpc, Way::Protobuf] {
        assert_full(&house.tell_bytes(way, Signal::Spans, request.clone(), false).await, way);
    }
    let ids = r#""traceId":"01010101010101010101010101010101","spanId":"0101010101010101""#;
    let times = format!(r#""startTimeUnixNano":"{NOW}","endTimeUnixNano":"{}""#, NOW + 1_000);
    let later = r#""later":{"deep":[1,{"x":null}]}"#;
    let json = format!(
        r#"{{{later},"resourceSpans":[{{{later},"scopeSpans":[{{{later},"spans":[{{{later},{ids},{times},
        "name":"operation 1","attributes":[{{{later},"key":"k","value":{{{later},"stringValue":"v"}}}}]}}]}}]}}]}}"#
    );
    assert_full(&house.tell_bytes(Way::Json, Signal::Spans, json.into_bytes(), false).await, Way::Json);
    let batches = house.batches();
    assert_eq!(batches.len(), 4);
    assert!(batches.iter().all(|batch| batch.records == batches[0].records));
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_02_05_24_41_what_can_never_fit_is_told_for_good() {
    let house = House::with(Settings { max_inflated_bytes: 2 << 20, ..settings() }, None).await;
    let mut large = span(1);
    large.name = "x".repeat(2 << 20);
    let too_large = traces(vec![large]);
    // two bytes on the wire for a span: more of them than a request may hold
    let too_many = traces(vec![Span::default(); 300_000]);
    for way in WAYS {
        for message in [&too_large, &too_many] {
            let plain =
                if way == Way::Json { serde_json::to_vec(message).expect("writes") } else { message.encode_to_vec() };
            for gzipped in [false, true] {
                let told = house.tell_bytes(way, Signal::Spans, plain.clone(), gzipped).await;
                let http = if way == Way::Grpc { 200 } else { 413 };
                assert_eq!((told.code, told.http, told.is_retry), (RESOURCE_EXHAUSTED, http, false), "{way:?}");
                assert!(told.message.contains("limit") || told.message.contains("more than"), "{}", told.message);
            }
        }
    }
    assert_eq!(house.wal.end().0, 0);
    assert_eq!(Settings::loopback().max_inflated_bytes, 64 << 20, "the default that OTLP recommends");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_19_38_what_cannot_be_decoded_is_invalid_and_names_the_fault() {
    let house = House::open().await;
    let deep = [b"{\"resourceSpans\":".to_vec(), b"[".repeat(200_000)].concat();
    let wrong_utf8 = {
        let mut payload = traces(vec![Span { name: "ABCD".to_owned(), ..span(1) }]).encode_to_vec();
        let at = payload.windows(4).position(|window| window == b"ABCD").expect("the name is in there");
        payload[at] = 0xff;
        payload
    };
    let cases = [
        (Way::Grpc, vec![0xff; 3], "protobuf"),
        (Way::Protobuf, vec![0xff; 3], "protobuf"),
        (Way::Grpc, wrong_utf8.clone(), "span.name"),
        (Way::Protobuf, wrong_utf8, "span.name"),
        (Way::Json, deep, "JSON"),
        (Way::Json, br#"{"resourceSpans":7}"#.to_vec(), "resourceSpans"),
    ];
    for (way, payload, text) in cases {
        for gzipped in [false, true] {
            let told = house.tell_bytes(way, Signal::Spans, payload.clone(), gzipped).await;
            let http = if way == Way::Grpc { 200 } else { 400 };
            assert_eq!((told.code, told.http, told.is_retry), (3, http, false), "{way:?} {text}");
            assert!(told.message.contains(text), "{:?} does not name {text:?}", told.message);
        }
    }
    assert_eq!(house.wal.end().0, 0);
}
