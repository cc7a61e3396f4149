//! The handshake of one connection: its time limit, and why it failed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::{CertificateError, Error, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longest time, and most bytes, that are read and thrown away after a failure, so that the client reads the alert that
/// says why instead of a reset connection.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the client took longer than {} ms", limit.as_millis())]
    TimedOut { limit: Duration },
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// A session is resumed without verifying the certificate again, which may have ended meanwhile.
    #[error("the client resumed a session whose certificate has expired")]
    Resumed,
}

/// Does the handshake. A failure is told to the client where TLS has an alert for it.
pub(crate) async fn shake_hands(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    limit: Duration,
) -> Result<TlsStream<TcpStream>, HandshakeError> {
    let accepted = tokio::time::timeout(limit, TlsAcceptor::from(config).accept(socket).into_fallible()).await;
    match accepted {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err((error, socket))) => {
            linger(socket).await;
            Err(HandshakeError::Failed(error))
        }
        Err(_) => Err(HandshakeError::TimedOut { limit }),
    }
}

async fn linger(mut socket: TcpStream) {
    let drained = async {
        socket.shutdown().await?;
        tokio::io::copy(&mut socket.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // what is not read in time is cut off with the connection
    let _ = tokio::time::timeout(LINGER, drained).await;
}

impl HandshakeError {
    /// As the `reason` label.
    pub fn reason(&self) -> &'static str {
        let error = match self {
            Self::TimedOut { .. } => return "timeout",
            Self::Resumed => return "client_certificate_expired",
            Self::Failed(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()),
        };
        match error {
            // the client, or the network, ended it
            None => "closed",
            Some(Error::InvalidMessage(_)) => "not_tls",
            Some(Error::NoCertificatesPresented) => "no_client_certificate",
            Some(Error::InvalidCertificate(error)) => match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => "client_certificate_expired",
                CertificateError::UnknownIssuer => "client_certificate_unknown_issuer",
                _ => "client_certificate_invalid",
            },
            Some(Error::PeerIncompatible(_)) => "incompatible",
            Some(Error::NoApplicationProtocol) => "no_application_protocol",
            // most often because it does not trust our certificate
            Some(Error::AlertReceived(_)) => "refused_by_client",
            Some(_) => "protocol",
        }
    }
}
