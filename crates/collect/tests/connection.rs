//! Connections that say nothing, say too much, or speak HTTP/2 where HTTP/1 is usual.

mod house;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use collect::Settings;
use house::call::{Way, framed};
use house::{DEADLINE, House, frames, settings, span, traces};
use http::{Request, Version};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::Signal;
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

/// A body of one piece that never ends.
struct Endless(Option<Bytes>);

impl Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut().0.take() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_28_a_call_cancelled_in_its_body_acknowledges_nothing_and_gives_back_its_share() {
    // room for one request of the largest size: 16 KiB and four times 256 KiB
    let tight = Settings { max_inflated_bytes: 256 << 10, max_in_flight_bytes: 0, ..settings() };
    let house = House::with(tight, None).await;
    let socket = TcpStream::connect(house.grpc).await.expect("the collector listens");
    let made = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await;
    let (mut sender, connection) = made.expect("HTTP/2");
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let mut large = span(1);
    large.name = "x".repeat(200 << 10);
    let whole = framed(0, &traces(vec![large.clone()]).encode_to_vec());
    for _ in 0..40 {
        let request = Request::post(format!("http://{}{}", house.grpc, house::call::TRACES))
            .header("content-type", "application/grpc")
            .header("x-tracehound-key", &house.key)
            .body(Endless(Some(Bytes::copy_from_slice(&whole[..150 << 10]))))
            .expect("a request");
        let cancelled = tokio::time::timeout(Duration::from_millis(20), sender.send_request(request)).await;
        // either nothing yet, or refused because the ones before still held their share
        assert!(cancelled.is_err() || cancelled.is_ok_and(|answer| answer.is_ok()), "the connection lives");
    }
    // and over HTTP/1 by closing the socket
    for _ in 0..10 {
        let mut socket = TcpStream::connect(house.http).await.expect("the collector listens");
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-protobuf\r\nx-tracehound-key: {}\r\n\
             content-length: 200000\r\n\r\n",
            house.key
        );
        socket.write_all(head.as_bytes()).await.expect("sent");
        socket.write_all(&whole[..100_000]).await.expect("sent");
    }
    let message = traces(vec![large]);
    let fits_again = async {
        while house.tell(Way::Protobuf, Signal::Spans, &message).await.code != 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, fits_again).await.expect("every share comes back");
    assert_eq!(house.wal.end().0, 1, "nothing of what was cancelled is stored");
}

/// A connection on which frames are written and read by hand.
async fn by_hand(addr: std::net::SocketAddr) -> TcpStream {
    frames::greet(TcpStream::connect(addr).await.expect("the collector listens")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_30_pings_without_calls_are_answered_and_keep_the_connection() {
    let house = House::with(Settings { idle_timeout: Duration::from_millis(600), ..settings() }, None).await;
    for addr in [house.grpc, house.http] {
        let mut socket = by_hand(addr).await;
        // twice as long as a connection may be silent
        let mut every = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..12 {
            every.tick().await;
            socket.write_all(&frames::PING).await.expect("the connection is open");
            loop {
                let (kind, flags, payload) = frames::next(&mut socket).await.expect("the connection is open");
                if kind == frames::PING_TYPE {
                    assert_eq!((flags, payload.as_slice()), (1, &frames::PING[9..]), "a pong");
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_30_33_a_flood_of_pings_is_cut_and_others_do_not_notice() {
    let house = House::open().await;
    for addr in [house.grpc, house.http] {
        let pongs = frames::flood_with_pings(by_hand(addr).await).await;
        assert!(pongs < 10_000, "{pongs} pongs were earned");
        let told = house.tell(Way::Grpc, Signal::Spans, &traces(vec![span(1)])).await;
        assert_eq!(told.code, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_31_an_old_connection_is_asked_to_end_and_its_calls_are_answered() {
    let house = House::with(Settings { max_connection_age: Duration::from_millis(300), ..settings() }, None).await;
    house.gate.shut();
    let mut tasks = JoinSet::new();
    let mut sender = http2(house.http, &mut tasks).await;
    let under_way = sender.send_request(export(&house, "old"));
    tokio::pin!(under_way);
    let mut other = sender.clone();
    let refuses_more = async {
        // a client learns of the end by GOAWAY: its library takes no further request on this connection
        let nowhere =
            || Request::post(format!("http://{}/nowhere", house.http)).body(Full::default()).expect("a request");
        while other.send_request(nowhere()).await.is_ok() {}
    };
    tokio::select! {
        early = &mut under_way => panic!("answered before the log was: {early:?}"),
        told = tokio::time::timeout(DEADLINE, refuses_more) => told.expect("told to leave in time"),
    }
    house.gate.open();
    assert_eq!(under_way.await.expect("an answer").status(), 200);
    let ended = tokio::time::timeout(DEADLINE, tasks.join_next()).await.expect("the connection ends");
    ended.expect("one connection").expect("no panic").expect("a clean end");
    let mut sender = http2(house.http, &mut tasks).await;
    assert_eq!(sender.send_request(export(&house, "new")).await.expect("an answer").status(), 200);
    assert_eq!(house.rows(), 2, "nothing acknowledged is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_32_limits_on_calls_and_headers_are_announced() {
    let house = House::open().await;
    for addr in [house.grpc, house.http] {
        let mut socket = by_hand(addr).await;
        let (kind, _, payload) = frames::next(&mut socket).await.expect("settings come first");
        assert_eq!(kind, 4);
        let told: Vec<(u16, u32)> = payload
            .chunks_exact(6)
            .map(|pair| {
                (u16::from_be_bytes([pair[0], pair[1]]), u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]))
            })
            .collect();
        assert!(told.contains(&(3, 256)), "SETTINGS_MAX_CONCURRENT_STREAMS: {told:?}");
        assert!(told.contains(&(6, 16 * 1024)), "SETTINGS_MAX_HEADER_LIST_SIZE: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_46_a_head_that_never_ends_is_cut_though_it_never_rests() {
    let hasty = Settings { request_timeout: Duration::from_millis(500), ..settings() };
    let house = House::with(hasty, None).await;
    let slow = TcpStream::connect(house.http).await.expect("the collector listens");
    let (mut reading, mut writing) = slow.into_split();
    let dribble = async {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        let mut head =
            b"POST /v1/traces HTTP/1.1\r\nhost: t\r\nx-slow: ".iter().copied().chain(std::iter::repeat(b'x'));
        loop {
            every.tick().await;
            let byte = head.next().expect("it has no end");
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    };
    let mut rest = Vec::new();
    tokio::time::timeout(DEADLINE, async {
        tokio::select! {
            () = dribble => {}
            read = reading.read_to_end(&mut rest) => drop(read),
        }
    })
    .await
    .expect("cut in time");
    assert_eq!(house.tell(Way::Json, Signal::Spans, &traces(vec![span(1)])).await.code, 0, "others are served");
}
