//! PEM files, read with a limit and made into what rustls serves with.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::UnixNanos;
use runtime::Clock;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use x509_parser::parse_x509_certificate;

use super::{ClientAuth, TlsSettings};

/// Longest file; a chain or a bundle of authorities is a few kilobytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

const CERT_FILE: &str = "otlp.tls.cert_file";
const KEY_FILE: &str = "otlp.tls.key_file";
const CLIENT_CA_FILE: &str = "otlp.tls.client_ca_file";

/// Why certificate files cannot be used. Every message names the setting and the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is not there, not ours to read, or too long.
    #[error("{key} cannot be read from {}: {source}", path.display())]
    Read {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not hold what it should.
    #[error("{key} {}: {problem}", path.display())]
    Content {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Certificate and key are both sound and do not belong together.
    #[error("{KEY_FILE} {} does not belong to the first certificate in {CERT_FILE} {}", key.display(), cert.display())]
    Mismatch {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

/// The files as they lie on disk.
#[derive(Clone, PartialEq)]
pub(super) struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    pub fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let client_ca = settings.clients.as_ref().map(|clients| read(CLIENT_CA_FILE, &clients.ca_file));
        Ok(Self {
            cert: read(CERT_FILE, &settings.cert_file)?,
            key: read(KEY_FILE, &settings.key_file)?,
            client_ca: client_ca.transpose()?,
        })
    }
}

/// What listeners serve with.
pub(super) struct Material {
    pub grpc: Arc<ServerConfig>,
    pub http: Arc<ServerConfig>,
    /// End of our certificate.
    pub expires: UnixNanos,
}

impl Material {
    pub fn build(files: &Files, settings: &TlsSettings, clock: &Clock) -> Result<Self, TlsError> {
        let chain = certificates(CERT_FILE, &settings.cert_file, &files.cert)?;
        let expires = not_after(&chain[0])
            .ok_or_else(|| content(CERT_FILE, &settings.cert_file, "its first certificate is malformed"))?;
        let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| {
            content(KEY_FILE, &settings.key_file, "holds no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted)")
        })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(ClockTime(clock.clone())))
            .with_safe_default_protocol_versions()
            .expect("ring has suites for TLS 1.2 and 1.3");
        let builder = match (&settings.clients, &files.client_ca) {
            (Some(clients), Some(pem)) => {
                let roots = roots(&clients.ca_file, pem)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match clients.auth {
                    ClientAuth::Require => verifier,
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                };
                let failed = |error: VerifierBuilderError| content(CLIENT_CA_FILE, &clients.ca_file, error);
                builder.with_client_cert_verifier(verifier.build().map_err(failed)?)
            }
            _ => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Mismatch { cert: settings.cert_file.clone(), key: settings.key_file.clone() }
            }
            error => content(KEY_FILE, &settings.key_file, error),
        })?;
        let speaks = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self { grpc: speaks(&[b"h2"]), http: speaks(&[b"h2", b"http/1.1"]), expires })
    }
}

/// End of a certificate's validity; `None` when it is malformed.
pub(super) fn not_after(certificate: &[u8]) -> Option<UnixNanos> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    Some(UnixNanos(parsed.validity().not_after.timestamp().saturating_mul(1_000_000_000)))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { key, path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let text = format!("longer than {MAX_FILE_BYTES} bytes");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, text)));
    }
    Ok(bytes)
}

/// All certificates of a file, at least one.
fn certificates(key: &'static str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| content(key, path, error))?;
    if found.is_empty() {
        return Err(content(key, path, "holds no certificate in PEM"));
    }
    Ok(found)
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA_FILE, path, pem)? {
        roots.add(certificate).map_err(|error| content(CLIENT_CA_FILE, path, error))?;
    }
    Ok(roots)
}

fn content(key: &'static str, path: &Path, problem: impl fmt::Display) -> TlsError {
    TlsError::Content { key, path: path.to_owned(), problem: problem.to_string() }
}

/// The house's clock, as rustls asks for it.
#[derive(Debug)]
struct ClockTime(Clock);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let nanos = u64::try_from(self.0.unix_nanos()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_nanos(nanos)))
    }
}
