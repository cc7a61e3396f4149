//! OTLP over HTTP: what is taken, what is refused, and how it is told (checks 34 to 47).

mod house;

use collect::{Pressure, Settings};
use house::{DEADLINE, House, gzip, send, settings, span, traces, zstandard};
use model::Signal;
use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceResponse;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const ZSTD: (&str, &str) = ("content-encoding", "zstd");

fn json_of(spans: u8) -> Vec<u8> {
    serde_json::to_vec(&traces((1..=spans).map(span).collect())).expect("writes")
}

fn protobuf_of(spans: u8) -> Vec<u8> {
    traces((1..=spans).map(span).collect()).encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_01_09_35_36_every_encoding_gives_the_same_rows() {
    let house = House::open().await;
    let (protobuf, json) = (protobuf_of(3), json_of(3));
    let variants: [(&[(&str, &str)], Vec<u8>); 6] = [
        (&[PROTOBUF], protobuf.clone()),
        (&[PROTOBUF, GZIP], gzip(&protobuf)),
        (&[PROTOBUF, ZSTD], zstandard(&protobuf)),
        (&[JSON], json.clone()),
        (&[JSON, GZIP], gzip(&json)),
        (&[JSON, ZSTD], zstandard(&json)),
    ];
    for (headers, body) in &variants {
        let answer = house.post("/v1/traces", headers, body).await;
        assert_eq!(answer.status, 200, "{headers:?}");
        if headers[0] == PROTOBUF {
            assert_eq!(answer.header("content-type"), "application/x-protobuf");
            let response = ExportTraceServiceResponse::decode(answer.body.as_slice()).expect("the response message");
            assert_eq!(response.partial_success, None, "otlp_09: unset on full success");
        } else {
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.json(), serde_json::json!({}));
        }
    }
    let batches = house.batches();
    assert_eq!(batches.len(), variants.len());
    assert!(batches.iter().all(|batch| batch.records == batches[0].records && batch.len() == 3));
    assert!(batches.iter().all(|batch| batch.signal == Signal::Spans && batch.tenant.as_str() == "default"));
    let logs = house.post("/v1/logs", &[JSON], br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#).await;
    assert_eq!(logs.status, 200);
    assert_eq!(house.batches().last().map(|batch| batch.signal), Some(Signal::Logs));
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_10_partial_success_counts_exactly_and_stores_the_rest() {
    let house = House::open().await;
    let mut message = traces((1..=5).map(span).collect());
    message.resource_spans[0].scope_spans[0].spans[2].trace_id = vec![0; 16];
    message.resource_spans[0].scope_spans[0].spans[4].parent_span_id = vec![1; 3];
    let answer = house.post("/v1/traces", &[JSON], &serde_json::to_vec(&message).expect("writes")).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "2");
    assert!(partial["errorMessage"].as_str().is_some_and(|text| text.contains("trace_id") && text.contains("parent")));
    let answer = house.post("/v1/traces", &[PROTOBUF], &message.encode_to_vec()).await;
    let response = ExportTraceServiceResponse::decode(answer.body.as_slice()).expect("the response message");
    assert_eq!(response.partial_success.map(|partial| partial.rejected_spans), Some(2));
    assert_eq!(house.rows(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_07_08_09_what_holds_no_event_to_store_appends_nothing() {
    let house = House::open().await;
    for body in [&b""[..], b"{}", br#"{"resourceSpans":[{"scopeSpans":[{}]}]}"#] {
        let answer = house.post("/v1/traces", &[JSON], body).await;
        assert_eq!((answer.status, answer.json()), (200, serde_json::json!({})));
    }
    assert_eq!(house.post("/v1/traces", &[PROTOBUF], b"").await.status, 200);
    assert_eq!(house.post("/v1/traces", &[PROTOBUF, GZIP], b"").await.status, 200);
    let mut rejected = span(1);
    rejected.span_id.clear();
    let answer = house.post("/v1/traces", &[PROTOBUF], &traces(vec![rejected]).encode_to_vec()).await;
    let response = ExportTraceServiceResponse::decode(answer.body.as_slice()).expect("the response message");
    assert_eq!(response.partial_success.map(|partial| partial.rejected_spans), Some(1));
    assert_eq!(house.wal.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_34_35_36_37_43_refusals_have_their_status_and_body() {
    let house = House::open().await;
    let unimplemented = 12;
    let cases = [
        ("/v1/metrics", vec![JSON], 404, unimplemented, "metrics are not stored"),
        ("/v1/metrics", vec![PROTOBUF], 404, unimplemented, "metrics are not stored"),
        ("/nowhere", vec![JSON], 404, unimplemented, "/nowhere"),
        ("/v1/traces", vec![("content-type", "text/plain")], 415, unimplemented, "text/plain"),
        ("/v1/traces", vec![], 415, unimplemented, "content type"),
        ("/v1/traces", vec![JSON, ("content-encoding", "br")], 415, unimplemented, "\"br\""),
        ("/v1/traces", vec![PROTOBUF, ("content-encoding", "gzip, gzip")], 415, unimplemented, "gzip, gzip"),
        ("/v1/traces", vec![PROTOBUF, GZIP, GZIP], 415, unimplemented, "gzip"),
    ];
    for (path, headers, status, code, text) in cases {
        let answer = house.post(path, &headers, b"{}").await;
        assert_eq!(answer.status, status, "{path} {headers:?}");
        let (got_code, message) = answer.rpc_status();
        assert_eq!(got_code, code, "{path} {headers:?}");
        assert!(message.contains(text), "{message}");
        let media = if headers.contains(&PROTOBUF) { "application/x-protobuf" } else { "application/json" };
        assert_eq!(answer.header("content-type"), media, "{path} {headers:?}");
    }
    for path in ["/v1/traces", "/v1/logs"] {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = send(house.http, method, path, &[JSON], b"").await;
            assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method} {path}");
            assert_eq!(answer.rpc_status().0, unimplemented, "{method} {path}");
        }
    }
    assert_eq!(house.wal.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_19_37_38_42_malformed_bodies_are_told_what_is_wrong() {
    let house = House::open().await;
    let compressed = gzip(&protobuf_of(20));
    let truncated = compressed[..compressed.len() / 2].to_vec();
    let trailing = [&compressed[..], b"garbage"].concat();
    let cut = protobuf_of(1);
    let cut = cut[..cut.len() - 1].to_vec();
    let cases: [(&[(&str, &str)], Vec<u8>, &str); 9] = [
        (&[PROTOBUF], cut, "malformed protobuf in"),
        (&[PROTOBUF], b"{}".to_vec(), "malformed protobuf"),
        (&[PROTOBUF, GZIP], b"not gzip at all".to_vec(), "gzip"),
        (&[PROTOBUF, GZIP], truncated, "gzip"),
        (&[PROTOBUF, GZIP], trailing, "gzip"),
        (&[PROTOBUF, ZSTD], b"not zstd at all".to_vec(), "zstd"),
        (&[JSON], b"{\"resourceSpans\":".to_vec(), "malformed JSON"),
        (&[JSON], b"[]".to_vec(), "malformed JSON"),
        (&[JSON], br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#.to_vec(), "traceId"),
    ];
    for (headers, body, text) in cases {
        let answer = house.post("/v1/traces", headers, &body).await;
        assert_eq!(answer.status, 400, "{headers:?} {text}");
        let (code, message) = answer.rpc_status();
        assert_eq!(code, 3, "{message}");
        assert!(message.contains(text), "{message:?} does not name {text:?}");
        if headers[0] == JSON {
            let detail = &answer.json()["details"][0];
            assert_eq!(detail["@type"], "type.googleapis.com/google.rpc.BadRequest");
            assert_eq!(detail["fieldViolations"][0]["field"], "body");
        }
    }
    assert_eq!(house.wal.end().0, 0, "nothing of a malformed request is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_42_gzip_of_several_members_is_read_to_the_end() {
    let house = House::open().await;
    let body = protobuf_of(4);
    let (head, tail) = body.split_at(body.len() / 2);
    let members = [gzip(head), gzip(tail)].concat();
    assert_eq!(house.post("/v1/traces", &[PROTOBUF, GZIP], &members).await.status, 200);
    assert_eq!(house.rows(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_02_05_36_37_41_44_oversize_is_413_however_it_comes() {
    let house = House::with(Settings { max_inflated_bytes: 1 << 20, ..settings() }, None).await;
    let zeros = vec![0; 64 << 20];
    let mut chunked = Vec::new();
    for _ in 0..40 {
        chunked.extend(format!("{:x}\r\n", 64 << 10).into_bytes());
        chunked.extend(vec![0; 64 << 10]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let cases: [(&[(&str, &str)], Vec<u8>); 4] = [
        (&[PROTOBUF], vec![0; (1 << 20) + 1]),
        (&[PROTOBUF, GZIP], gzip(&zeros)),
        (&[JSON, ZSTD], zstandard(&zeros)),
        (&[PROTOBUF, ("transfer-encoding", "chunked")], chunked),
    ];
    for (headers, body) in cases {
        let answer = house.post("/v1/traces", headers, &body).await;
        assert_eq!(answer.status, 413, "{headers:?}");
        assert_eq!(answer.rpc_status().0, 8);
        assert_eq!(answer.header("retry-after"), "", "it can never fit");
    }
    // the largest request that is allowed still passes
    let mut large = span(1);
    large.name = "x".repeat((1 << 20) - 100);
    let large = traces(vec![large]).encode_to_vec();
    assert!(large.len() <= 1 << 20);
    for (headers, body) in [(&[PROTOBUF][..], large.clone()), (&[PROTOBUF, GZIP][..], gzip(&large))] {
        assert_eq!(house.post("/v1/traces", headers, &body).await.status, 200, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_17_36_37_without_a_valid_key_nothing_comes_in() {
    let house = House::open().await;
    let wrong = format!("Bearer {}x", &house.key[..house.key.len() - 1]);
    let cases: [&[(&str, &str)]; 5] = [
        &[JSON],
        &[JSON, ("authorization", "Bearer nonsense")],
        &[JSON, ("authorization", &wrong)],
        &[JSON, ("authorization", "Basic dXNlcjpwYXNz")],
        &[JSON, ("x-tracehound-key", "nonsense")],
    ];
    for headers in cases {
        let answer = send(house.http, "POST", "/v1/traces", headers, &json_of(1)).await;
        assert_eq!((answer.status, answer.rpc_status().0), (401, 16), "{headers:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(house.wal.end().0, 0);
    let own_header = [JSON, ("x-tracehound-key", house.key.as_str())];
    assert_eq!(send(house.http, "POST", "/v1/traces", &own_header, &json_of(1)).await.status, 200);
    let beside_basic = [own_header[0], own_header[1], ("authorization", "Basic dXNlcjpwYXNz")];
    assert_eq!(send(house.http, "POST", "/v1/traces", &beside_basic, &json_of(1)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_door_needs_no_key_but_refuses_a_wrong_one() {
    let house = House::with(settings(), Some("default".parse().expect("a tenant"))).await;
    assert_eq!(send(house.http, "POST", "/v1/traces", &[JSON], &json_of(1)).await.status, 200);
    let wrong = [JSON, ("authorization", "Bearer nonsense")];
    assert_eq!(send(house.http, "POST", "/v1/traces", &wrong, &json_of(1)).await.status, 401);
    assert_eq!(house.rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_37_39_40_pressure_is_503_with_retry_after() {
    let house = House::open().await;
    *house.pressure.lock().expect("not poisoned") = Pressure::Closed("reading back the log");
    let answer = house.post("/v1/traces", &[JSON], &json_of(1)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.rpc_status(), (14, "not taking events for now: reading back the log".to_owned()));
    assert_eq!(answer.json()["details"][0]["retryDelay"], "1s");
    *house.pressure.lock().expect("not poisoned") = Pressure::Open;
    assert_eq!(house.post("/v1/traces", &[JSON], &json_of(1)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_room_and_is_served_when_there_is() {
    let house = House::open().await;
    let (full, body) = (Pressure::Closed("memory is full"), json_of(1));
    *house.pressure.lock().expect("not poisoned") = full;
    let waiting = house.post("/v1/traces", &[JSON], &body);
    tokio::pin!(waiting);
    tokio::select! {
        early = &mut waiting => panic!("answered while there was no room: {early:?}"),
        () = house.asked_under(full) => {}
    }
    assert_eq!(house.rows(), 0);
    *house.pressure.lock().expect("not poisoned") = Pressure::Open;
    assert_eq!(waiting.await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_admitted_looks_for_room_again_before_it_is_decoded() {
    let house = House::open().await;
    let full = Pressure::Closed("memory is full");
    // one that is decoded here and now, one that is decoded on the blocking pool
    for (number, length) in [(1, 10), (2, 200 << 10)] {
        let mut named = span(1);
        named.name = "x".repeat(length);
        let body = traces(vec![named]).encode_to_vec();
        let mut socket = TcpStream::connect(house.http).await.expect("the collector listens");
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-protobuf\r\nauthorization: Bearer {}\r\n\
             content-length: {}\r\n\r\n",
            house.key,
            body.len()
        );
        let before = house.asked.load(std::sync::atomic::Ordering::SeqCst);
        socket.write_all(head.as_bytes()).await.expect("sent");
        while house.asked.load(std::sync::atomic::Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
        *house.pressure.lock().expect("not poisoned") = full;
        socket.write_all(&body).await.expect("sent");
        tokio::time::timeout(DEADLINE, house.asked_under(full)).await.expect("it looks again");
        assert_eq!(house.rows(), number - 1, "nothing is decoded while there is no room");
        *house.pressure.lock().expect("not poisoned") = Pressure::Open;
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
        assert_eq!(house.rows(), number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_bytes_in_flight_are_refused_until_some_are_answered() {
    // room for one request of the largest size: 16 KiB and four times 256 KiB
    let tight = Settings { max_inflated_bytes: 256 << 10, max_in_flight_bytes: 0, ..settings() };
    let house = House::with(tight, None).await;
    let mut large = span(1);
    large.name = "x".repeat(200 << 10);
    let body = traces(vec![large]).encode_to_vec();
    house.gate.shut();
    let waiting = house.post("/v1/traces", &[PROTOBUF], &body);
    tokio::pin!(waiting);
    // the log holds the first one before the others are sent: of two at once, either might be refused
    let held = async {
        while house.wal.end().0 == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        early = &mut waiting => panic!("answered before the log was: {early:?}"),
        () = held => {}
    }
    let refused = async {
        loop {
            let answer = house.post("/v1/traces", &[PROTOBUF], &body).await;
            if answer.status == 503 {
                return answer;
            }
        }
    };
    let refused = tokio::select! {
        early = &mut waiting => panic!("answered before the log was: {early:?}"),
        refused = refused => refused,
    };
    assert_eq!((refused.rpc_status().0, refused.header("retry-after")), (14, "1"));
    house.gate.open();
    assert_eq!(waiting.await.status, 200);
    assert_eq!(house.post("/v1/traces", &[PROTOBUF], &body).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_46_a_slow_body_is_cut_and_others_do_not_notice() {
    let hasty = Settings { request_timeout: std::time::Duration::from_millis(400), ..settings() };
    let house = House::with(hasty, None).await;
    let mut slow = TcpStream::connect(house.http).await.expect("the collector listens");
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n\
         content-length: 100\r\n\r\n{{",
        house.key
    );
    slow.write_all(head.as_bytes()).await.expect("sent");
    assert_eq!(house.post("/v1/traces", &[JSON], &json_of(1)).await.status, 200);
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, slow.read_to_end(&mut answer)).await.expect("cut in time");
    read.expect("an answer");
    let answer = house::parse(&answer);
    assert_eq!((answer.status, answer.rpc_status().0), (503, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_45_connections_are_kept_and_expectations_met() {
    let house = House::open().await;
    let mut socket = TcpStream::connect(house.http).await.expect("the collector listens");
    let body = json_of(1);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\n",
        house.key,
        body.len()
    );
    for expects in [false, true] {
        let head = if expects { format!("{head}expect: 100-continue\r\n\r\n") } else { format!("{head}\r\n") };
        socket.write_all(head.as_bytes()).await.expect("sent");
        if expects {
            let mut interim = [0; 25];
            socket.read_exact(&mut interim).await.expect("an interim answer");
            assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        socket.write_all(&body).await.expect("sent");
        let mut answer = vec![0; 1_024];
        let length = socket.read(&mut answer).await.expect("an answer");
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(house.rows(), 2);
}
