//! OTLP over TLS: whom the listeners talk to, whom a client certificate speaks for, and new certificates for old ones.

mod house;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::AsArray as _;
use bytes::Bytes;
use collect::tls::{ClientAuth, ClientCertificates, Identity, Look, Tls, TlsSettings};
use collect::{KEY_HEADER, Settings};
use house::{DEADLINE, House, NOW, frames, settings, span, traces};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use prost::Message as _;
use proto::collector::trace::v1::trace_service_client::TraceServiceClient;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType, date_time_ymd,
};
use runtime::Clock;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Code;
use tonic::transport::{Certificate as Pem, ClientTlsConfig, Endpoint, Identity as PemIdentity};

const CART: &str = "spiffe://prod.example/ns/shop/sa/cart";
const NOW_SECS: u64 = NOW as u64 / 1_000_000_000;

/// Signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
#[derive(Clone)]
struct Issued {
    der: CertificateDer<'static>,
    pem: String,
    key_pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    fn server(&self) -> Issued {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params)
    }

    /// Valid for `secs` past the collector's clock.
    fn client(&self, names: Vec<SanType>, secs: i64) -> Issued {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let end = Duration::from_secs(NOW_SECS.saturating_add_signed(secs));
        params.not_after = date_time_ymd(1970, 1, 1) + end;
        self.issue(&params)
    }

    fn cart(&self) -> Issued {
        self.client(vec![uri(CART)], 3_600)
    }

    fn issue(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let certificate: Certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Issued { der: certificate.der().clone(), pem: certificate.pem(), key_pem: key.serialize_pem() }
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

/// A collector with TLS: its files, who signed them, and who signs its clients.
struct Secured {
    house: House,
    servers: Authority,
    clients: Authority,
    served: Issued,
    folder: TempDir,
}

/// Which clients a test lets in.
enum Ask {
    Nobody,
    Clients(ClientAuth, Vec<Identity>),
}

impl Secured {
    async fn open(ask: Ask) -> Self {
        Self::with(ask, |tls| tls, settings()).await
    }

    async fn with(ask: Ask, change: impl FnOnce(TlsSettings) -> TlsSettings, settings: Settings) -> Self {
        metrics();
        let folder = tempfile::tempdir().expect("a folder");
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let served = servers.server();
        std::fs::write(folder.path().join("clients.pem"), clients.0.pem()).expect("written");
        let tls = TlsSettings::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let clients_asked = match ask {
            Ask::Nobody => None,
            Ask::Clients(auth, identities) => {
                Some(ClientCertificates { ca_file: folder.path().join("clients.pem"), auth, identities })
            }
        };
        let tls = change(TlsSettings { clients: clients_asked, look_every: Duration::from_millis(20), ..tls });
        write(&folder, &served.pem, &served.key_pem);
        let house = House::with(Settings { tls: Some(tls), ..settings }, None).await;
        Self { house, servers, clients, served, folder }
    }

    /// A client that trusts our authority, and shows a certificate when it has one.
    fn client(&self, shown: Option<&Issued>) -> ClientConfig {
        client(&self.servers, shown, &[&version::TLS12, &version::TLS13])
    }

    fn with_key(&self) -> Vec<(&'static str, String)> {
        vec![(KEY_HEADER, self.house.key.clone())]
    }

    /// One span over HTTP/1.1 and TLS.
    async fn post(&self, shown: Option<&Issued>, headers: Vec<(&'static str, String)>) -> io::Result<(u16, String)> {
        post(self.house.http, self.client(shown), headers).await
    }

    /// One span over gRPC and TLS, by tonic's own client.
    async fn call(&self, shown: Option<&Issued>, with_key: bool) -> Result<(), (Code, String)> {
        let mut config =
            ClientTlsConfig::new().ca_certificate(Pem::from_pem(self.servers.0.pem())).domain_name("localhost");
        if let Some(shown) = shown {
            config = config.identity(PemIdentity::from_pem(&shown.pem, &shown.key_pem));
        }
        let address = format!("https://localhost:{}", self.house.grpc.port());
        let endpoint = Endpoint::from_shared(address).expect("an address").tls_config(config).expect("sound files");
        let unreachable = |error: tonic::transport::Error| (Code::Unknown, format!("{error:?}"));
        let channel = endpoint.connect().await.map_err(unreachable)?;
        let mut request = tonic::Request::new(traces(vec![span(1)]));
        if with_key {
            request.metadata_mut().insert(KEY_HEADER, self.house.key.parse().expect("printable"));
        }
        let answer = TraceServiceClient::new(channel).export(request).await;
        answer.map(drop).map_err(|status| (status.code(), status.message().to_owned()))
    }

    /// Tenant and `auth.key_id` of every batch.
    fn bearers(&self) -> Vec<(String, String)> {
        let of = |batch: model::EventBatch| {
            let column = batch.records.column_by_name(model::signal::KEY_ID).expect("a column of every batch");
            (batch.tenant.as_str().to_owned(), model::view::text_at(column, 0).unwrap_or_default().to_owned())
        };
        self.house.batches().into_iter().map(of).collect()
    }

    /// The certificate that a new connection is shown.
    async fn shown_now(&self) -> CertificateDer<'static> {
        let stream = connect(self.house.http, self.client(None)).await.expect("a handshake");
        stream.get_ref().1.peer_certificates().expect("a certificate")[0].clone().into_owned()
    }
}

fn write(folder: &TempDir, cert: &str, key: &str) {
    for (name, text) in [("cert.pem", cert), ("key.pem", key)] {
        let (aside, path): (PathBuf, PathBuf) = (folder.path().join("aside"), folder.path().join(name));
        std::fs::write(&aside, text).expect("written");
        std::fs::rename(aside, path).expect("put in place");
    }
}

fn client(servers: &Authority, shown: Option<&Issued>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(servers.0.der().clone()).expect("a sound authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(versions).expect("versions of ring").with_root_certificates(roots);
    match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let key = PrivateKeyDer::from_pem_slice(shown.key_pem.as_bytes()).expect("a key");
            builder.with_client_auth_cert(vec![shown.der.clone()], key).expect("key and certificate belong together")
        }
    }
}

async fn connect(addr: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    connect_again(addr, &Arc::new(config)).await
}

/// With a configuration that remembers the sessions it had.
async fn connect_again(addr: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let connecting = TlsConnector::from(Arc::clone(config)).connect(name, socket);
    tokio::time::timeout(DEADLINE, connecting).await.expect("a handshake in time")
}

fn export(headers: Vec<(&'static str, String)>) -> Request<Full<Bytes>> {
    let mut request = Request::post("https://localhost/v1/traces")
        .header("host", "localhost")
        .header("content-type", "application/x-protobuf");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Full::from(traces(vec![span(1)]).encode_to_vec())).expect("a request")
}

async fn post(
    addr: SocketAddr,
    config: ClientConfig,
    headers: Vec<(&'static str, String)>,
) -> io::Result<(u16, String)> {
    post_on(connect(addr, config).await?, headers).await
}

async fn post_on(stream: TlsStream<TcpStream>, headers: Vec<(&'static str, String)>) -> io::Result<(u16, String)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let exchange = async {
        let answer = sender.send_request(export(headers)).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        drop(sender);
        Ok::<_, hyper::Error>((status, String::from_utf8_lossy(&body).into_owned()))
    };
    let both = async { tokio::join!(exchange, connection) };
    // why a connection ended is known to the connection alone; its request was merely cancelled
    match tokio::time::timeout(DEADLINE, both).await.expect("an answer in time") {
        (Ok(answer), _) => Ok(answer),
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(io::Error::other(error)),
    }
}

fn identity(san: &str, tenant: &str) -> Identity {
    Identity { san: san.parse().expect("a pattern"), tenant: tenant.parse().expect("a tenant"), services: None }
}

/// Shop's services, and the tenant that the house's key belongs to.
fn known() -> Vec<Identity> {
    vec![identity("spiffe://prod.example/ns/shop/*", "shop"), identity("gateway.example", "default")]
}

/// The one recorder of this process.
fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().expect("the first recorder"))
}

/// The sum of a metric over the lines that hold every one of `labels`.
fn counted(name: &str, labels: &[&str]) -> f64 {
    let text = metrics().render();
    let lines = text.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn failures(reason: &str) -> f64 {
    counted("tracehound_collect_tls_handshake_failures_total", &[&format!("reason=\"{reason}\"")])
}

fn reloads(outcome: &str) -> f64 {
    counted("tracehound_collect_tls_reloads_total", &[&format!("outcome=\"{outcome}\"")])
}

/// Looks until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_listeners_take_events_over_tls_with_an_ingest_key() {
    let secured = Secured::open(Ask::Nobody).await;
    assert_eq!(secured.post(None, secured.with_key()).await.expect("an answer").0, 200);
    secured.call(None, true).await.expect("stored");
    let refused = secured.post(None, Vec::new()).await.expect("an answer");
    assert_eq!(refused.0, 401, "TLS alone is no credential: {}", refused.1);
    assert_eq!(secured.call(None, false).await.expect_err("no key").0, Code::Unauthenticated);
    assert_eq!(secured.house.rows(), 2);
    let expiry = counted("tracehound_collect_tls_certificate_expiry_timestamp_seconds", &[]);
    assert!(expiry > NOW_SECS as f64, "{expiry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_agreed_upon_where_it_is_offered_and_tls_1_2_still_works() {
    let secured = Secured::open(Ask::Nobody).await;
    let mut config = secured.client(None);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = connect(secured.house.http, config).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 over TLS");
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    assert_eq!(sender.send_request(export(secured.with_key())).await.expect("an answer").status(), StatusCode::OK);

    let old = client(&secured.servers, None, &[&version::TLS12]);
    let stream = connect(secured.house.http, old).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(post_on(stream, secured.with_key()).await.expect("an answer").0, 200);

    let mut config = secured.client(None);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    connect(secured.house.grpc, config).await.expect_err("gRPC is HTTP/2");
    until("the refusal to be counted", async || failures("no_application_protocol") > 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_33_a_flood_of_pings_is_cut_over_tls_as_it_is_in_plaintext() {
    let secured = Secured::open(Ask::Nobody).await;
    for addr in [secured.house.grpc, secured.house.http] {
        let mut config = secured.client(None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let floods = counted("tracehound_collect_flood_connections_total", &[]);
        let stream = frames::greet(connect(addr, config).await.expect("a handshake")).await;
        let pongs = frames::flood_with_pings(stream).await;
        assert!(pongs < 10_000, "{pongs} pongs were earned");
        assert!(
            counted("tracehound_collect_flood_connections_total", &[]) > floods,
            "cut for the flood, and not for another reason"
        );
        assert_eq!(secured.post(None, secured.with_key()).await.expect("an answer").0, 200, "others do not notice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_another_authority_does_not_talk_to_us() {
    let secured = Secured::open(Ask::Nobody).await;
    let stranger = client(&Authority::new("servers"), None, &[&version::TLS13]);
    let error = connect(secured.house.http, stranger).await.expect_err("not its authority");
    assert!(error.to_string().contains("certificate"), "{error}");
    until("the alert to be counted", async || failures("refused_by_client") > 0.0).await;
    assert_eq!(secured.post(None, secured.with_key()).await.expect("an answer").0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_client_certificate_there_is_no_connection_when_it_is_required() {
    let secured = Secured::open(Ask::Clients(ClientAuth::Require, known())).await;
    let error = secured.post(None, secured.with_key()).await.expect_err("no certificate, whatever the key");
    assert!(format!("{error:?}").contains("CertificateRequired"), "the client is told why: {error:?}");
    secured.call(None, true).await.expect_err("no certificate, whatever the key");
    until("both to be counted", async || failures("no_client_certificate") >= 2.0).await;
    let old = client(&secured.servers, None, &[&version::TLS12]);
    connect(secured.house.http, old).await.expect_err("nor over TLS 1.2");
    secured.call(Some(&secured.clients.cart()), false).await.expect("a good certificate is let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_of_another_authority_or_past_its_end_is_refused() {
    for auth in [ClientAuth::Require, ClientAuth::Optional] {
        let secured = Secured::open(Ask::Clients(auth, known())).await;
        let forged = Authority::new("clients").cart();
        secured.post(Some(&forged), secured.with_key()).await.expect_err("signed by a namesake");
        secured.call(Some(&forged), true).await.expect_err("signed by a namesake");
        let expired = secured.clients.client(vec![uri(CART)], -1);
        let error = secured.post(Some(&expired), secured.with_key()).await.expect_err("expired");
        assert!(format!("{error:?}").contains("CertificateExpired"), "the client is told why: {error:?}");
        secured.call(Some(&expired), true).await.expect_err("expired");
        let mut params = CertificateParams::new(["gateway.example".to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = secured.clients.issue(&params);
        secured.post(Some(&server), Vec::new()).await.expect_err("a certificate for servers is none for clients");
        assert_eq!(secured.house.rows(), 0);
        assert_eq!(secured.post(Some(&secured.clients.cart()), Vec::new()).await.expect("an answer").0, 200);
    }
    assert!(failures("client_certificate_expired") >= 4.0);
    assert!(failures("client_certificate_unknown_issuer") + failures("client_certificate_invalid") >= 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spiffe_id_is_a_credential_by_itself_and_is_written_down() {
    let secured = Secured::open(Ask::Clients(ClientAuth::Require, known())).await;
    let cart = secured.clients.cart();
    assert_eq!(secured.post(Some(&cart), Vec::new()).await.expect("an answer").0, 200);
    secured.call(Some(&cart), false).await.expect("stored");
    let expected = ("shop".to_owned(), format!("cert:{CART}"));
    assert_eq!(secured.bearers(), [expected.clone(), expected]);
    let mut reader = secured.house.wal.reader(wal::ReaderName::Archive);
    let entry = reader.next().expect("a sound log").expect("a frame");
    assert_eq!(entry.frame.key_id.as_deref(), Some(format!("cert:{CART}").as_str()), "the log has it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_stands_for_nobody_needs_a_key_like_anybody() {
    let secured = Secured::open(Ask::Clients(ClientAuth::Require, known())).await;
    let other = secured.clients.client(vec![uri("spiffe://prod.example/ns/other/sa/x")], 3_600);
    let (status, text) = secured.post(Some(&other), Vec::new()).await.expect("an answer");
    assert_eq!(status, 401);
    assert!(text.contains("spiffe://prod.example/ns/other/sa/x") && text.contains("otlp.tls.identities"), "{text}");
    let (code, text) = secured.call(Some(&other), false).await.expect_err("nobody");
    assert_eq!(code, Code::Unauthenticated);
    assert!(text.contains("spiffe://prod.example/ns/other/sa/x"), "{text}");
    let wrong = vec![(KEY_HEADER, "th_0000000000000000_nonsense".to_owned())];
    assert_eq!(secured.post(Some(&other), wrong).await.expect("an answer").0, 401);
    assert_eq!(secured.house.rows(), 0);
    assert_eq!(secured.post(Some(&other), secured.with_key()).await.expect("an answer").0, 200);
    assert_eq!(secured.bearers()[0].0, "default", "the key's tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_beside_a_certificate_must_mean_the_same_tenant() {
    let secured = Secured::open(Ask::Clients(ClientAuth::Require, known())).await;
    let cart = secured.clients.cart();
    assert_eq!(secured.post(Some(&cart), secured.with_key()).await.expect("an answer").0, 403);
    assert_eq!(secured.call(Some(&cart), true).await.expect_err("two tenants").0, Code::PermissionDenied);
    let wrong = vec![(KEY_HEADER, "th_0000000000000000_nonsense".to_owned())];
    assert_eq!(secured.post(Some(&cart), wrong).await.expect("an answer").0, 401, "a key that is shown must be right");
    assert_eq!(secured.house.rows(), 0);
    let gateway = secured.clients.client(vec![SanType::DnsName("gateway.example".try_into().expect("ASCII"))], 60);
    assert_eq!(secured.post(Some(&gateway), secured.with_key()).await.expect("an answer").0, 200);
    let (tenant, key_id) = secured.bearers().remove(0);
    assert_eq!(tenant, "default");
    assert!(secured.house.key.contains(&key_id), "the key is what is written down: {key_id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_a_certificate_are_verified_and_a_key_beside_it_must_share_one() {
    let listed = |san: &str, tenant: &str, service: &str| Identity {
        services: Some(Arc::from([service.to_owned()])),
        ..identity(san, tenant)
    };
    // the span of these tests names no service: that reads as unknown_service, as resources without a name do
    let identities = vec![
        listed("spiffe://prod.example/ns/shop/sa/cart", "default", "cart"),
        listed("spiffe://prod.example/ns/shop/sa/unknown", "default", "unknown_service"),
    ];
    let secured = Secured::open(Ask::Clients(ClientAuth::Require, identities)).await;
    let (cart, unknown) =
        (secured.clients.cart(), secured.clients.client(vec![uri(&CART.replace("cart", "unknown"))], 60));
    for shown in [&cart, &unknown] {
        assert_eq!(secured.post(Some(shown), Vec::new()).await.expect("an answer").0, 200);
    }
    let verified: Vec<_> = secured.house.batches().iter().map(verified).collect();
    assert_eq!(verified, [Some(false), Some(true)]);

    let limits = access::LimitsChange { services: Some(vec!["pay".to_owned()]), ..access::LimitsChange::default() };
    let admin = access::Principal::without_login(model::TenantId::default_tenant());
    let key = secured.house.access.create_limited_key(&admin, "pay", &limits).await.expect("a key").secret;
    let (status, text) = secured.post(Some(&cart), vec![(KEY_HEADER, key)]).await.expect("an answer");
    assert_eq!(status, 403, "{text}");
    assert_eq!(secured.post(Some(&cart), secured.with_key()).await.expect("an answer").0, 200);
    assert_eq!(secured.house.batches().last().map(self::verified), Some(Some(false)), "held to the certificate's list");
}

fn verified(batch: &model::EventBatch) -> Option<bool> {
    let column = batch.records.column_by_name(model::signal::SERVICE_VERIFIED).expect("in the schema");
    column.as_boolean().iter().next().flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_certificates_are_optional_a_key_alone_will_do() {
    let secured = Secured::open(Ask::Clients(ClientAuth::Optional, known())).await;
    assert_eq!(secured.post(None, secured.with_key()).await.expect("an answer").0, 200);
    secured.call(None, true).await.expect("stored");
    assert_eq!(secured.post(None, Vec::new()).await.expect("an answer").0, 401);
    assert_eq!(secured.post(Some(&secured.clients.cart()), Vec::new()).await.expect("an answer").0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_served_and_open_connections_go_on() {
    let secured = Secured::open(Ask::Nobody).await;
    assert_eq!(secured.shown_now().await, secured.served.der);
    let stream = connect(secured.house.http, secured.client(None)).await.expect("a handshake");
    let (mut open, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 over TLS");
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    assert_eq!(open.send_request(export(secured.with_key())).await.expect("an answer").status(), StatusCode::OK);

    let renewed = secured.servers.server();
    write(&secured.folder, &renewed.pem, &renewed.key_pem);
    until("the new certificate", async || secured.shown_now().await == renewed.der).await;
    assert_eq!(open.send_request(export(secured.with_key())).await.expect("an answer").status(), StatusCode::OK);
    assert!(reloads("swapped") >= 1.0);
    assert_eq!(secured.house.rows(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_new_file_leaves_the_old_certificate_in_force() {
    let secured = Secured::open(Ask::Nobody).await;
    let renewed = secured.servers.server();
    for (cert, key) in [
        ("no certificate", secured.served.key_pem.as_str()),
        (&renewed.pem, &secured.served.key_pem),
        (&secured.served.pem, "no key"),
    ] {
        let failed = reloads("failed");
        write(&secured.folder, cert, key);
        until("the failure to be counted", async || reloads("failed") > failed).await;
        assert_eq!(secured.shown_now().await, secured.served.der);
        assert_eq!(secured.post(None, secured.with_key()).await.expect("an answer").0, 200);
    }
    std::fs::remove_file(secured.folder.path().join("key.pem")).expect("removed");
    assert_eq!(secured.post(None, secured.with_key()).await.expect("an answer").0, 200);
    write(&secured.folder, &renewed.pem, &renewed.key_pem);
    until("the good one", async || secured.shown_now().await == renewed.der).await;
}

#[test]
fn every_change_of_the_files_is_judged_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("servers");
    let (first, second) = (authority.server(), authority.server());
    write(&folder, &first.pem, &first.key_pem);
    let settings = TlsSettings::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let tls = Tls::open(settings, Clock::fixed(NOW)).expect("sound files");
    assert_eq!(tls.look(), Look::Same);
    write(&folder, &second.pem, &first.key_pem);
    assert_eq!([tls.look(), tls.look(), tls.look()], [Look::Failed, Look::Same, Look::Same]);
    std::fs::remove_file(folder.path().join("key.pem")).expect("removed");
    assert_eq!([tls.look(), tls.look()], [Look::Failed, Look::Same]);
    write(&folder, &second.pem, &second.key_pem);
    assert_eq!([tls.look(), tls.look()], [Look::Swapped, Look::Same]);
    // the old pair again: what is in force is what lies there
    write(&folder, &first.pem, &first.key_pem);
    assert_eq!([tls.look(), tls.look()], [Look::Swapped, Look::Same]);
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_on_a_tls_port_is_closed_and_others_are_served() {
    let secured = Secured::open(Ask::Nobody).await;
    for addr in [secured.house.http, secured.house.grpc] {
        for words in
            [&b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\n"]
        {
            let failed = failures("not_tls");
            let mut plain = TcpStream::connect(addr).await.expect("the collector listens");
            plain.write_all(words).await.expect("sent");
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(DEADLINE, plain.read_to_end(&mut rest)).await;
            closed.expect("closed in time").ok();
            assert!(!rest.starts_with(b"HTTP/"), "no plaintext answer: {rest:?}");
            until("the failure to be counted", async || failures("not_tls") > failed).await;
            assert_eq!(secured.post(None, secured.with_key()).await.expect("an answer").0, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_finishes_its_handshake_is_cut_and_keeps_no_place() {
    let quick = |tls| TlsSettings { handshake_timeout: Duration::from_millis(300), ..tls };
    let secured = Secured::with(Ask::Nobody, quick, Settings { max_connections: 2, ..settings() }).await;
    let failed = failures("timeout");
    let mut silent = Vec::new();
    // the second one begins a record and leaves it at that
    for words in [&b""[..], &[22, 3, 1, 2, 0]] {
        let mut socket = TcpStream::connect(secured.house.http).await.expect("the collector listens");
        socket.write_all(words).await.expect("sent");
        silent.push(socket);
    }
    assert_eq!(secured.post(None, secured.with_key()).await.expect("an answer, once there is a place").0, 200);
    for mut socket in silent {
        let closed = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut Vec::new())).await;
        closed.expect("closed in time").ok();
    }
    until("both to be counted", async || failures("timeout") >= failed + 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_handshakes() {
    let secured = Secured::open(Ask::Nobody).await;
    let silent = TcpStream::connect(secured.house.http).await.expect("the collector listens");
    until("the handshake to begin", async || counted("tracehound_collect_tls_handshakes", &[]) > 0.0).await;
    let cut_off = secured.house.supervisor.stop(Duration::from_secs(5)).await;
    assert!(cut_off.is_empty(), "{cut_off:?}");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_the_certificate_it_was_opened_with() {
    let secured = Secured::open(Ask::Clients(ClientAuth::Require, known())).await;
    let short = secured.clients.client(vec![uri(CART)], 2);
    let config = Arc::new(secured.client(Some(&short)));
    let stream = connect_again(secured.house.http, &config).await.expect("a handshake");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 over TLS");
    assert!(!sender.is_closed());
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    assert_eq!(sender.send_request(export(Vec::new())).await.expect("an answer").status(), StatusCode::OK);
    let ended = tokio::time::timeout(DEADLINE, tasks.join_next()).await.expect("closed in time");
    ended.expect("one task").expect("no panic").expect("closed in order, with GOAWAY");

    // a remembered session does not outlive the certificate either: it is not verified again when it is resumed
    secured.house.clock.advance(Duration::from_secs(10));
    match connect_again(secured.house.http, &config).await {
        Ok(stream) => drop(post_on(stream, Vec::new()).await.expect_err("the certificate has expired")),
        Err(error) => assert!(error.to_string().contains("xpired"), "{error}"),
    }
    assert_eq!(secured.house.rows(), 1);
}
