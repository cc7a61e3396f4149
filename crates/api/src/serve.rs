//! The loop that serves connections: how many, how patient, and how it ends.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use runtime::Stop;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Most connections at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1_024;
/// Longest time for a request head, the idle time before it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of a request head over HTTP/1.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// All headers of one request over HTTP/2 together.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_CONCURRENT_STREAMS: u32 = 128;
/// Streams that a client opened and reset at once; past it the connection is closed (rapid reset).
const MAX_RESET_STREAMS: usize = 50;
/// Pause after an error of accepting, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests may take to end once the stop is asked.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until asked to stop; requests that are being worked on then finish, at most ten seconds long.
///
/// # Errors
/// When the address of the listener cannot be read, which is to say that it is not one.
pub async fn serve(listener: TcpListener, router: Router, stop: Stop) -> io::Result<()> {
    let addr = listener.local_addr()?;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (accept(&listener).await, place)
        };
        tokio::select! {
            () = stop.asked() => break,
            (socket, place) = accepted => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    connection(socket, router, stop).await;
                    drop(place);
                });
            }
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "connection task failed");
                }
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(%addr, connections = connections.len(), "connections cut off at stop");
    }
    Ok(())
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                // answers are small: waiting to fill a packet would only delay them
                let _ = socket.set_nodelay(true);
                return socket;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, router: Router, stop: Stop) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router)));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.asked() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}
