//! One connection: protocol limits, requests, and the end when the collector stops.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use model::UnixNanos;
use runtime::{Random, Stop, metric};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use crate::flood::Allowance;
use crate::grpc::{self, AnswerBody};
use crate::guard::Guarded;
use crate::http_door;
use crate::intake::Intake;
use crate::tls::{self, HandshakeError, Peer, Tls};

/// Requests at once on one HTTP/2 connection; further ones wait at the client.
const MAX_CONCURRENT_STREAMS: u32 = 256;
/// All headers of one request together.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Most bytes of a request head over HTTP/1, and of its read buffer.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Bytes a client may send ahead of our reading, per request and per connection.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// An HTTP/2 client that is silent this long is asked whether it is there, and given this long to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams that a client opened and reset at once; past it the connection is closed (rapid reset).
const MAX_RESET_STREAMS: usize = 50;

/// Which of the two transports a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Grpc,
    Http,
}

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Client {
    pub address: IpAddr,
    /// What its certificate says of it.
    pub peer: Peer,
}

impl Transport {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

/// Serves a connection until either side ends it. When the stop is asked, the connection is old, or the client's
/// certificate ends, no further request is taken and those under way are answered.
pub(crate) async fn serve(
    socket: TcpStream,
    address: IpAddr,
    transport: Transport,
    tls: Option<Tls>,
    intake: Arc<Intake>,
    stop: Stop,
) {
    let Some(tls) = tls else {
        return talk(socket, transport, Client { address, peer: Peer::Anonymous }, intake, stop).await;
    };
    let shaken = tokio::select! {
        () = stop.asked() => return,
        // on the heap, so that the long life after it does not carry its room
        shaken = Box::pin(secure(socket, transport, &tls, intake.now())) => shaken,
    };
    match shaken {
        Ok((stream, peer)) => talk(stream, transport, Client { address, peer }, intake, stop).await,
        Err(error) => {
            let (transport, reason) = (transport.as_str(), error.reason());
            metrics::counter!(metric::COLLECT_TLS_FAILURES, "transport" => transport, "reason" => reason).increment(1);
            tracing::debug!(transport, reason, %error, "handshake failed");
        }
    }
}

async fn secure(
    socket: TcpStream,
    transport: Transport,
    tls: &Tls,
    now: UnixNanos,
) -> Result<(TlsStream<TcpStream>, Peer), HandshakeError> {
    let under_way = metrics::gauge!(metric::COLLECT_TLS_HANDSHAKES);
    under_way.increment(1.0);
    let shaken = tls::shake_hands(socket, tls.config(transport), tls.handshake_timeout()).await;
    under_way.decrement(1.0);
    let stream = shaken?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = certificate.map_or(Peer::Anonymous, |certificate| tls.peer(certificate));
    if peer.expires().is_some_and(|expires| expires < now) {
        return Err(HandshakeError::Resumed);
    }
    Ok((stream, peer))
}

async fn talk<S>(socket: S, transport: Transport, client: Client, intake: Arc<Intake>, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let allowance = Allowance::new();
    let builder = builder(transport, intake.settings.request_timeout);
    let io = TokioIo::new(Guarded::new(socket, intake.settings.idle_timeout, Arc::clone(&allowance)));
    let age = intake.settings.max_connection_age.mul_f64(1.0 - Random.fraction() / 10.0);
    let lifetime = left_of_certificate(&client.peer, intake.now()).map_or(age, |left| left.min(age));
    let client = Arc::new(client);
    let service = service_fn(move |request| {
        let (intake, client, allowance) = (Arc::clone(&intake), Arc::clone(&client), Arc::clone(&allowance));
        async move {
            let response = answer(transport, &intake, &client, request).await;
            allowance.answered();
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(builder.serve_connection(io, service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.asked() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = tokio::time::sleep(lifetime) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(transport = transport.as_str(), %error, "connection ended");
    }
}

/// How long the client's certificate still is valid: one who got a new one shows it on a new connection, and one who got
/// none is not served for ever.
fn left_of_certificate(peer: &Peer, now: UnixNanos) -> Option<Duration> {
    let left = |expires: UnixNanos| Duration::from_nanos(u64::try_from(expires.0.saturating_sub(now.0)).unwrap_or(0));
    peer.expires().map(left)
}

/// `head_timeout` is the longest time for a request head over HTTP/1, the idle time before it included.
fn builder(transport: Transport, head_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_timeout).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    if transport == Transport::Grpc { builder.http2_only() } else { builder }
}

async fn answer(
    transport: Transport,
    intake: &Intake,
    client: &Client,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let signal = match transport {
        Transport::Grpc => grpc::signal_of(request.uri().path()),
        Transport::Http => http_door::signal_of(request.uri().path()),
    };
    let signal = signal.map_or("none", model::Signal::as_str);
    let start = Instant::now();
    let (response, outcome) = match transport {
        Transport::Grpc => grpc::serve(intake, client, request).await,
        Transport::Http => http_door::serve(intake, client, request).await,
    };
    metrics::histogram!(metric::COLLECT_SECONDS, "signal" => signal).record(start.elapsed().as_secs_f64());
    metrics::counter!(
        metric::COLLECT_REQUESTS, "transport" => transport.as_str(), "signal" => signal, "outcome" => outcome
    )
    .increment(1);
    response
}
