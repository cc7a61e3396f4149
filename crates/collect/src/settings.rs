//! What an operator may set.

use std::net::SocketAddr;
use std::time::Duration;

use crate::tls::TlsSettings;
use otlp::TrustedProxies;

/// Settings of the collector.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of OTLP/gRPC; port 0 takes a free one.
    pub grpc: SocketAddr,
    /// Address of OTLP/HTTP; port 0 takes a free one.
    pub http: SocketAddr,
    /// Largest request, on the wire and after inflating, in bytes. OTLP recommends 64 MiB.
    pub max_inflated_bytes: u64,
    /// Most bytes held for requests that are being read, decoded or made durable. Past it clients are told to come
    /// back. Raised to what a single request of the largest size needs, so that no request is refused for ever.
    pub max_in_flight_bytes: u64,
    /// Longest time to read, store and answer one request.
    pub request_timeout: Duration,
    /// Most open connections of one listener; further ones wait to be accepted.
    pub max_connections: usize,
    /// A connection on which nothing moves for this long is closed.
    pub idle_timeout: Duration,
    /// Networks of proxies that are believed when they say for whom they ask.
    pub trusted_proxies: TrustedProxies,
    /// A connection this old is asked to end when its requests are answered, so that clients spread anew over servers
    /// and certificates. Up to a tenth less, so that those who came together do not leave together.
    pub max_connection_age: Duration,
    /// How long a request is remembered, so that one which comes again is acknowledged and not stored again; no time
    /// remembers nothing.
    pub resend_window: Duration,
    /// Most requests remembered at once, at least 1; past it the oldest is forgotten before its time.
    pub max_resends: usize,
    /// TLS for both listeners; `None` serves plaintext.
    pub tls: Option<TlsSettings>,
}

impl Settings {
    /// The ports of the OpenTelemetry registry on the loopback interface, with every limit at its default.
    pub fn loopback() -> Self {
        Self {
            grpc: SocketAddr::from(([127, 0, 0, 1], 4317)),
            http: SocketAddr::from(([127, 0, 0, 1], 4318)),
            max_inflated_bytes: 64 << 20,
            max_in_flight_bytes: 320 << 20,
            request_timeout: Duration::from_secs(30),
            max_connections: 4_096,
            idle_timeout: Duration::from_secs(120),
            trusted_proxies: TrustedProxies::default(),
            max_connection_age: Duration::from_secs(3_600),
            resend_window: Duration::from_secs(600),
            max_resends: 65_536,
            tls: None,
        }
    }
}
