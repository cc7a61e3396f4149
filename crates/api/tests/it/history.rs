//! One engine for live and history: what the pipeline raised, a backtest over its files finds, and `rules replay` as well.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alerts::{AlertBook, AlertFilter};
use lake::Lake;
use model::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use model::{EventBatch, Signal, TenantId, TimeRange, UnixNanos};
use pipeline::checkpoint::CheckpointFile;
use pipeline::detect::{Detector, Parts, Tally};
use pipeline::{Corridor, RuleShelf, history, peek};
use query::{BacktestLimits, BacktestRequest, Ended, Limits, Query, Watch};
use rules::backtest::BacktestReport;
use rules::{NoPlaces, RuleBook, offline};
use runtime::{Clock, Database, Random, Supervisor};
use serde_json::{Value, json};
use wal::{Frame, Wal};

use crate::house::NOW;

/// Rules of each kind, on spans, on logs and on both; nothing is held back, so that every verdict shows.
const RULES: &str = r#"
title: refused
id: refused
name: refused
logsource: {product: otel, category: span}
detection: {s: {kind: server, http.response.status_code: 401}, condition: s}
---
title: let in
id: let_in
name: let_in
logsource: {product: otel, category: span}
detection: {s: {kind: server, http.response.status_code: 200}, condition: s}
---
title: noted
id: noted
name: noted
logsource: {product: otel, category: log}
detection: {s: {event_name: login.note}, condition: s}
---
title: teapot
id: teapot
suppress: {by: [user.id], for: 0s}
detection: {s: {http.response.status_code: 418}, condition: s}
---
title: many refused
id: many
generate: true
suppress: {for: 0s}
correlation: {type: event_count, rules: [refused], group-by: [user.id], timespan: 10s, condition: {gte: 3}}
---
title: many routes
id: routes
suppress: {for: 0s}
correlation: {type: value_count, rules: [refused, let_in], group-by: [user.id], timespan: 20s, condition: {field: http.route, gte: 3}}
---
title: few in a window
id: few
suppress: {for: 0s}
correlation: {type: event_count, rules: [let_in], group-by: [user.id], timespan: 5s, condition: {lte: 1}}
---
title: refused, noted, let in
id: ordered
suppress: {for: 0s}
correlation: {type: temporal_ordered, rules: [refused, noted, let_in], group-by: [user.id], timespan: 15s}
---
title: refused and not noted
id: absent
suppress: {for: 0s}
correlation: {type: temporal, condition: refused and not noted, group-by: [user.id], timespan: 8s}
---
title: many, and then let in
id: chain
suppress: {for: 0s}
correlation: {type: temporal_ordered, rules: [many, let_in], group-by: [user.id], timespan: 30s}
---
title: query
id: query
name: query
logsource: {product: otel, category: span}
detection: {s: {name: query}, condition: s}
---
title: refused after a query
id: queried
suppress: {for: 0s}
correlation: {type: trace_pattern, rules: [refused, query], relate: [query child_of refused]}
---
title: refused without a query
id: unqueried
suppress: {for: 0s}
correlation: {type: trace_pattern, rules: [refused, query], where: refused and not query, complete: {quiet: 5s}}
---
title: query for one user
id: inherited
name: inherited
generate: true
suppress: {by: [entry.user.id], for: 0s}
logsource: {product: otel, category: span}
detection: {s: {name: query, entry.user.id: [user-1, user-2]}, condition: s}
---
title: many queries for one user
id: inherited_many
suppress: {for: 0s}
correlation: {type: event_count, rules: [inherited], group-by: [entry.user.id], timespan: 20s, condition: {gte: 2}}
---
title: let in at a new route
id: new_route
suppress: {for: 0s}
correlation: {type: first_seen, rules: [let_in], fields: [http.route], group-by: [user.id], learn: 20s, forget: 10m}
"#;

/// The rules that raise alerts.
const LOUD: [&str; 12] = [
    "teapot",
    "many",
    "routes",
    "few",
    "ordered",
    "absent",
    "chain",
    "queried",
    "unqueried",
    "inherited",
    "inherited_many",
    "new_route",
];

/// Rule, group and millisecond.
type Verdict = (String, Vec<(String, String)>, i64);

/// How long before its parent a query ends.
const QUERY_BEFORE_MILLIS: i64 = 300;
/// The first id of spans of queries.
const QUERIES: usize = 0x1_0000;

struct Happening {
    /// When it ended, in milliseconds before now.
    ago_millis: i64,
    lasted_millis: i64,
    is_log: bool,
    user: u64,
    route: u64,
    status: i64,
}

/// Events of two minutes in order of their ends; no two at the same millisecond. The same for the same seed.
fn happenings(seed: u64) -> Vec<Happening> {
    let mut state = seed;
    let mut dice = move |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    };
    let mut made = Vec::new();
    let mut ago_millis = 100_000;
    while ago_millis > 500 {
        made.push(Happening {
            ago_millis,
            // some began long before all others
            lasted_millis: if dice(12) == 0 { 150_000 } else { i64::try_from(dice(900)).unwrap() },
            is_log: dice(4) == 0,
            user: dice(5),
            route: dice(6),
            status: [401, 401, 200, 200, 200, 418][usize::try_from(dice(6)).unwrap()],
        });
        ago_millis -= 1 + i64::try_from(dice(500)).unwrap();
    }
    made
}

fn attribute(key: &str, value: Value) -> Value {
    json!({"key": key, "value": value})
}

impl Happening {
    fn end(&self) -> i64 {
        NOW - self.ago_millis * NANOS_PER_MILLI
    }

    fn user(&self) -> String {
        format!("user-{}", self.user)
    }

    /// Whether it asked a database while it lasted.
    fn has_query(&self) -> bool {
        !self.is_log && self.lasted_millis >= QUERY_BEFORE_MILLIS
    }

    /// The span of its query, as OTLP: it ends before its parent, and comes before it.
    fn query_request(&self, number: usize) -> Value {
        let end = self.end() - QUERY_BEFORE_MILLIS * NANOS_PER_MILLI;
        let resource = json!({"attributes": [attribute("service.name", json!({"stringValue": "shop"}))]});
        let span = json!({
            "traceId": format!("{:032x}", number + 1), "spanId": format!("{:016x}", number + QUERIES), "name": "query",
            "parentSpanId": format!("{:016x}", number + 1), "kind": 1,
            "startTimeUnixNano": end.to_string(), "endTimeUnixNano": end.to_string(),
        });
        json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})
    }

    /// The span of its query, as a line of a file.
    fn query_line(&self, number: usize) -> String {
        json!({"ts": self.end() / NANOS_PER_MILLI - QUERY_BEFORE_MILLIS, "service.name": "shop", "name": "query",
            "kind": "internal", "trace_id": format!("{:032x}", number + 1),
            "span_id": format!("{:016x}", number + QUERIES), "parent_span_id": format!("{:016x}", number + 1)})
        .to_string()
    }

    /// As OTLP.
    fn request(&self, number: usize) -> (Signal, Value) {
        let resource = json!({"attributes": [attribute("service.name", json!({"stringValue": "shop"}))]});
        let user = attribute("user.id", json!({"stringValue": self.user()}));
        if self.is_log {
            let record = json!({"timeUnixNano": self.end().to_string(), "eventName": "login.note", "attributes": [user],
                "body": {"stringValue": "noted"}});
            return (
                Signal::Logs,
                json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}),
            );
        }
        let span = json!({
            "traceId": format!("{:032x}", number + 1), "spanId": format!("{:016x}", number + 1), "name": "login", "kind": 2,
            "startTimeUnixNano": (self.end() - self.lasted_millis * NANOS_PER_MILLI).to_string(),
            "endTimeUnixNano": self.end().to_string(),
            "attributes": [user, attribute("http.response.status_code", json!({"intValue": self.status.to_string()})),
                attribute("http.route", json!({"stringValue": format!("/r{}", self.route)}))],
        });
        (Signal::Spans, json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}))
    }

    /// As a line of a file.
    fn line(&self, number: usize) -> String {
        let mut event = json!({"ts": self.end() / NANOS_PER_MILLI, "user.id": self.user(), "service.name": "shop"});
        match self.is_log {
            true => event["event_name"] = json!("login.note"),
            false => {
                event["kind"] = json!("server");
                event["name"] = json!("login");
                event["trace_id"] = json!(format!("{:032x}", number + 1));
                event["span_id"] = json!(format!("{:016x}", number + 1));
                event["http.response.status_code"] = json!(self.status);
                event["http.route"] = json!(format!("/r{}", self.route));
            }
        }
        event.to_string()
    }
}

struct Plant {
    _dir: tempfile::TempDir,
    clock: Clock,
    lake: Lake,
    book: AlertBook,
    wal: Wal<EventBatch>,
    tally: Tally,
    tasks: Supervisor,
}

impl Plant {
    /// The pipeline behind the collector: log, corridor, engine, book of alerts.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(NOW);
        let database = Database::open(&dir.path().join("tracehound.db")).await.unwrap();
        let lake =
            Lake::open(lake::Settings::new(dir.path().join("lake")), database.clone(), clock.clone()).await.unwrap();
        let mut alerts = alerts::Settings::new("http://127.0.0.1/".parse().unwrap());
        // each detection is an alert of its own
        alerts.group_for = Duration::ZERO;
        let book = AlertBook::open(database, alerts, clock.clone(), Random).await.unwrap();
        let rules = dir.path().join("rules");
        std::fs::create_dir(&rules).unwrap();
        std::fs::write(rules.join("rules.yml"), RULES).unwrap();
        let shelf = RuleShelf::open(&rules).unwrap();
        assert!(shelf.list().iter().all(|file| file.diagnostics.is_empty()), "{:?}", shelf.list());
        let corridor = Corridor::new(lake.clone(), 64 << 20);
        let publisher = corridor.clone();
        let settings = wal::Settings { reserve_bytes: 0, ..wal::Settings::new(dir.path().join("wal")) };
        let (wal, _) = Wal::open(settings, move |lsn, batch| publisher.publish(lsn, batch)).unwrap();
        let tally = Tally::default();
        let (_, questions) = peek::channel();
        let detector = Detector::open(Parts {
            wal: wal.clone(),
            queue: corridor.queue(),
            rules: shelf.subscribe(),
            book: book.clone(),
            checkpoint: CheckpointFile::open(&dir.path().join("detect")).unwrap(),
            clock: clock.clone(),
            tally: tally.clone(),
            limits: None,
            proxies: Arc::from([]),
            history: history::desk().0,
            places: Arc::new(NoPlaces),
            questions,
        });
        let tasks = Supervisor::new();
        tasks.start("detect", |stop| detector.run(stop));
        Self { _dir: dir, clock, lake, book, wal, tally, tasks }
    }

    /// Takes one request in as the collector does.
    async fn take(&self, signal: Signal, request: &Value) {
        let tenant = TenantId::default_tenant();
        let received_at = UnixNanos(NOW);
        let payload = request.to_string().into_bytes();
        let arrival = otlp::Arrival { received_at, ..otlp::Arrival::default() };
        let decoded = otlp::decode(signal, otlp::Format::Json, &payload, &arrival).unwrap();
        assert_eq!((decoded.rejected, decoded.message.as_str()), (0, ""));
        let batch =
            EventBatch { tenant: tenant.clone(), signal, received_at, lsn: model::Lsn(0), records: decoded.records };
        let format = wal::Format::Json;
        let frame =
            Frame { tenant, key_id: None, services: None, signal, format, received_at, payload: payload.into() };
        self.wal.append(frame, batch).await.unwrap();
    }

    /// Every alert, once there are as many as detections and the last window is closed.
    async fn live(&self, at_least: usize) -> BTreeSet<Verdict> {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            // windows are closed once a second
            tokio::time::sleep(Duration::from_millis(100)).await;
            let found = self.alerts().await;
            let counted: u64 = LOUD.into_iter().map(|rule| self.tally.of(rule)).sum();
            if found.len() >= at_least && found.len() as u64 == counted {
                return found;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "{} alerts, {counted} counted, {at_least} expected",
                found.len()
            );
        }
    }

    async fn alerts(&self) -> BTreeSet<Verdict> {
        let mut found = BTreeSet::new();
        let mut filter = AlertFilter { limit: 500, ..AlertFilter::default() };
        loop {
            let page = self.book.list(&TenantId::default_tenant(), &filter).await.unwrap();
            found.extend(page.items.into_iter().map(|alert| (alert.rule.id, alert.group, alert.first_seen.millis())));
            match page.next_cursor {
                Some(cursor) => filter.cursor = Some(cursor),
                None => return found,
            }
        }
    }
}

fn replayed(happenings: &[Happening]) -> BTreeSet<Verdict> {
    let mut book = RuleBook::new();
    book.update("rules.yml", RULES).unwrap();
    // a file ends with its last event: one that matches nothing says that time went on, as it does live
    let later = json!({"ts": NOW / NANOS_PER_MILLI + 60_000}).to_string();
    let queries = happenings.iter().enumerate().filter(|(_, happening)| happening.has_query());
    let queries = queries.map(|(number, happening)| happening.query_line(number));
    let lines = happenings.iter().enumerate().map(|(number, happening)| happening.line(number));
    let lines: Vec<String> = lines.chain(queries).chain([later]).collect();
    let alerts = offline::replay(&book.compile(), lines.iter().map(String::as_str), "ts", "id").unwrap();
    alerts.into_iter().map(|alert| (alert.rule, alert.group, alert.at_ms)).collect()
}

/// What rules raise over the events from so many seconds before now on.
async fn run(lake: &Lake, clock: &Clock, rules: &str, ago_secs: i64, memory_bytes: u64) -> BacktestReport {
    let query = Query::new(lake.clone(), clock.clone(), Limits::default()).unwrap();
    let mut book = RuleBook::new();
    book.update("rules.yml", rules).unwrap();
    let start = UnixNanos(NOW - ago_secs * NANOS_PER_SEC);
    let request = BacktestRequest {
        candidate: book.related(&["rules.yml"]),
        deployed: None,
        range: TimeRange { start, end: UnixNanos(NOW + 120 * NANOS_PER_SEC) },
    };
    let limits = BacktestLimits { share: 1.0, memory_bytes, samples: 100_000, ..BacktestLimits::default() };
    let (tenant, watch) = (TenantId::default_tenant(), Watch::new());
    let outcome = query.backtest(&tenant, &request, &limits, Arc::new(NoPlaces), &watch).await.unwrap();
    assert_eq!((outcome.ended, outcome.missing_files.as_slice()), (Ended::Whole, &[][..]));
    outcome.report
}

async fn backtested(lake: &Lake, clock: &Clock, memory_bytes: u64) -> BTreeSet<Verdict> {
    let report = run(lake, clock, RULES, 3_600, memory_bytes).await;
    let mut found = BTreeSet::new();
    for rule in &report.rules {
        assert_eq!(rule.baseline.is_some(), rule.info.id == "new_route");
        assert_eq!(rule.alerts, rule.samples.len() as u64, "{}", rule.info.id);
        assert_eq!(rule.alerts, rule.histogram.iter().map(|bar| bar.alerts).sum::<u64>());
        assert_eq!((rule.counters.late, rule.counters.evicted, rule.counters.limited), (0, 0, 0));
        let verdict =
            |sample: &rules::backtest::Sample| (rule.info.id.clone(), sample.group.clone(), sample.at.millis());
        found.extend(rule.samples.iter().map(verdict));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn live_detections_are_those_of_a_backtest_and_of_a_replay() {
    let seed = 2026;
    println!("seed {seed}");
    let happenings = happenings(seed);
    let expected = replayed(&happenings);
    for rule in LOUD {
        assert!(expected.iter().any(|(found, ..)| found == rule), "no alert of {rule}: the events show too little");
    }
    let plant = Plant::new().await;
    for (number, happening) in happenings.iter().enumerate() {
        if happening.has_query() {
            plant.take(Signal::Spans, &happening.query_request(number)).await;
        }
        let (signal, request) = happening.request(number);
        plant.take(signal, &request).await;
        if number == happenings.len() / 2 {
            plant.lake.flush().await.unwrap();
        }
    }
    // time passes, and closes the windows that wait for what is missing
    plant.clock.advance(Duration::from_secs(600));
    let live = plant.live(expected.len()).await;
    assert_eq!(differences(&live, &expected), Vec::<String>::new(), "live against replay");

    let half_in_memory = backtested(&plant.lake, &plant.clock, 64 << 20).await;
    assert_eq!(differences(&half_in_memory, &live), Vec::<String>::new(), "files and memory");
    plant.lake.flush().await.unwrap();
    let in_files = backtested(&plant.lake, &plant.clock, 64 << 20).await;
    assert_eq!(differences(&in_files, &live), Vec::<String>::new(), "files");
    let in_small_windows = backtested(&plant.lake, &plant.clock, 64 << 10).await;
    assert_eq!(differences(&in_small_windows, &live), Vec::<String>::new(), "windows of a few events");
    learns_from_history(&plant).await;
    plant.clock.advance(Duration::from_secs(2 * 3_600));
    while plant.lake.compact_once().await.unwrap() {}
    let merged = backtested(&plant.lake, &plant.clock, 64 << 20).await;
    assert_eq!(differences(&merged, &live), Vec::<String>::new(), "merged files");
    plant.tasks.stop(Duration::from_secs(10)).await;
}

/// Of the last 40 seconds, a rule that learned from the minute before them tells what is new since; one that did not
/// takes everything for new, or, while it learns, nothing.
async fn learns_from_history(plant: &Plant) {
    let rules = |keys: &str| {
        format!(
            "title: let in\nid: let_in\nname: let_in\nlogsource: {{product: otel, category: span}}\n\
detection: {{s: {{kind: server, http.response.status_code: 200}}, condition: s}}\n---\n\
title: new\nid: new\nsuppress: {{for: 0s}}\n\
correlation: {{type: first_seen, rules: [let_in], fields: [http.route], group-by: [user.id], forget: 1h, {keys}}}\n"
        )
    };
    let mut found = Vec::new();
    for keys in ["learn: 30s", "learn: 30s, warm_start: history", "learn: 1h, warm_start: history"] {
        let report = run(&plant.lake, &plant.clock, &rules(keys), 40, 64 << 20).await;
        let rule = report.rules.into_iter().find(|rule| rule.info.id == "new").unwrap();
        let baseline = rule.baseline.unwrap();
        let verdicts: BTreeSet<Verdict> =
            rule.samples.into_iter().map(|sample| (rule.info.id.clone(), sample.group, sample.at.millis())).collect();
        found.push((baseline.is_empty, verdicts));
    }
    let whole = run(&plant.lake, &plant.clock, &rules("learn: 30s"), 3_600, 64 << 20).await;
    let whole = whole.rules.into_iter().find(|rule| rule.info.id == "new").unwrap();
    let late = |sample: &rules::backtest::Sample| sample.at.0 >= NOW - 40 * NANOS_PER_SEC;
    let told = whole.samples.into_iter().filter(late);
    let told: BTreeSet<Verdict> =
        told.map(|sample| (whole.info.id.clone(), sample.group, sample.at.millis())).collect();
    let [(is_empty, alone), (lacks_none, warm), (_, learning)] = &found[..] else { panic!("three runs") };
    assert!(*is_empty && !*lacks_none);
    assert_ne!(alone, warm, "what was before makes a difference");
    assert_eq!(differences(warm, &told), Vec::<String>::new(), "history against a run that saw it all");
    assert!(learning.is_empty(), "its learning goes on: {learning:?}");
}

/// What only one of them has.
fn differences(found: &BTreeSet<Verdict>, expected: &BTreeSet<Verdict>) -> Vec<String> {
    let only = |what: &'static str, one: &BTreeSet<Verdict>, other: &BTreeSet<Verdict>| -> Vec<String> {
        one.difference(other).map(|verdict| format!("{what} {verdict:?}")).collect()
    };
    [only("more", found, expected), only("less", expected, found)].concat()
}
