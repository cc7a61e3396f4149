//! All rooms on a temporary directory, and the router on a loopback socket.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use access::Access;
use alerts::AlertBook;
use api::{ApiState, Auth, Check, Parts, Settings};
use lake::Lake;
use model::detection::RuleInfo;
use model::{Detection, EventBatch, EventId, Lsn, Severity, Signal, TenantId, TraceId, UnixNanos};
use pipeline::RuleShelf;
use pipeline::detect::Tally;
use query::{BacktestLimits, Backtests, Limits, Query};
use runtime::{Clock, Database, Random, Stop, Supervisor};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::Client;

/// The moment at which every test takes place: 2025-11-24T16:00:00Z.
pub const NOW: i64 = 1_764_000_000_000_000_000;

/// A rule file that is valid.
pub const RULE: &str = "title: Failed logins\nid: 11111111-2222-4333-8444-555555555555\nlevel: high\ntags: [attack.t1110]\n\
logsource:\n  product: otel\ndetection:\n  selection:\n    http.response.status_code: 401\n  condition: selection\n";

pub struct House {
    pub lake: Lake,
    pub book: AlertBook,
    pub access: Access,
    pub shelf: RuleShelf,
    pub is_well: Arc<AtomicBool>,
    pub dir: tempfile::TempDir,
    client: Client,
    tokens: Mutex<VecDeque<String>>,
    next_lsn: AtomicU64,
    stop: Stop,
    /// Nobody answers them here.
    _questions: pipeline::peek::Questions,
    _tasks: Supervisor,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.ask();
    }
}

impl House {
    /// A house that wants a login.
    pub async fn new() -> Self {
        Self::with(Auth::Session).await
    }

    pub async fn with(auth: Auth) -> Self {
        Self::with_backtests(auth, BacktestLimits { share: 1.0, ..BacktestLimits::default() }).await
    }

    pub async fn with_backtests(auth: Auth, backtests: BacktestLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(NOW);
        let db = Database::open(&dir.path().join("tracehound.db")).await.unwrap();
        let lake = Lake::open(lake::Settings::new(dir.path().join("lake")), db.clone(), clock.clone()).await.unwrap();
        let url = "http://127.0.0.1:8080/".parse().unwrap();
        let book = AlertBook::open(db.clone(), alerts::Settings::new(url), clock.clone(), Random).await.unwrap();
        let access = Access::open(db, clock.clone(), Random).await.unwrap();
        let first = access.bootstrap().await.unwrap();
        let rules = dir.path().join("rules");
        std::fs::create_dir(&rules).unwrap();
        std::fs::write(rules.join("login.yml"), RULE).unwrap();
        let shelf = RuleShelf::open(&rules).unwrap();
        let is_well = Arc::new(AtomicBool::new(true));
        let stop = Stop::new();
        let query = Query::new(lake.clone(), clock.clone(), Limits::default()).unwrap();
        let backtests = Backtests::new(query.clone(), clock.clone(), backtests, Arc::new(rules::NoPlaces));
        let (peek, questions) = pipeline::peek::channel();
        let state = ApiState::new(Parts {
            query,
            backtests: backtests.clone(),
            peek,
            alerts: book.clone(),
            access: access.clone(),
            rules: shelf.clone(),
            tally: Tally::default(),
            clock,
            random: Random,
            settings: Settings {
                auth,
                secure_cookie: false,
                version: "0.1.0-test".to_owned(),
                otlp_grpc: "http://127.0.0.1:4317".to_owned(),
                otlp_http: "http://127.0.0.1:4318".to_owned(),
                demo: false,
            },
            spans_seen: {
                let lake = lake.clone();
                Arc::new(move || lake.stats().signals[0].memtable_rows > 0)
            },
            checks: vec![check("wal", &is_well), check("lake", &Arc::new(AtomicBool::new(true)))],
            metrics: Arc::new(|| "tracehound_up 1\n".to_owned()),
            stop: stop.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client { addr: listener.local_addr().unwrap(), cookie: None };
        let tasks = Supervisor::new();
        let (router, served) = (api::router(state), stop.clone());
        tasks.start("backtests", |stop| backtests.work(stop));
        tasks.start("api", |_| async move { api::serve(listener, router, served).await.unwrap() });
        let tokens = Mutex::new([first.login_token].into());
        Self {
            lake,
            book,
            access,
            shelf,
            is_well,
            dir,
            client,
            tokens,
            next_lsn: AtomicU64::new(1),
            stop,
            _questions: questions,
            _tasks: tasks,
        }
    }

    /// Somebody who is not logged in.
    pub fn stranger(&self) -> Client {
        self.client.clone()
    }

    /// Somebody who is logged in, by the link of the console.
    pub async fn user(&self) -> Client {
        let session = self.access.login(&self.login_token()).await.unwrap();
        Client { cookie: Some(session.value), ..self.client.clone() }
    }

    /// The token of a login link that was not used yet.
    pub fn login_token(&self) -> String {
        self.tokens.lock().unwrap().pop_front().expect("one login per house")
    }

    pub fn rules_dir(&self) -> std::path::PathBuf {
        Path::new(self.dir.path()).join("rules")
    }

    pub fn ask_to_stop(&self) {
        self.stop.ask();
    }

    /// Stores an OTLP/JSON request, as the corridor would.
    pub fn store(&self, signal: Signal, request: &Value) {
        self.store_bytes(signal, otlp::Format::Json, request.to_string().as_bytes());
    }

    /// The same in protobuf.
    pub fn store_protobuf(&self, signal: Signal, request: &[u8]) {
        self.store_bytes(signal, otlp::Format::Protobuf, request);
    }

    fn store_bytes(&self, signal: Signal, format: otlp::Format, request: &[u8]) {
        let arrival = otlp::Arrival { received_at: UnixNanos(NOW), key_id: None, ..otlp::Arrival::default() };
        let decoded = otlp::decode(signal, format, request, &arrival).unwrap();
        assert_eq!(decoded.rejected, 0, "{}", decoded.message);
        let batch = EventBatch {
            tenant: TenantId::default_tenant(),
            signal,
            received_at: UnixNanos(NOW),
            lsn: Lsn(0),
            records: decoded.records,
        };
        let lsn = Lsn(self.next_lsn.fetch_add(1, Ordering::SeqCst));
        self.lake.insert(batch.placed(lsn).unwrap());
    }

    /// Stores a span; `more` goes into it.
    pub fn span(&self, service: &str, trace: u128, span: u64, more: &Value) {
        let mut fields = json!({
            "traceId": format!("{trace:032x}"), "spanId": format!("{span:016x}"), "name": "GET /", "kind": 2,
            "startTimeUnixNano": (NOW - 60_000_000_000).to_string(),
            "endTimeUnixNano": (NOW - 60_000_000_000 + 5_000_000).to_string(),
        });
        for (key, value) in more.as_object().unwrap() {
            fields[key] = value.clone();
        }
        self.store(
            Signal::Spans,
            &json!({"resourceSpans": [{
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                "scopeSpans": [{"scope": {"name": "lib", "version": "1.2"}, "spans": [fields]}],
            }]}),
        );
    }

    /// Raises an alert, as the rule engine would, and gives its id.
    pub async fn alert(&self, name: &str, level: Severity) -> String {
        let rule = RuleInfo { id: format!("rule-{name}"), title: format!("Rule {name}"), level, ..RuleInfo::default() };
        let tenant = TenantId::default_tenant();
        let group = vec![("user.id".to_owned(), "mallory".to_owned())];
        let trace: TraceId = format!("{:032x}", 0xabc_u32).parse().unwrap();
        let detection = Detection {
            id: Detection::derive_id(&tenant, &rule, &group, name),
            tenant: tenant.clone(),
            rule: Arc::new(rule),
            group,
            at: UnixNanos(NOW - 1_000),
            window_start: UnixNanos(NOW - 2_000),
            metric: Some(5.0),
            events: vec![EventId::Span(trace, "00000000000000aa".parse().unwrap())],
            events_omitted: 3,
            reason: "five failed logins".to_owned(),
        };
        self.book.apply(&[detection]).await.unwrap();
        let page = self.book.list(&tenant, &alerts::AlertFilter { limit: 100, ..Default::default() }).await.unwrap();
        page.items.into_iter().find(|incident| incident.rule.id == format!("rule-{name}")).unwrap().id
    }
}

fn check(name: &'static str, is_well: &Arc<AtomicBool>) -> Check {
    let is_well = Arc::clone(is_well);
    let probe = move || if is_well.load(Ordering::SeqCst) { Ok("fine".to_owned()) } else { Err("stopped".to_owned()) };
    Check { name, probe: Arc::new(probe) }
}
