//! Connections that say nothing, say too much, or speak HTTP/2 where HTTP/1 is usual.

mod house;

use std::time::Duration;

use bytes::Bytes;
use collect::Settings;
use house::{DEADLINE, House, settings, span, traces};
use http::{Request, Version};
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

async fn http2(
    addr: std::net::SocketAddr,
    tasks: &mut JoinSet<Result<(), hyper::Error>>,
) -> http2::SendRequest<Full<Bytes>> {
    let socket = TcpStream::connect(addr).await.expect("the collector listens");
    let made = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await;
    let (sender, connection) = made.expect("HTTP/2");
    tasks.spawn(connection);
    sender
}

fn export(house: &House, note: &str) -> Request<Full<Bytes>> {
    Request::post(format!("http://{}/v1/traces", house.http))
        .header("content-type", "application/x-protobuf")
        .header("x-tracehound-key", &house.key)
        .header("x-note", note)
        .body(Full::from(traces(vec![span(1)]).encode_to_vec()))
        .expect("a request")
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_32_45_http2_is_served_and_its_headers_are_capped() {
    let house = House::open().await;
    let mut tasks = JoinSet::new();
    let mut sender = http2(house.http, &mut tasks).await;
    let answer = sender.send_request(export(&house, "short")).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    let refused = sender.send_request(export(&house, &"x".repeat(20_000))).await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 431), "headers past 16 KiB");
    let mut sender = http2(house.http, &mut tasks).await;
    assert_eq!(sender.send_request(export(&house, "short")).await.expect("an answer").status(), 200);
    assert_eq!(house.rows(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_closed_and_others_are_served() {
    let house = House::with(Settings { idle_timeout: Duration::from_millis(200), ..settings() }, None).await;
    for (addr, first_words) in [(house.grpc, &b""[..]), (house.http, b""), (house.http, b"PO"), (house.grpc, b"PRI")] {
        let mut silent = TcpStream::connect(addr).await.expect("the collector listens");
        silent.write_all(first_words).await.expect("sent");
        let headers = [("content-type", "application/x-protobuf")];
        assert_eq!(house.post("/v1/traces", &headers, b"").await.status, 200);
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(DEADLINE, silent.read_to_end(&mut rest)).await;
        closed.expect("closed in time").ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_lets_the_next_in_when_one_leaves() {
    let house = House::with(Settings { max_connections: 1, ..settings() }, None).await;
    let mut tasks = JoinSet::new();
    let mut sender = http2(house.http, &mut tasks).await;
    assert_eq!(sender.send_request(export(&house, "first")).await.expect("an answer").status(), 200);
    let headers = [("content-type", "application/x-protobuf")];
    let waiting = house.post("/v1/traces", &headers, b"");
    tokio::pin!(waiting);
    // the one who is in is served as ever while the other waits
    let served = async {
        for _ in 0..20 {
            assert_eq!(sender.send_request(export(&house, "again")).await.expect("an answer").status(), 200);
        }
    };
    tokio::select! {
        early = &mut waiting => panic!("there was no place: {early:?}"),
        () = served => {}
    }
    drop(sender);
    assert_eq!(waiting.await.status, 200);
}
