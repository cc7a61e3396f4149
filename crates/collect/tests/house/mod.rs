//! A collector with a real log, a real key store and real sockets, and the plainest of clients.

#![allow(dead_code, reason = "each test file uses its own part of the house")]

pub mod call;
pub mod frames;
pub mod value;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use access::Access;
use collect::redaction::Policy;
use collect::{Door, Pressure, Settings, bind};
use model::{EventBatch, Lsn, TenantId};
use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};
use runtime::{Clock, Database, Random, Supervisor};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wal::Wal;

pub const NOW: i64 = 1_764_000_000_000_000_000;
/// No test waits longer for a fact.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub type Durable = Arc<Mutex<Vec<(Lsn, EventBatch)>>>;

pub struct House {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub key: String,
    pub wal: Wal<EventBatch>,
    /// What the log's writer thread was given, in order.
    pub durable: Durable,
    /// While shut, the log makes frames durable and does not answer.
    pub gate: Arc<Gate>,
    pub pressure: Arc<Mutex<Pressure>>,
    /// How often the collector asked for the pressure.
    pub asked: Arc<AtomicUsize>,
    pub supervisor: Supervisor,
    pub access: Access,
    pub clock: Clock,
    pub dir: TempDir,
}

/// Lets the log's writer thread through, or holds it.
#[derive(Default)]
pub struct Gate {
    is_shut: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub fn shut(&self) {
        *self.is_shut.lock().expect("not poisoned") = true;
    }

    pub fn open(&self) {
        *self.is_shut.lock().expect("not poisoned") = false;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let shut = self.is_shut.lock().expect("not poisoned");
        drop(self.changed.wait_while(shut, |is_shut| *is_shut).expect("not poisoned"));
    }
}

/// Nothing is remembered: most tests say the same thing again and again, and mean it.
pub fn settings() -> Settings {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Settings { grpc: any, http: any, resend_window: Duration::ZERO, ..Settings::loopback() }
}

/// Opens the log as it lies in `dir`.
pub fn open_log(dir: &Path) -> (Wal<EventBatch>, Durable, Arc<Gate>) {
    let durable = Durable::default();
    let gate = Arc::<Gate>::default();
    let (sink, held) = (Arc::clone(&durable), Arc::clone(&gate));
    let log = wal::Settings {
        segment_bytes: 128 << 20,
        budget_bytes: 512 << 20,
        reserve_bytes: 0,
        ..wal::Settings::new(dir.join("wal"))
    };
    let opened = Wal::open(log, move |lsn, batch| {
        held.pass();
        sink.lock().expect("no panic while noting").push((lsn, batch));
    });
    (opened.expect("the log opens").0, durable, gate)
}

impl House {
    pub async fn open() -> Self {
        Self::with(settings(), None).await
    }

    pub async fn with(settings: Settings, open_tenant: Option<TenantId>) -> Self {
        Self::redacting(settings, open_tenant, None).await
    }

    pub async fn redacting(settings: Settings, open_tenant: Option<TenantId>, redaction: Option<Arc<Policy>>) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let clock = Clock::fixed(NOW);
        let db = Database::open(&dir.path().join("db.sqlite")).await.expect("the database opens");
        let access = Access::open(db, clock.clone(), Random).await.expect("the key store opens");
        let key = access.bootstrap().await.expect("first start").ingest_key.expect("first start makes a key");
        let (wal, durable, gate) = open_log(dir.path());
        let pressure = Arc::new(Mutex::new(Pressure::Open));
        let asked = Arc::<AtomicUsize>::default();
        let (told, asking) = (Arc::clone(&pressure), Arc::clone(&asked));
        let pressure_now = Arc::new(move || {
            let now = told.lock().expect("not poisoned");
            asking.fetch_add(1, Ordering::SeqCst);
            *now
        });
        let door = Door {
            wal: wal.clone(),
            access: access.clone(),
            clock: clock.clone(),
            pressure: pressure_now,
            open_tenant,
            redaction,
        };
        let collector = bind(settings, door, &mut runtime::Listeners::default()).await.expect("free ports");
        let (grpc, http) = (collector.grpc_addr(), collector.http_addr());
        let supervisor = Supervisor::new();
        if let Some(tls) = collector.tls().cloned() {
            supervisor.start("certificates", |stop| tls.follow(stop));
        }
        supervisor.start("collect", |stop| collector.serve(stop));
        Self { grpc, http, key, wal, durable, gate, pressure, asked, supervisor, access, clock, dir }
    }

    /// Ends when the collector asked for the pressure again, after it was set to this.
    pub async fn asked_under(&self, pressure: Pressure) {
        let before = {
            let mut now = self.pressure.lock().expect("not poisoned");
            *now = pressure;
            self.asked.load(Ordering::SeqCst)
        };
        while self.asked.load(Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
    }

    /// Rows made durable so far.
    pub fn rows(&self) -> usize {
        self.durable.lock().expect("not poisoned").iter().map(|(_, batch)| batch.len()).sum()
    }

    pub fn batches(&self) -> Vec<EventBatch> {
        self.durable.lock().expect("not poisoned").iter().map(|(_, batch)| batch.clone()).collect()
    }

    /// Posts over HTTP/1.1 with the right key and the given headers.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        send(self.http, "POST", path, &all, body).await
    }
}

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as `google.rpc.Status`: code and message.
    pub fn rpc_status(&self) -> (i64, String) {
        if self.header("content-type") == "application/json" {
            let json = self.json();
            return (json["code"].as_i64().expect("code"), json["message"].as_str().expect("message").to_owned());
        }
        let status = RpcStatus::decode(self.body.as_slice()).expect("google.rpc.Status");
        (i64::from(status.code), status.message)
    }
}

/// `google.rpc.Status` as a client knows it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<RpcDetail>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcDetail {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

pub async fn send(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| *name == "transfer-encoding") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    let socket = TcpStream::connect(addr).await.expect("the collector listens");
    exchange(socket, &request).await
}

/// Writes raw bytes and reads the answer until the server closes. Writing may be cut short by an early answer.
pub async fn exchange(mut socket: TcpStream, request: &[u8]) -> Answer {
    let (mut reading, mut writing) = socket.split();
    let mut answer = Vec::new();
    let both = async {
        let (_, read) = tokio::join!(writing.write_all(request), reading.read_to_end(&mut answer));
        read
    };
    tokio::time::timeout(DEADLINE, both).await.expect("an answer in time").expect("an answer, not a reset");
    parse(&answer)
}

pub fn parse(answer: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(answer);
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let (head, _) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: HashMap<_, _> = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let body = answer[answer.len() - length..].to_vec();
    Answer { status: status.expect("a status line"), headers, body }
}

pub fn span(number: u8) -> Span {
    Span {
        trace_id: vec![number.max(1); 16],
        span_id: vec![number.max(1); 8],
        name: format!("operation {number}"),
        start_time_unix_nano: NOW as u64,
        end_time_unix_nano: NOW as u64 + 1_000,
        ..Span::default()
    }
}

pub fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

pub fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("into memory")
}
