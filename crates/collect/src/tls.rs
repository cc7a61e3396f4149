//! TLS of both listeners: the settings, what is in force of their files, and its renewal while connections stay.

mod handshake;
mod identity;
mod material;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::UnixNanos;
use runtime::{Clock, Stop, metric};
use rustls::ServerConfig;

pub(crate) use handshake::{HandshakeError, shake_hands};
pub(crate) use identity::Peer;
pub use identity::{
    Identity, IdentityError, MAX_IDENTITIES, MAX_KEY_ID_BYTES, MAX_NAMES, MAX_SAN_BYTES, PeerIdentity, SanPattern,
    identify,
};
use material::{Files, Material};
pub use material::{MAX_FILE_BYTES, TlsError};

use crate::connection::Transport;

/// TLS for both listeners.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// PEM: our certificate, then those that lead from it towards the root.
    pub cert_file: PathBuf,
    /// PEM: the private key of our certificate, not encrypted.
    pub key_file: PathBuf,
    /// Client certificates; `None` asks for none.
    pub clients: Option<ClientCertificates>,
    /// Longest time from the accepted connection to the end of the handshake.
    pub handshake_timeout: Duration,
    /// How often the files are looked at for changes.
    pub look_every: Duration,
}

impl TlsSettings {
    /// The two files, no client certificates, every limit at its default.
    pub fn new(cert_file: PathBuf, key_file: PathBuf) -> Self {
        let (handshake_timeout, look_every) = (Duration::from_secs(10), Duration::from_secs(5));
        Self { cert_file, key_file, clients: None, handshake_timeout, look_every }
    }
}

/// Which clients may connect, and whom they speak for.
#[derive(Debug, Clone)]
pub struct ClientCertificates {
    /// PEM: certificates of the authorities that sign client certificates.
    pub ca_file: PathBuf,
    /// Whether a client may come without one.
    pub auth: ClientAuth,
    /// Names that stand for a tenant; the first that fits counts. A certificate that fits none is no credential.
    pub identities: Vec<Identity>,
}

/// Whether a client has to show a certificate. One that is shown has to be valid in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Without one the handshake fails.
    Require,
    /// Without one the client needs an ingest key.
    Optional,
}

/// Reads the files as the listeners would, and says until when our certificate is valid.
///
/// # Errors
/// [`TlsError`], naming key and file.
pub fn certificate_expiry(settings: &TlsSettings, clock: &Clock) -> Result<UnixNanos, TlsError> {
    Ok(Material::build(&Files::read(settings)?, settings, clock)?.expires)
}

/// The certificates in force. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    settings: TlsSettings,
    clock: Clock,
    in_force: RwLock<Arc<Material>>,
    seen: RwLock<Seen>,
}

/// What the last look found, so that nothing is judged or said twice.
#[derive(PartialEq)]
enum Seen {
    Content(Files),
    Unreadable,
}

/// What a look at the files led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// They are as they were at the look before.
    Same,
    /// New ones are in force, for connections from now on.
    Swapped,
    /// They have changed and cannot be used; those that were in force stay.
    Failed,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files and puts them in force.
    ///
    /// # Errors
    /// [`TlsError`], naming key and file.
    pub fn open(settings: TlsSettings, clock: Clock) -> Result<Self, TlsError> {
        let files = Files::read(&settings)?;
        let material = Material::build(&files, &settings, &clock)?;
        note_expiry(&material);
        let (in_force, seen) = (RwLock::new(Arc::new(material)), RwLock::new(Seen::Content(files)));
        Ok(Self(Arc::new(Shared { settings, clock, in_force, seen })))
    }

    /// Background task: looks at the files again and again, until asked to stop.
    pub async fn follow(self, stop: Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = tokio::time::sleep(self.0.settings.look_every) => {}
            }
            let tls = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || tls.look()).await {
                tracing::error!(%error, "looking at the certificate files failed");
            }
        }
    }

    /// Reads the files now. Connections that are open stay as they are, whatever is found. Blocks for the disk.
    pub fn look(&self) -> Look {
        let Shared { settings, clock, in_force, seen } = &*self.0;
        // held throughout: two looks at once would swap twice
        let mut seen = seen.write().unwrap_or_else(PoisonError::into_inner);
        let read = Files::read(settings);
        let now = read.as_ref().map_or(Seen::Unreadable, |files| Seen::Content(files.clone()));
        if *seen == now {
            return Look::Same;
        }
        *seen = now;
        match read.and_then(|files| Material::build(&files, settings, clock)) {
            Ok(material) => {
                note_expiry(&material);
                *in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(material);
                metrics::counter!(metric::COLLECT_TLS_RELOADS, "outcome" => "swapped").increment(1);
                tracing::info!(file = %settings.cert_file.display(), "certificate reloaded");
                Look::Swapped
            }
            Err(error) => {
                metrics::counter!(metric::COLLECT_TLS_RELOADS, "outcome" => "failed").increment(1);
                tracing::warn!(%error, "certificate files cannot be used; the certificate in force stays");
                Look::Failed
            }
        }
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.0.settings.handshake_timeout
    }

    /// What a handshake that begins now is done with.
    pub(crate) fn config(&self, transport: Transport) -> Arc<ServerConfig> {
        let material = self.0.in_force.read().unwrap_or_else(PoisonError::into_inner);
        match transport {
            Transport::Grpc => Arc::clone(&material.grpc),
            Transport::Http => Arc::clone(&material.http),
        }
    }

    /// Whom a client speaks for whose certificate was verified.
    pub(crate) fn peer(&self, certificate: &[u8]) -> Peer {
        let identities = self.0.settings.clients.as_ref().map(|clients| clients.identities.as_slice());
        Peer::of(certificate, identities.unwrap_or_default())
    }
}

fn note_expiry(material: &Material) {
    let expires = Duration::from_nanos(u64::try_from(material.expires.0).unwrap_or(0));
    metrics::gauge!(metric::COLLECT_TLS_EXPIRY).set(expires.as_secs() as f64);
}
