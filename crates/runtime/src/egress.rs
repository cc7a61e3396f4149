//! The one outgoing HTTP client: it goes where the policy lets it, and looks at the very address it connects to.
//!
//! Every address that a name resolves to is checked inside the connector's own resolver, so there is no second look-up
//! that could answer differently. Redirects are not followed, proxies from the environment are ignored, and answers
//! are read up to a limit. What a receiver answers is for logs and retry decisions, never for users to see.

mod address;

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ipnet::IpNet;
use opentelemetry::propagation::Injector;
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::OnceCell;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::{Host, Url};

use crate::ErrorKind;

/// How long resolving, connecting and the TLS handshake may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take in all, answer included.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer's body that are read; the rest is dropped with the connection.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Most characters of a `Retry-After` value that are kept.
const MAX_RETRY_AFTER_CHARS: usize = 64;
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where requests may go. Set by the operator of the installation, never by a tenant.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Networks that are reachable although they are not public, as `127.0.0.0/8` or `10.1.2.0/24`.
    pub allow: Vec<IpNet>,
    /// Whether plain `http` may leave the machine. Without it, `http` goes to an allowed loopback address alone.
    pub allow_http: bool,
}

impl Policy {
    /// Why `ip` may not be connected to.
    fn refuse(&self, ip: IpAddr, is_plain: bool) -> Result<(), Refused> {
        let ip = ip.to_canonical();
        let is_allowed = self.allow.iter().any(|network| network.contains(&ip));
        if let Some(class) = address::special_class(ip).filter(|_| !is_allowed) {
            return Err(Refused::Address(class));
        }
        if is_plain && !self.allow_http && !ip.is_loopback() {
            return Err(Refused::Plain);
        }
        Ok(())
    }
}

/// Looks names up. The system's resolver outside of tests.
pub trait Lookup: Send + Sync + 'static {
    /// Every address of `host`. Called once per new connection; the answer is used for that connection alone.
    fn lookup(&self, host: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// What a receiver answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The `Retry-After` header as sent: seconds, or an HTTP date.
    pub retry_after: Option<String>,
    /// The first [`MAX_ANSWER_BYTES`] of the body. Not to be shown to users.
    pub body: Bytes,
}

/// Why no answer came. Texts name neither the URL, which may hold a secret, nor an address.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The scheme is neither `https` nor `http`, or there is no host.
    #[error("url must be https:// with a host")]
    Url,
    /// Plain `http` to somewhere that is not an allowed loopback address.
    #[error("plain http leaves the machine unprotected: use https, or let the operator allow http")]
    Plain,
    /// The host is, or resolves to, an address that is not public and not allowed by the operator.
    #[error("host is a {class} address, which the operator has not allowed")]
    Address {
        /// What kind of address it is.
        class: &'static str,
    },
    /// The name could not be resolved.
    #[error("host cannot be resolved")]
    Resolve,
    /// No connection, or no TLS session, came about.
    #[error("cannot connect: {reason}")]
    Connect {
        /// What the system or TLS said.
        reason: String,
    },
    /// It took longer than [`TOTAL_TIMEOUT`], or connecting took longer than [`CONNECT_TIMEOUT`].
    #[error("no answer in time")]
    Timeout,
    /// The connection broke while the request or the answer was on its way.
    #[error("exchange broke off: {reason}")]
    Exchange {
        /// What the connection said.
        reason: String,
    },
    /// The system offers no certificate roots, or TLS could not be set up.
    #[error("cannot set up the client: {reason}")]
    Setup {
        /// What TLS said.
        reason: String,
    },
}

impl EgressError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Url => ErrorKind::Invalid,
            Self::Plain | Self::Address { .. } => ErrorKind::Forbidden,
            Self::Resolve | Self::Connect { .. } | Self::Exchange { .. } => ErrorKind::Unavailable,
            Self::Timeout => ErrorKind::Timeout,
            Self::Setup { .. } => ErrorKind::Internal,
        }
    }
}

/// The client. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
}

struct Shared {
    policy: Arc<Policy>,
    lookup: Arc<dyn Lookup>,
    /// For `https`; made at the first use, because reading the system's roots takes time and may fail.
    secure: OnceCell<Client>,
    /// For `http`, whose resolver also asks for loopback.
    plain: OnceCell<Client>,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("policy", &self.shared.policy).finish_non_exhaustive()
    }
}

impl Egress {
    /// A client that resolves names as the system does.
    pub fn new(policy: Policy) -> Self {
        Self::with_lookup(policy, Arc::new(SystemLookup))
    }

    /// A client that resolves names through `lookup`; its answers are checked like any other.
    pub fn with_lookup(policy: Policy, lookup: Arc<dyn Lookup>) -> Self {
        let shared = Shared { policy: Arc::new(policy), lookup, secure: OnceCell::new(), plain: OnceCell::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Whether `url` could be posted to, as far as that can be said without resolving its name: for settings.
    ///
    /// # Errors
    /// [`EgressError::Url`], [`EgressError::Plain`] and [`EgressError::Address`].
    pub fn check(&self, url: &Url) -> Result<(), EgressError> {
        let is_plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(EgressError::Url),
        };
        // hosts that are addresses never reach the resolver; `url` has turned decimal, octal and hexadecimal forms
        // into plain ones already
        let ip = match url.host().ok_or(EgressError::Url)? {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(ip) => IpAddr::V4(ip),
            Host::Ipv6(ip) => IpAddr::V6(ip),
        };
        self.shared.policy.refuse(ip, is_plain).map_err(EgressError::from)
    }

    /// Posts once: no retry, no redirect. Carries the W3C context of the current span when that one is traced.
    ///
    /// # Errors
    /// An [`EgressError`] when no answer came; an answer of any status is `Ok`.
    pub async fn post(&self, url: &Url, mut headers: HeaderMap, body: Bytes) -> Result<Answer, EgressError> {
        self.check(url)?;
        carry_trace(&mut headers);
        let client = if url.scheme() == "http" { self.shared.plain().await? } else { self.shared.secure().await? };
        let sent = client.post(url.clone()).headers(headers).body(body).send().await;
        let mut response = sent.map_err(|error| explain(&error))?;
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(|text| text.chars().take(MAX_RETRY_AFTER_CHARS).collect());
        let body = read_capped(&mut response).await;
        Ok(Answer { status, retry_after, body })
    }
}

impl Shared {
    async fn secure(&self) -> Result<&Client, EgressError> {
        self.secure.get_or_try_init(|| self.build(false)).await
    }

    async fn plain(&self) -> Result<&Client, EgressError> {
        self.plain.get_or_try_init(|| self.build(true)).await
    }

    async fn build(&self, is_plain: bool) -> Result<Client, EgressError> {
        let resolver = Checked { policy: self.policy.clone(), lookup: self.lookup.clone(), is_plain };
        // reading the system's roots is file work
        let built = tokio::task::spawn_blocking(move || build(resolver, is_plain)).await;
        let built = built.map_err(|error| EgressError::Setup { reason: error.to_string() })?;
        built.map_err(|error| EgressError::Setup { reason: innermost(&error) })
    }
}

fn build(resolver: Checked, is_plain: bool) -> reqwest::Result<Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // an error means that another part was faster, which is as good
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    #[expect(clippy::disallowed_methods, reason = "this is the client everybody else has to use")]
    let builder = Client::builder();
    let builder = builder
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(concat!("tracehound/", env!("CARGO_PKG_VERSION")));
    if is_plain {
        // needs no roots, and must work on a machine that has none
        return builder.tls_certs_only([]).build();
    }
    builder.https_only(true).build()
}

/// The resolver that the connector calls for each new connection.
struct Checked {
    policy: Arc<Policy>,
    lookup: Arc<dyn Lookup>,
    is_plain: bool,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, is_plain) = (self.policy.clone(), self.is_plain);
        let looking_up = self.lookup.lookup(name.as_str().to_owned());
        Box::pin(async move {
            let found = looking_up.await.map_err(|_| Refused::Unresolved)?;
            if found.is_empty() {
                return Err(Refused::Unresolved.into());
            }
            // one forbidden address among public ones condemns the name: it is how rebinding looks
            for ip in &found {
                policy.refuse(*ip, is_plain)?;
            }
            let addresses: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

/// Replaces `traceparent` by the one of the current span, when there is a tracer and the span is of interest to it.
fn carry_trace(headers: &mut HeaderMap) {
    struct Headers<'a>(&'a mut HeaderMap);

    impl Injector for Headers<'_> {
        fn set(&mut self, key: &str, value: String) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
                self.0.insert(name, value);
            }
        }
    }

    let context = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|w3c| w3c.inject_context(&context, &mut Headers(headers)));
}

/// Travels through the connector's errors and is found again by [`explain`].
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Refused {
    #[error("{0} address")]
    Address(&'static str),
    #[error("plain http")]
    Plain,
    #[error("not resolved")]
    Unresolved,
}

impl From<Refused> for EgressError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Address(class) => Self::Address { class },
            Refused::Plain => Self::Plain,
            Refused::Unresolved => Self::Resolve,
        }
    }
}

fn explain(error: &reqwest::Error) -> EgressError {
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(inner) = source {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return (*refused).into();
        }
        source = inner.source();
    }
    if error.is_timeout() {
        return EgressError::Timeout;
    }
    let reason = innermost(error);
    if error.is_connect() { EgressError::Connect { reason } } else { EgressError::Exchange { reason } }
}

/// The last error of the chain: what happened, without the URL that the outer ones carry.
fn innermost(error: &reqwest::Error) -> String {
    let Some(mut inner) = error.source() else { return "request could not be sent".to_owned() };
    while let Some(deeper) = inner.source() {
        inner = deeper;
    }
    inner.to_string()
}

/// A body that breaks off or takes too long is as good as its beginning: the status has been read.
async fn read_capped(response: &mut reqwest::Response) -> Bytes {
    let mut body = BytesMut::new();
    while body.len() < MAX_ANSWER_BYTES {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        let room = MAX_ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    body.freeze()
}

#[cfg(test)]
mod tests;
