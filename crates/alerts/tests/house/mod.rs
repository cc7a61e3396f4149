//! A book of alerts on a real database, detections to put into it, and a real HTTP receiver.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop there")]

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alerts::{AlertBook, Retry, Settings, SigningSecret, Target, deliver};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::detection::RuleInfo;
use model::{Detection, EventId, LogId, Lsn, Severity, SpanId, TenantId, TraceId, UnixNanos};
use runtime::egress::{Egress, Policy};
use runtime::{Clock, Database, Random, Stop};
use tokio::sync::Notify;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const NOON: UnixNanos = UnixNanos(1_764_000_000_000_000_000);
pub const MINUTE: i64 = 60_000_000_000;
/// Longer than anything here takes on a slow machine, and never waited for in full when all is well.
const DEADLINE: Duration = Duration::from_secs(30);

pub struct House {
    dir: tempfile::TempDir,
    pub clock: Clock,
    pub settings: Settings,
}

impl House {
    pub fn new() -> Self {
        let mut settings = Settings::new("https://hound.example/ui/".parse().unwrap());
        settings.retry = Retry {
            base: Duration::from_millis(2),
            longest: Duration::from_millis(20),
            max_attempts: 50,
            max_age: Duration::from_secs(3_600),
        };
        Self { dir: tempfile::tempdir().unwrap(), clock: Clock::system(), settings }
    }

    pub fn telling(mut self, receivers: &[&Receiver]) -> Self {
        let secret = SigningSecret::parse(SECRET).unwrap();
        let targets = receivers.iter().enumerate();
        self.settings.targets =
            targets.map(|(index, receiver)| Target::webhook(index, receiver.url(), secret.clone())).collect();
        self
    }

    pub async fn open(&self) -> (AlertBook, Database) {
        let db = Database::open(&self.dir.path().join("house.db")).await.unwrap();
        let book = AlertBook::open(db.clone(), self.settings.clone(), self.clock.clone(), Random).await.unwrap();
        (book, db)
    }
}

/// The sender as the server runs it, until it is stopped or cut off.
pub struct Sender {
    stop: Stop,
    task: tokio::task::JoinHandle<()>,
}

impl Sender {
    pub fn start(book: &AlertBook) -> Self {
        let policy = Policy { allow: vec!["127.0.0.0/8".parse().unwrap()], allow_http: false };
        let stop = Stop::new();
        #[expect(clippy::disallowed_methods, reason = "a test holds the task itself, to cut it off")]
        let task = tokio::spawn(deliver(book.clone(), Egress::new(policy), stop.clone()));
        Self { stop, task }
    }

    pub async fn stop(self) {
        self.stop.ask();
        tokio::time::timeout(DEADLINE, self.task).await.expect("the sender stops when asked").unwrap();
    }

    /// As a crash would: nothing after this moment is written.
    pub async fn cut_off(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// One request that a receiver got.
#[derive(Clone)]
pub struct Got {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Verifies with the library of the specification, which reads the machine's clock.
    pub fn verify(&self) {
        standardwebhooks::Webhook::new(SECRET).unwrap().verify(&self.body, &self.headers).unwrap();
    }
}

/// A webhook receiver on loopback: keeps what it gets and answers by script, then with 204.
#[derive(Clone)]
pub struct Receiver {
    port: u16,
    script: Arc<Mutex<VecDeque<Reply>>>,
    got: Arc<Mutex<Vec<Got>>>,
    changed: Arc<Notify>,
}

#[derive(Clone)]
pub enum Reply {
    Status(u16),
    RetryAfter(u16, &'static str),
    /// Never answers.
    Silence,
}

impl Receiver {
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            got: Arc::default(),
            changed: Arc::default(),
        };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        #[expect(clippy::disallowed_methods, reason = "a test's receiver lives as long as its runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn url(&self) -> url::Url {
        format!("http://127.0.0.1:{}/hook?token=hush", self.port).parse().unwrap()
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until the receiver has got `count` requests.
    pub async fn wait_for(&self, count: usize) -> Vec<Got> {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if self.got().len() >= count {
                    return self.got();
                }
                changed.await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("got {} of {count}", self.got().len()))
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    receiver.got.lock().unwrap().push(Got { headers, body });
    receiver.changed.notify_waiters();
    let reply = receiver.script.lock().unwrap().pop_front();
    let status = |code| StatusCode::from_u16(code).unwrap();
    match reply {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(Reply::Status(code)) => (status(code), "internal detail").into_response(),
        Some(Reply::RetryAfter(code, after)) => (status(code), [("retry-after", after)]).into_response(),
        Some(Reply::Silence) => std::future::pending().await,
    }
}

/// Waits until `check` finds what it looks for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(mut check: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.expect("it comes about within the deadline")
}

pub fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub fn rule(id: &str, level: Severity) -> Arc<RuleInfo> {
    Arc::new(RuleInfo {
        id: id.to_owned(),
        version: "v1".to_owned(),
        title: format!("title of {id}"),
        description: "what it means".to_owned(),
        author: "somebody".to_owned(),
        level,
        tags: vec!["attack.t1110.004".to_owned()],
        references: vec!["https://example.org/".to_owned()],
        false_positives: vec!["tests".to_owned()],
        runbook: "https://example.org/runbook".to_owned(),
    })
}

/// A detection of the rule `stuffing` for one address, `minutes` after noon, with a span and a log record as evidence.
pub fn detection(firing: &str, address: &str, minutes: i64) -> Detection {
    let rule = rule("stuffing", Severity::High);
    let group = vec![("client.address".to_owned(), address.to_owned())];
    let at = NOON.plus(minutes * MINUTE);
    let byte = u8::try_from(minutes.unsigned_abs() % 250).unwrap() + 1;
    let trace = TraceId([byte; 16]);
    Detection {
        id: Detection::derive_id(&tenant(), &rule, &group, firing),
        tenant: tenant(),
        rule,
        group,
        at,
        window_start: at.plus(-5 * MINUTE),
        metric: Some(5.0),
        events: vec![
            EventId::Span(trace, SpanId([byte; 8])),
            EventId::Log(LogId { lsn: Lsn(u64::from(byte)), row: 3 }, Some(trace)),
        ],
        events_omitted: 0,
        reason: format!("5 failed logins from {address} ({firing})"),
    }
}
