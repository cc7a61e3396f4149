//! The two listeners and everything they have open.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use runtime::{Listeners, Stop, metric};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wal::Frame;

use crate::connection::{self, Transport};
use crate::intake::Intake;
use crate::tls::{Tls, TlsError};
use crate::{Door, Settings};

/// Pause after the system refused to accept, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the collector could not start.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen for OTLP/{transport} on {addr}: {source}")]
    Bind {
        /// gRPC or HTTP.
        transport: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A collector that has its ports and does not serve yet.
pub struct Collector {
    grpc: (TcpListener, SocketAddr),
    http: (TcpListener, SocketAddr),
    tls: Option<Tls>,
    intake: Arc<Intake>,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").field("grpc", &self.grpc.1).field("http", &self.http.1).finish_non_exhaustive()
    }
}

/// Reads the certificate files, when there are any, and takes both ports; sockets that were handed over for them are used.
///
/// # Errors
/// [`CollectError::Tls`], [`CollectError::Bind`].
pub async fn bind(settings: Settings, door: Door, listeners: &mut Listeners) -> Result<Collector, CollectError> {
    let tls = settings.tls.clone().map(|tls| Tls::open(tls, door.clock.clone())).transpose()?;
    let grpc = listen("gRPC", settings.grpc, listeners).await?;
    let http = listen("HTTP", settings.http, listeners).await?;
    Ok(Collector { grpc, http, tls, intake: Arc::new(Intake::new(settings, door)) })
}

async fn listen(
    transport: &'static str,
    addr: SocketAddr,
    listeners: &mut Listeners,
) -> Result<(TcpListener, SocketAddr), CollectError> {
    let failed = |source| CollectError::Bind { transport, addr, source };
    let listener = listeners.bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

impl Collector {
    /// Where OTLP/gRPC is served.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc.1
    }

    /// Where OTLP/HTTP is served.
    pub fn http_addr(&self) -> SocketAddr {
        self.http.1
    }

    /// The certificates in force; `None` when both listeners are plaintext. Someone has to [`Tls::follow`] their files.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Takes note of a frame that the log holds from before the start, and what it reads to: the answer to it may never
    /// have arrived, and then it comes again.
    pub fn remember(&self, frame: &Frame, records: &RecordBatch) {
        self.intake.remember(frame, records);
    }

    /// Serves until the stop is asked; then takes no new connection or request, and returns when those under way are
    /// answered or have used up the request timeout.
    pub async fn serve(self, stop: Stop) {
        let Self { grpc, http, tls, intake } = self;
        let served = async {
            tokio::join!(
                listen_on(grpc.0, Transport::Grpc, tls.clone(), Arc::clone(&intake), stop.clone()),
                listen_on(http.0, Transport::Http, tls, Arc::clone(&intake), stop),
            )
        };
        tokio::select! {
            _ = served => {}
            never = intake.room.watch() => match never {},
        }
    }
}

async fn listen_on(listener: TcpListener, transport: Transport, tls: Option<Tls>, intake: Arc<Intake>, stop: Stop) {
    let places = Arc::new(Semaphore::new(intake.settings.max_connections));
    let mut connections = JoinSet::new();
    let open = metrics::gauge!(metric::COLLECT_CONNECTIONS, "transport" => transport.as_str());
    metrics::gauge!(metric::COLLECT_CONNECTIONS_LIMIT, "transport" => transport.as_str())
        .set(intake.settings.max_connections as f64);
    loop {
        open.set(connections.len() as f64);
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (accept(&listener, transport).await, place)
        };
        tokio::select! {
            () = stop.asked() => break,
            ((socket, peer), place) = accepted => {
                let (tls, intake) = (tls.clone(), Arc::clone(&intake));
                let serving = connection::serve(socket, peer.ip(), transport, tls, intake, stop.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Some(ended) = connections.join_next(), if !connections.is_empty() => log_panic(ended),
        }
    }
    drop(listener);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    if tokio::time::timeout(intake.settings.request_timeout, drained).await.is_err() {
        tracing::warn!(transport = transport.as_str(), connections = connections.len(), "connections cut off at stop");
    }
}

/// The next connection. Errors of accepting concern one connection or pass; they never end the listener.
async fn accept(listener: &TcpListener, transport: Transport) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                // answers are small: waiting to fill a packet would only delay them
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!(transport = transport.as_str(), %error, "cannot set nodelay");
                }
                return (socket, peer);
            }
            Err(error) => {
                tracing::warn!(transport = transport.as_str(), %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "connection task failed");
    }
}
