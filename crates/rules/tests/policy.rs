//! Service-call policies: judged live whatever the order of arrival, learned from history, written for other enforcers.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, Int8Array, Int64Array, RecordBatch,
    StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::Int32Type;
use model::attribute::{self, Value};
use model::{Detection, EventBatch, EventId, Lsn, Signal, TenantId, UnixNanos};
use rules::policy::{self, ExportError, Learner, Origin, Target};
use rules::{Engine, Outcome, RuleBook, RuleCounters, RuleSet, Settings};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_767_225_600 * SECOND;
const LATER: UnixNanos = UnixNanos(START + 1_000_000 * SECOND);

const SERVER: i8 = 2;
const CLIENT: i8 = 3;

/// A span of a test; what is empty or 0 is absent.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    /// When it ended.
    second: i64,
    trace: u8,
    id: u8,
    parent: u8,
    kind: i8,
    service: &'static str,
    peer: &'static str,
    method: &'static str,
    route: &'static str,
    statement: (&'static str, &'static str),
    port: i64,
}

/// One service calls another over HTTP: the called side, then the caller's.
fn http(second: i64, trace: u8, pair: [&'static str; 2], method: &'static str, route: &'static str) -> [Span; 2] {
    let [caller, callee] = pair;
    let shared = Span { second, trace, method, ..Span::default() };
    [
        Span { id: 2, parent: 1, kind: SERVER, service: callee, route, port: 8080, ..shared },
        Span { id: 1, parent: 9, kind: CLIENT, service: caller, ..shared },
    ]
}

/// A request from outside.
fn entry(second: i64, trace: u8, service: &'static str, route: &'static str) -> Span {
    Span { second, trace, id: 9, kind: SERVER, service, method: "GET", route, port: 443, ..Span::default() }
}

fn query(second: i64, trace: u8, service: &'static str, statement: (&'static str, &'static str)) -> Span {
    let shared = Span { second, trace, id: 3, parent: 2, kind: CLIENT, ..Span::default() };
    Span { service, peer: "postgres", statement, port: 5432, ..shared }
}

fn batch(spans: &[Span]) -> EventBatch {
    let labels = |of: fn(&Span) -> &'static str| -> ArrayRef {
        let texts = spans.iter().map(|span| Some(of(span)).filter(|text| !text.is_empty()));
        Arc::new(texts.collect::<DictionaryArray<Int32Type>>())
    };
    let bytes = |size: usize, number: u8| {
        let mut id = vec![0; size];
        id[size - 1] = number;
        id
    };
    let ids = |size: usize, of: fn(&Span) -> u8| -> ArrayRef {
        Arc::new(FixedSizeBinaryArray::try_from_iter(spans.iter().map(|span| bytes(size, of(span)))).expect("ids"))
    };
    let mut parents = FixedSizeBinaryBuilder::new(8);
    for span in spans {
        match span.parent {
            0 => parents.append_null(),
            parent => parents.append_value(bytes(8, parent)).expect("an id"),
        }
    }
    let resources: Vec<String> = spans.iter().map(|span| resource(span.service)).collect();
    let resources: DictionaryArray<Int32Type> = resources.iter().map(|list| Some(list.as_str())).collect();
    let starts = spans.iter().map(|span| START + span.second * SECOND - 1_000);
    let ports: Int64Array = spans.iter().map(|span| (span.port > 0).then_some(span.port)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("trace_id", ids(16, |span| span.trace)),
        ("span_id", ids(8, |span| span.id)),
        ("parent_span_id", Arc::new(parents.finish())),
        ("name", labels(|span| span.route)),
        ("kind", Arc::new(Int8Array::from_iter_values(spans.iter().map(|span| span.kind)))),
        ("start_time", Arc::new(TimestampNanosecondArray::from_iter_values(starts).with_timezone("+00:00"))),
        ("duration_nanos", Arc::new(Int64Array::from_iter_values(spans.iter().map(|_| 1_000)))),
        ("service", labels(|span| span.service)),
        ("resource", Arc::new(resources)),
        ("service.peer.name", labels(|span| span.peer)),
        ("http.request.method", labels(|span| span.method)),
        ("http.route", labels(|span| span.route)),
        ("db.operation.name", labels(|span| span.statement.0)),
        ("db.collection.name", labels(|span| span.statement.1)),
        ("server.port", Arc::new(ports)),
        ("url.path", Arc::new(spans.iter().map(|_| None::<&str>).collect::<StringArray>())),
    ];
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    EventBatch {
        tenant: TenantId::default_tenant(),
        signal: Signal::Spans,
        received_at: UnixNanos(START),
        lsn: Lsn(1),
        records: RecordBatch::try_from_iter_with_nullable(columns).expect("a batch"),
    }
}

/// Where a service runs: all in one namespace, `web` by its deployment, the others by their label.
fn resource(service: &str) -> String {
    let mut list = String::new();
    let mut say = |key: &str, value: &str| attribute::push_to_list(&mut list, key, &Value::str(value));
    say("k8s.namespace.name", "shop");
    if service == "web" {
        say("k8s.deployment.name", "web");
    } else {
        say("k8s.pod.label.app", service);
        say("k8s.serviceaccount.name", &format!("{service}-account"));
    }
    list
}

const POLICY: &str = "title: Calls\nid: calls\nservice_policy:\n  version: 1\n  services:\n    \
    web: {external: true}\n    \
    orders: {callers: {web: ['GET /orders/{id}', 'POST /orders']}}\n    \
    postgres: {callers: {orders: ['SELECT *']}}\n";

fn compile(text: &str) -> Arc<RuleSet> {
    let mut book = RuleBook::new();
    book.update("policy.yml", text).expect("a valid policy");
    book.compile()
}

/// Second, what is wrong, and with what, of detections, in order.
fn found(detections: &[Detection]) -> Vec<String> {
    let value = |detection: &Detection, name: &str| {
        detection.group.iter().find(|(key, _)| key == name).map_or(String::new(), |(_, value)| value.clone())
    };
    let mut shown: Vec<String> = detections
        .iter()
        .map(|one| {
            let names = ["violation", "service.name", "service.peer.name", "operation"].map(|name| value(one, name));
            format!("{} {}", (one.at.0 - START) / SECOND, names.join(" ").trim_end())
        })
        .collect();
    shown.sort();
    shown
}

fn counters(engine: &Engine) -> RuleCounters {
    engine.counters().find(|(id, _)| *id == "calls").map(|(_, counters)| counters).unwrap_or_default()
}

#[test]
fn what_the_policy_lists_is_allowed_and_the_rest_is_told_by_kind() {
    let mut engine = Engine::new(compile(POLICY));
    let allowed = [
        &[entry(2, 1, "web", "/")][..],
        &http(1, 1, ["web", "orders"], "GET", "/orders/{order}"),
        &[query(1, 1, "orders", ("SELECT", "orders"))],
        // not listed, so not judged
        &http(1, 2, ["web", "catalog"], "GET", "/products"),
    ];
    assert_eq!(engine.evaluate(&batch(&allowed.concat()), LATER), []);
    let wrong = [
        &http(3, 3, ["web", "orders"], "DELETE", "/orders/{id}")[..],
        &http(4, 4, ["images", "orders"], "GET", "/orders/{id}"),
        &[query(5, 5, "orders", ("DROP", "orders")), query(6, 6, "web", ("SELECT", "users"))],
        &[entry(7, 7, "orders", "/orders")],
    ];
    let detections = engine.evaluate(&batch(&wrong.concat()), LATER);
    assert_eq!(
        found(&detections),
        [
            "3 new_operation web orders DELETE /orders/{id}",
            "4 new_caller images orders",
            "5 new_operation orders postgres DROP orders",
            "6 new_caller web postgres",
            "7 external_caller (external) orders",
        ]
    );
    let by_caller = detections.iter().find(|one| one.at.0 == START + 4 * SECOND).expect("the new caller");
    assert_eq!(
        by_caller.reason,
        "images called orders for GET /orders/{id}; the policy does not list images among its callers"
    );
    let [EventId::Span(_, above), EventId::Span(_, below)] = &by_caller.events[..] else { panic!("{by_caller:?}") };
    assert_eq!((above.0[7], below.0[7]), (1, 2), "the caller's span, then the called one");
    assert_eq!(by_caller.rule.tags, ["attack.t1021", "owasp.api8"]);
}

#[test]
fn one_violation_is_told_once_an_hour() {
    let mut engine = Engine::new(compile(POLICY));
    let at = |second: i64, trace: u8| http(second, trace, ["images", "orders"], "GET", "/orders/{id}");
    let other = http(60, 3, ["images", "orders"], "PUT", "/orders/{id}");
    let first = engine.evaluate(&batch(&[at(0, 1), at(59, 2), other].concat()), LATER);
    assert_eq!(found(&first), ["0 new_caller images orders"], "whatever is asked for");
    assert_eq!(found(&engine.evaluate(&batch(&at(3_599, 4)), LATER)), [""; 0]);
    assert_eq!(found(&engine.evaluate(&batch(&at(3_600, 5)), LATER)), ["3600 new_caller images orders"]);
    let counters = counters(&engine);
    assert_eq!((counters.matched, counters.detections, counters.suppressed), (5, 2, 3));
}

#[test]
fn an_exception_holds_through_its_last_day() {
    let until = |day: &str| {
        format!(
            "{POLICY}  exceptions:\n    - {{caller: images, callee: orders, operations: ['GET /**'], until: {day}, reason: move}}\n"
        )
    };
    let call = batch(&http(0, 1, ["images", "orders"], "GET", "/orders/{id}"));
    // the call happens on the first of January
    assert_eq!(Engine::new(compile(&until("2026-01-01"))).evaluate(&call, LATER), []);
    assert_eq!(Engine::new(compile(&until("2025-12-31"))).evaluate(&call, LATER).len(), 1);
    let other = batch(&http(0, 1, ["images", "orders"], "PUT", "/orders/{id}"));
    assert_eq!(Engine::new(compile(&until("2026-01-01"))).evaluate(&other, LATER).len(), 1);
}

#[test]
fn a_caller_whose_span_never_comes_is_told_only_where_the_policy_asks() {
    let orphan = http(0, 1, ["web", "orders"], "GET", "/orders/{id}")[0];
    let passes = |policy: &str| {
        let mut engine = Engine::new(compile(policy));
        assert_eq!(engine.evaluate(&batch(&[orphan]), LATER), []);
        found(&engine.tick(UnixNanos(START + 300 * SECOND)))
    };
    assert_eq!(passes(POLICY), [""; 0]);
    let asked = POLICY.replace("  version: 1\n", "  version: 1\n  alert: {unknown_caller: true}\n");
    assert_eq!(passes(&asked), ["0 unknown_caller (unknown) orders"]);
}

#[test]
fn another_tenants_calls_are_not_judged() {
    let of = |tenant: &str| POLICY.replace("  version: 1\n", &format!("  version: 1\n  tenant: {tenant}\n"));
    let call = batch(&http(0, 1, ["images", "orders"], "GET", "/orders/{id}"));
    assert_eq!(Engine::new(compile(&of("acme"))).evaluate(&call, LATER), []);
    assert_eq!(Engine::new(compile(&of("default"))).evaluate(&call, LATER).len(), 1);
}

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }
}

/// Calls among four services for all sorts of things, in order of time.
fn traffic(numbers: &mut Numbers) -> Vec<Span> {
    let services = ["web", "orders", "images", "catalog"];
    let mut spans = Vec::new();
    for trace in 1..=120_u8 {
        let second = i64::from(trace) / 3;
        let pair = [services[numbers.next(4)], services[numbers.next(4)]];
        let (method, route) = [("GET", "/orders/{id}"), ("PUT", "/orders/{id}"), ("GET", "/x")][numbers.next(3)];
        let mut call = http(second, trace, pair, method, route);
        call[1].second += numbers.next(20) as i64;
        let kept = 1 + numbers.next(2);
        spans.extend(call.into_iter().take(kept));
        if numbers.next(3) == 0 {
            spans.push(query(second, trace, pair[0], ("SELECT", "users")));
        }
    }
    spans.sort_by_key(|span| (span.second, span.trace, span.id));
    spans
}

#[test]
fn any_order_of_arrival_within_lateness_and_a_checkpoint_after_each_batch_give_the_same() {
    let set = compile(&POLICY.replace("  version: 1\n", "  version: 1\n  alert: {unknown_caller: true}\n"));
    let settings = Settings { suppress: false, ..Settings::default() };
    let ids = |detections: &[Detection]| detections.iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>();
    let mut violations = 0;
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let spans = traffic(&mut numbers);
        let mut ordered = Engine::with_settings(Arc::clone(&set), settings);
        let mut expected = ordered.evaluate(&batch(&spans), LATER);
        expected.extend(ordered.tick(UnixNanos(START + 1_000 * SECOND)));
        let mut shuffled = spans.clone();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, numbers.next(at + 1));
        }
        let mut engine = Engine::with_settings(Arc::clone(&set), settings);
        let mut got = Vec::new();
        let mut rest = shuffled.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(1 + numbers.next(40)));
            got.extend(engine.evaluate(&batch(now), LATER));
            let saved = engine.checkpoint();
            engine = Engine::restore_with(Arc::clone(&set), settings, &saved).expect("reads back");
            assert_eq!(engine.checkpoint(), saved, "seed {seed}");
            rest = later;
        }
        got.extend(engine.tick(UnixNanos(START + 1_000 * SECOND)));
        assert_eq!(ids(&got), ids(&expected), "seed {seed}");
        assert_eq!((got.len(), found(&got)), (expected.len(), found(&expected)), "seed {seed}");
        violations += got.len();
    }
    assert!(violations > 1_000, "only {violations} violations tell little");
}

#[test]
fn what_is_remembered_is_bounded_and_what_that_costs_is_counted() {
    let settings = Settings { call_spans: 100, ..Settings::default() };
    let mut engine = Engine::with_settings(compile(POLICY), settings);
    for second in 0..250 {
        let spans = http(second, second as u8 | 1, ["web", "orders"], "GET", "/orders/{id}");
        engine.evaluate(&batch(&spans), LATER);
        engine.evaluate(&batch(&[Span { id: 200, parent: 199, ..spans[0] }]), LATER);
    }
    assert!(counters(&engine).evicted > 0);
    assert!(engine.checkpoint().len() < 40_000, "{} bytes", engine.checkpoint().len());
}

#[test]
fn a_correlation_builds_on_violations() {
    let text = format!(
        "{POLICY}---\ntitle: Spreads\nid: spreads\ncorrelation: {{type: value_count, rules: [calls], group-by: [service.name], timespan: 10m, condition: {{field: service.peer.name, gte: 2}}}}\n"
    );
    let mut engine = Engine::new(compile(&text));
    let calls =
        [&http(0, 1, ["images", "orders"], "GET", "/orders/{id}")[..], &[query(60, 2, "images", ("SELECT", "users"))]];
    let detections = engine.evaluate(&batch(&calls.concat()), LATER);
    let [detection] = &detections[..] else { panic!("{detections:?}") };
    assert_eq!((detection.rule.id.as_str(), detection.group[0].1.as_str()), ("spreads", "images"));
    assert_eq!(detection.events.len(), 3);
}

fn faults(policy: &str) -> Vec<String> {
    let text = format!("title: t\nservice_policy:\n{policy}");
    let faults = RuleBook::new().update("p.yml", &text).expect_err("faults");
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn bad_policies_are_refused_with_their_place() {
    let cases = [
        ("  services: {}\n", "p.yml:3:3: service_policy needs version [bad-value] (this program knows version 1)"),
        ("  version: 2\n  services: {}\n", "p.yml:3:12: version of a service_policy cannot be 2 [bad-value]"),
        ("  version: 1\n", "p.yml:3:3: service_policy needs services [missing-key]"),
        (
            "  version: 1\n  service: {}\n  services: {}\n",
            "p.yml:4:3: service_policy has no key \"service\" [unknown-key]",
        ),
        ("  version: 1\n  services: {a: {caller: {}}}\n", "p.yml:4:18: a service has no key \"caller\""),
        ("  version: 1\n  services: {a: {callers: {b: []}}}\n", "p.yml:4:31: operations lists nothing"),
        ("  version: 1\n  services: {a: {callers: {b: ['x**']}}}\n", "p.yml:4:32: operation \"x**\" has **"),
        ("  version: 1\n  services: {}\n  alert: {new_calls: true}\n", "p.yml:5:11: alert has no key \"new_calls\""),
        (
            "  version: 1\n  services: {}\n  exceptions: [{caller: a, callee: b, until: soon, reason: r}]\n",
            "p.yml:5:46: \"soon\" is not a date [bad-value]",
        ),
        (
            "  version: 1\n  services: {}\n  exceptions: [{caller: a, callee: b, until: 2026-01-01}]\n",
            "p.yml:5:16: an exception needs reason",
        ),
        (
            "  version: 1\n  services: {}\n  workloads: {a: {namespace: n, ports: [0]}}\n",
            "p.yml:5:41: \"0\" is not a port",
        ),
    ];
    for (policy, expected) in cases {
        let found = faults(policy);
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{policy}\n{found:#?}\nexpected {expected}");
    }
}

/// Three requests in a row, as they were in the past.
fn history() -> Vec<Span> {
    let mut spans = Vec::new();
    for trace in 1..=3 {
        let second = i64::from(trace) * 10;
        spans.push(entry(second + 1, trace, "web", "/"));
        spans.extend(http(second, trace, ["web", "orders"], "GET", "/orders/{id}"));
        spans.push(query(second, trace, "orders", ("SELECT", "orders")));
    }
    spans.extend(http(55, 4, ["web", "orders"], "POST", "/orders"));
    spans
}

fn learned(spans: &[Span]) -> String {
    let mut learner = Learner::default();
    learner.take(&batch(spans));
    learner.settle(UnixNanos(START + 60 * SECOND));
    let (from, to) = (UnixNanos(START), UnixNanos(START + 60 * SECOND));
    policy::write(&learner.finish(), &Origin { tenant: "default".to_owned(), from, to, notes: Vec::new() })
}

/// Compares with a file, or writes it when `TRACEHOUND_BLESS` is set.
fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy").join(name);
    if std::env::var_os("TRACEHOUND_BLESS").is_some() {
        std::fs::write(&path, text).expect("writes");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file");
    assert_eq!(text, expected, "{name}; TRACEHOUND_BLESS=1 writes it anew");
}

#[test]
fn history_becomes_a_policy_that_allows_what_happened_and_nothing_else() {
    let text = learned(&history());
    golden("learned.yml", &text);
    let set = compile(&text);
    let mut engine = Engine::new(Arc::clone(&set));
    assert_eq!(engine.evaluate(&batch(&history()), LATER), []);
    let other = http(1, 9, ["orders", "web"], "GET", "/");
    assert_eq!(found(&engine.evaluate(&batch(&other), LATER)), ["1 new_caller orders web"]);
}

#[test]
fn what_is_learned_does_not_depend_on_how_it_is_read() {
    let spans = history();
    let expected = learned(&spans);
    let mut backwards = spans.clone();
    backwards.reverse();
    assert_eq!(learned(&backwards), expected);
    let mut learner = Learner::default();
    for (number, span) in spans.iter().enumerate() {
        learner.take(&batch(&[*span]));
        learner.settle(UnixNanos(START + SECOND * number as i64));
    }
    let (from, to) = (UnixNanos(START), UnixNanos(START + 60 * SECOND));
    let origin = Origin { tenant: "default".to_owned(), from, to, notes: Vec::new() };
    assert_eq!(policy::write(&learner.finish(), &origin), expected);
}

fn export(target: &Target, text: &str) -> (String, Vec<String>) {
    let exported = target.export("p.yml", text, UnixNanos(START)).expect("exports");
    (exported.text, exported.warnings)
}

fn istio() -> Target {
    Target::Istio { trust_domain: "cluster.local".to_owned() }
}

#[test]
fn a_policy_is_written_for_a_mesh_and_for_a_cluster_network() {
    let text =
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/exported.yml"));
    let text = text.expect("the policy to export");
    for (name, target) in [("istio", istio()), ("network-policy", Target::NetworkPolicy)] {
        let (yaml, warnings) = export(&target, &text);
        golden(&format!("{name}.yaml"), &yaml);
        golden(&format!("{name}.warnings"), &format!("{}\n", warnings.join("\n")));
    }
}

#[test]
fn an_export_says_why_there_is_none() {
    let invalid = istio().export("p.yml", "title: t\nservice_policy: {version: 1}\n", UnixNanos(START));
    assert!(matches!(invalid, Err(ExportError::Invalid(faults)) if faults[0].line == 2));
    let rule = "title: t\ndetection: {s: {a: 1}, condition: s}\n";
    assert!(matches!(istio().export("p.yml", rule, UnixNanos(START)), Err(ExportError::NoPolicy)));
}

#[test]
fn the_example_of_the_guide_is_valid_and_its_tests_pass() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/demo-shop-policy.yml");
    let text = std::fs::read_to_string(path).expect("the example");
    let outcomes = rules::run_tests("demo-shop-policy.yml", &text).expect("valid");
    assert!(outcomes.len() >= 4);
    for test in outcomes {
        assert_eq!(test.outcome, Outcome::Passed, "{}: {}", test.line, test.name);
    }
}
