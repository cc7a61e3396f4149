//! OTLP over gRPC, asked by the generated client of opentelemetry-proto over tonic (checks 21 to 32).

mod house;

use collect::{Pressure, Settings};
use house::call::{METRICS, TRACES, framed, raw};
use house::{House, RpcStatus, gzip, settings, span, traces};
use model::Signal;
use prost::Message as _;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::logs::v1::logs_service_client::LogsServiceClient;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::collector::trace::v1::trace_service_client::TraceServiceClient;
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use tokio::task::JoinSet;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

async fn channel(house: &House) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", house.grpc)).expect("an address");
    endpoint.connect().await.expect("the collector listens")
}

fn with_key<T>(house: &House, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", house.key).parse().expect("printable");
    request.metadata_mut().insert("authorization", bearer);
    request
}

fn details(status: &Status) -> RpcStatus {
    RpcStatus::decode(status.details()).expect("google.rpc.Status in grpc-status-details-bin")
}

/// RetryInfo as it travels alone.
fn alone(status: &Status) -> Vec<u8> {
    let value = status.metadata().get_bin("google.rpc.retryinfo-bin").expect("a trailer of its own");
    value.to_bytes().expect("base64").to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_01_07_09_22_29_both_services_take_every_encoding() {
    let house = House::open().await;
    let message = traces((1..=3).map(span).collect());
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut client = TraceServiceClient::new(channel(&house).await);
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let response = client.export(with_key(&house, message.clone())).await.expect("stored").into_inner();
        assert_eq!(response.partial_success, None, "otlp_09: unset on full success");
    }
    let batches = house.batches();
    assert_eq!(batches.len(), 3);
    assert!(batches.iter().all(|batch| batch.records == batches[0].records && batch.len() == 3));
    let scope_logs = vec![ScopeLogs { log_records: vec![LogRecord::default()], ..ScopeLogs::default() }];
    let logs = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    LogsServiceClient::new(channel(&house).await).export(with_key(&house, logs)).await.expect("stored");
    assert_eq!(house.batches().last().map(|batch| batch.signal), Some(Signal::Logs));
    TraceServiceClient::new(channel(&house).await)
        .export(with_key(&house, ExportTraceServiceRequest::default()))
        .await
        .expect("otlp_07: an empty request is fine");
    assert_eq!(house.wal.end().0, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_10_partial_success_counts_exactly() {
    let house = House::open().await;
    let mut message = traces((1..=4).map(span).collect());
    message.resource_spans[0].scope_spans[0].spans[1].span_id = vec![0; 8];
    let mut client = TraceServiceClient::new(channel(&house).await);
    let response = client.export(with_key(&house, message)).await.expect("a success").into_inner();
    let partial = response.partial_success.expect("partial");
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("span_id"), "{}", partial.error_message);
    assert_eq!(house.rows(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_17_without_a_valid_key_the_call_is_unauthenticated() {
    let house = House::open().await;
    let mut client = TraceServiceClient::new(channel(&house).await);
    let refused = client.export(traces(vec![span(1)])).await.expect_err("no key");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("x-tracehound-key"), "{}", refused.message());
    let mut wrong = Request::new(traces(vec![span(1)]));
    wrong.metadata_mut().insert("x-tracehound-key", "th_a_b".parse().expect("printable"));
    assert_eq!(client.export(wrong).await.expect_err("wrong key").code(), Code::Unauthenticated);
    let mut right = Request::new(traces(vec![span(1)]));
    right.metadata_mut().insert("x-tracehound-key", house.key.parse().expect("printable"));
    client.export(right).await.expect("the key's own header");
    assert_eq!(house.rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_02_05_24_oversize_is_permanent() {
    let house = House::with(Settings { max_inflated_bytes: 1 << 20, ..settings() }, None).await;
    let mut large = span(1);
    large.name = "x".repeat(1 << 20);
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut client = TraceServiceClient::new(channel(&house).await);
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let refused = client.export(with_key(&house, traces(vec![large.clone()]))).await.expect_err("too large");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{encoding:?}");
        assert!(details(&refused).details.is_empty(), "RetryInfo would make clients come back");
        assert!(refused.metadata().get_bin("google.rpc.retryinfo-bin").is_none());
    }
    assert_eq!(house.wal.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_23_24_pressure_is_unavailable_with_retry_info() {
    let house = House::open().await;
    *house.pressure.lock().expect("not poisoned") = Pressure::Closed("memory is full");
    let mut client = TraceServiceClient::new(channel(&house).await);
    let refused = client.export(with_key(&house, traces(vec![span(1)]))).await.expect_err("closed");
    assert_eq!(refused.code(), Code::Unavailable);
    let details = details(&refused);
    assert_eq!(details.code, 14);
    assert_eq!(details.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    // RetryInfo { retry_delay: Duration { seconds: 1 } }
    assert_eq!(details.details[0].value, [0x0a, 0x02, 0x08, 0x01]);
    assert_eq!(alone(&refused), details.details[0].value, "where the Python SDK looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_27_a_call_ends_at_its_deadline() {
    let house = House::open().await;
    house.gate.shut();
    let body = framed(0, &traces(vec![span(1)]).encode_to_vec());
    // by hand, as tonic's own client would give up at the same moment
    let refused = raw(&house, TRACES, &[("grpc-timeout", "200m")], body.clone()).await;
    assert_eq!(refused.code, "4");
    assert!(refused.message.contains("longer than allowed"), "{}", refused.message);
    house.gate.open();
    assert_eq!(raw(&house, TRACES, &[("grpc-timeout", "60S")], body).await.code, "0", "the log answers again");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_21_many_calls_at_once_are_all_answered() {
    let house = House::open().await;
    let shared = channel(&house).await;
    let mut hundred = Vec::new();
    for _ in 0..100 {
        hundred.push(channel(&house).await);
    }
    let mut calls = JoinSet::new();
    for number in 0..2_000_usize {
        // a thousand over one connection, a thousand over a hundred
        let channel = if number < 1_000 { shared.clone() } else { hundred[number % 100].clone() };
        let request = with_key(&house, traces(vec![span(number as u8), span(1)]));
        calls.spawn(async move { TraceServiceClient::new(channel).export(request).await });
    }
    while let Some(answered) = calls.join_next().await {
        answered.expect("no panic").expect("stored");
    }
    assert_eq!(house.rows(), 4_000);
    assert_eq!(house.wal.end().0, 2_000);
    assert!(house.wal.fsyncs() < 2_000, "calls that wait together share an fsync");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_31_a_stop_answers_what_is_under_way() {
    let house = House::open().await;
    house.gate.shut();
    let mut client = TraceServiceClient::new(channel(&house).await);
    let mut calls = JoinSet::new();
    let request = with_key(&house, traces(vec![span(1)]));
    calls.spawn(async move { client.export(request).await });
    // the frame is durable before the gate lets its append answer
    let durable = async {
        while house.wal.end().0 == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(house::DEADLINE, durable).await.expect("the call reaches the log");
    let stopping = house.supervisor.stop(house::DEADLINE);
    tokio::pin!(stopping);
    tokio::select! {
        biased;
        cut_off = &mut stopping => panic!("stopped with a call under way: {cut_off:?}"),
        () = tokio::task::yield_now() => {}
    }
    house.gate.open();
    assert_eq!(stopping.await, Vec::<&str>::new(), "nothing had to be cut off");
    calls.join_next().await.expect("one call").expect("no panic").expect("an acknowledged call");
    assert_eq!(house.rows(), 1);
    assert!(tokio::net::TcpStream::connect(house.grpc).await.is_err(), "the port is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_19_29_42_malformed_calls_are_told_what_is_wrong() {
    let house = House::open().await;
    let message = traces(vec![span(1)]).encode_to_vec();
    let gzip_headers: &[(&str, &str)] = &[("grpc-encoding", "gzip")];
    let cases: [(&[(&str, &str)], Vec<u8>, &str); 8] = [
        (&[], framed(0, b"\xff\xff\xff"), "malformed protobuf"),
        (&[], framed(0, &message[..message.len() - 2]), "malformed protobuf"),
        (&[], Vec::new(), "no message"),
        (&[], framed(0, &message)[..20].to_vec(), "ends inside the message"),
        (&[], [framed(0, &message), framed(0, &message)].concat(), "more than one message"),
        (&[], framed(1, &gzip(&message)), "grpc-encoding names no encoding"),
        (gzip_headers, framed(1, b"not gzip"), "gzip"),
        (gzip_headers, framed(7, &message), "flag"),
    ];
    for (headers, body, text) in cases {
        let answer = raw(&house, TRACES, headers, body).await;
        assert_eq!((answer.http_status, answer.code.as_str()), (200, "3"), "{text}");
        assert!(answer.message.contains(text), "{:?} does not name {text:?}", answer.message);
        assert_eq!(answer.status.code, 3);
        assert_eq!(answer.status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
    }
    let unknown = raw(&house, TRACES, &[("grpc-encoding", "snappy")], framed(1, &message)).await;
    assert_eq!((unknown.code.as_str(), unknown.accept_encoding.as_str()), ("12", "identity,gzip,zstd"));
    assert_eq!(house.wal.end().0, 0, "nothing of a malformed call is stored");
    let several_members = framed(1, &[gzip(&message[..20]), gzip(&message[20..])].concat());
    assert_eq!(raw(&house, TRACES, gzip_headers, several_members).await.code, "0");
    assert_eq!(house.rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_22_29_what_is_not_served_is_unimplemented() {
    let house = House::open().await;
    for (headers, flag) in [(&[][..], 0), (&[("grpc-encoding", "gzip")], 1)] {
        let answer = raw(&house, METRICS, headers, framed(flag, b"")).await;
        assert_eq!((answer.code.as_str(), answer.accept_encoding.as_str()), ("12", "identity,gzip,zstd"));
        assert!(answer.status.details.is_empty(), "coming back is no use");
    }
    let answer = raw(&house, METRICS, &[], framed(0, b"")).await;
    assert!(answer.message.contains("metrics are not stored"), "{}", answer.message);
    assert_eq!(raw(&house, "/some.Service/Call", &[], framed(0, b"")).await.code, "12");
    let not_grpc = raw(&house, TRACES, &[("content-type", "application/json")], b"{}".to_vec()).await;
    assert_eq!((not_grpc.http_status, not_grpc.code.as_str()), (415, ""));
}
