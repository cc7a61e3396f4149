//! What the outgoing client guarantees, against real sockets on loopback.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tracing::Instrument as _;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// Answers every name with the next of its answers, the last one again and again.
struct Script {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Script {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }
}

impl Lookup for Script {
    fn lookup(&self, _: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let at = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let answer = self.answers[at].clone();
        Box::pin(async move { Ok(answer) })
    }
}

/// A receiver that gives one raw answer to every request, keeps what it got, and counts connections.
struct Receiver {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (seen, counted) = (requests.clone(), connections.clone());
        #[expect(clippy::disallowed_methods, reason = "a test's receiver lives as long as its runtime")]
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while !is_whole(&request) {
                    match socket.read(&mut part).await {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request.extend_from_slice(&part[..read]),
                    }
                }
                seen.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                drop(socket.write_all(answer.as_bytes()).await);
            }
        });
        Self { port, requests, connections }
    }

    async fn ok() -> Self {
        Self::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned()).await
    }

    fn url(&self, host: &str) -> Url {
        format!("http://{host}:{}/hook?token=hush", self.port).parse().unwrap()
    }
}

/// Whether the request, or as much as a receiver without TLS has to see of a handshake, has arrived.
fn is_whole(request: &[u8]) -> bool {
    const TLS_HANDSHAKE: u8 = 0x16;
    request.first() == Some(&TLS_HANDSHAKE)
        || request.windows(4).any(|part| part == b"\r\n\r\n") && request.ends_with(b"body")
}

fn loopback() -> Policy {
    Policy { allow: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()], allow_http: false }
}

async fn post(egress: &Egress, url: &str) -> Result<Answer, EgressError> {
    egress.post(&url.parse().unwrap(), HeaderMap::new(), Bytes::from_static(b"body")).await
}

#[tokio::test]
async fn an_allowed_loopback_receiver_gets_the_request() {
    let receiver = Receiver::ok().await;
    let egress = Egress::new(loopback());
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "msg_1".parse().unwrap());
    let answer = egress.post(&receiver.url("127.0.0.1"), headers, Bytes::from_static(b"body")).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"ok"[..]));
    let request = receiver.requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("POST /hook?token=hush HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("webhook-id: msg_1\r\n") && request.ends_with("\r\n\r\nbody"), "{request}");
}

#[tokio::test]
async fn every_form_of_an_address_that_is_not_public_is_refused() {
    let egress = Egress::new(Policy { allow: Vec::new(), allow_http: true });
    for (host, class) in [
        ("127.0.0.1", "loopback"),
        ("127.8.9.10", "loopback"),
        ("2130706433", "loopback"),
        ("0x7f000001", "loopback"),
        ("0177.0.0.1", "loopback"),
        ("0x7f.1", "loopback"),
        ("127.1", "loopback"),
        ("127.0.0.1.", "loopback"),
        ("①②⑦.0.0.1", "loopback"),
        ("[::1]", "loopback"),
        ("[::ffff:127.0.0.1]", "loopback"),
        ("[::ffff:7f00:1]", "loopback"),
        ("[::127.0.0.1]", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0", "unspecified"),
        ("[::]", "unspecified"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("0xc0a80101", "private"),
        ("[::ffff:192.168.1.1]", "private"),
        ("[fc00::1]", "private"),
        ("[fdff::1]", "private"),
        ("[fec0::1]", "private"),
        ("169.254.169.254", "link-local"),
        ("2852039166", "link-local"),
        ("[::ffff:a9fe:a9fe]", "link-local"),
        ("[64:ff9b::a9fe:a9fe]", "link-local"),
        ("[64:ff9b::10.0.0.1]", "private"),
        ("[64:ff9b:1::a00:1]", "local NAT64"),
        ("[2002:a00:1::]", "private"),
        ("[::ffff:0:10.0.0.1]", "private"),
        ("[2001::1]", "tunnel"),
        ("[fe80::1]", "link-local"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"),
        ("224.0.0.1", "multicast"),
        ("[ff02::1]", "multicast"),
        ("255.255.255.255", "reserved"),
        ("192.0.0.1", "reserved"),
        ("198.18.0.1", "benchmarking"),
        ("192.0.2.1", "documentation"),
        ("[2001:db8::1]", "documentation"),
        ("[4000::1]", "reserved"),
    ] {
        for scheme in ["http", "https"] {
            match post(&egress, &format!("{scheme}://{host}:9/")).await {
                Err(EgressError::Address { class: found }) => assert_eq!(found, class, "{host}"),
                other => panic!("{host}: {other:?}"),
            }
        }
    }
    for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.167.1.1", "[2606:4700::1111]", "[64:ff9b::1.1.1.1]"] {
        egress.check(&format!("https://{public}/").parse().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_an_address_that_is_not_public_is_refused() {
    let receiver = Receiver::ok().await;
    for answer in [&["127.0.0.1"][..], &["1.1.1.1", "127.0.0.1"], &["::ffff:127.0.0.1"], &["64:ff9b::7f00:1"]] {
        let lookup = Script::new(&[answer]);
        let egress = Egress::with_lookup(Policy { allow: Vec::new(), allow_http: true }, lookup);
        let refused = post(&egress, receiver.url("shop.example").as_str()).await.unwrap_err();
        assert!(matches!(refused, EgressError::Address { class: "loopback" }), "{answer:?}: {refused:?}");
        assert_eq!(refused.kind(), ErrorKind::Forbidden);
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_is_judged_by_the_answer_that_is_connected_to() {
    // what is looked up is what is connected to: an answer that was fine once opens no door to the next
    let receiver = Receiver::ok().await;
    let lookup = Script::new(&[&["127.0.0.1"], &["10.0.0.1"], &["127.0.0.1"]]);
    let egress = Egress::with_lookup(loopback(), lookup.clone());
    let url = receiver.url("shop.example");
    assert!(post(&egress, url.as_str()).await.is_ok());
    assert!(matches!(post(&egress, url.as_str()).await, Err(EgressError::Address { class: "private" })));
    assert!(post(&egress, url.as_str()).await.is_ok());
    assert_eq!(lookup.asked.load(Ordering::SeqCst), 3, "one look-up per connection, none beside it");
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn plain_http_stays_on_the_machine_unless_the_operator_says_otherwise() {
    let strict = Egress::new(loopback());
    assert!(matches!(post(&strict, "http://1.1.1.1/").await, Err(EgressError::Plain)));
    let named = Egress::with_lookup(loopback(), Script::new(&[&["1.1.1.1"]]));
    assert!(matches!(post(&named, "http://shop.example/").await, Err(EgressError::Plain)));
    let open = Egress::new(Policy { allow: Vec::new(), allow_http: true });
    open.check(&"http://1.1.1.1/".parse().unwrap()).unwrap();
    for odd in ["ftp://1.1.1.1/", "file:///etc/passwd", "data:text/plain,x"] {
        assert!(matches!(post(&open, odd).await, Err(EgressError::Url)), "{odd}");
    }
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let target = Receiver::ok().await;
    let location = target.url("127.0.0.1");
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let receiver = Receiver::start(answer).await;
    let answer = post(&Egress::new(loopback()), receiver.url("127.0.0.1").as_str()).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_is_read_to_the_limit_and_its_retry_after_is_kept() {
    let body = "x".repeat(1 << 20);
    let answer = format!("HTTP/1.1 503 Busy\r\nretry-after: 120\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let receiver = Receiver::start(answer).await;
    let answer = post(&Egress::new(loopback()), receiver.url("127.0.0.1").as_str()).await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.retry_after.as_deref(), Some("120"));
    assert_eq!(answer.body.len(), MAX_ANSWER_BYTES);
}

#[tokio::test]
async fn a_compressed_answer_is_not_inflated() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope".to_owned();
    let receiver = Receiver::start(answer).await;
    let answer = post(&Egress::new(loopback()), receiver.url("127.0.0.1").as_str()).await.unwrap();
    assert_eq!(&answer.body[..], b"nope");
    assert!(!receiver.requests.lock().unwrap()[0].to_lowercase().contains("accept-encoding"));
}

#[tokio::test]
async fn a_traced_request_carries_its_trace() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let subscriber = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
    let receiver = Receiver::ok().await;
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-00000000000000000000000000000001-0000000000000001-00".parse().unwrap());
    let sending = async {
        let span = tracing::info_span!("deliver");
        let egress = Egress::new(loopback());
        let url = receiver.url("127.0.0.1");
        let sent = egress.post(&url, headers, Bytes::from_static(b"body"));
        sent.instrument(span.clone()).await.unwrap();
        span.context().span().span_context().trace_id().to_string()
    };
    let trace = sending.with_subscriber(subscriber).await;
    let request = receiver.requests.lock().unwrap()[0].clone();
    assert!(request.contains(&format!("traceparent: 00-{trace}-")), "{trace}: {request}");
    assert_eq!(request.matches("traceparent").count(), 1);
}

#[tokio::test]
async fn errors_name_neither_the_url_nor_an_address() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let egress = Egress::new(loopback());
    let error = post(&egress, &format!("http://127.0.0.1:{port}/hook?token=hush")).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hush") && !shown.contains("127.0.0.1"), "{shown}");
    let nowhere = Egress::with_lookup(loopback(), Script::new(&[&[]]));
    assert!(matches!(post(&nowhere, "https://shop.example/").await, Err(EgressError::Resolve)));
}

#[tokio::test]
async fn a_receiver_that_does_not_speak_tls_gets_nothing_over_https() {
    let receiver = Receiver::ok().await;
    let url = receiver.url("127.0.0.1").as_str().replace("http://", "https://");
    let error = post(&Egress::new(loopback()), &url).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. } | EgressError::Setup { .. }), "{error:?}");
    assert!(receiver.requests.lock().unwrap().iter().all(|request| !request.contains("hush")));
}

#[tokio::test]
async fn a_silent_receiver_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let egress = Egress::new(loopback());
    drop(post(&egress, "http://127.0.0.1:1/").await);
    tokio::time::pause();
    let error = post(&egress, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout), "{error:?}");
}
