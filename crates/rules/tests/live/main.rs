//! The engine over stored columns, as the server runs it.

mod random;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use model::attribute::{self, Value};
use model::{Detection, EventBatch, EventId, Lsn, Signal, TenantId, UnixNanos};
use rules::{Engine, RuleBook, RuleCounters, RuleSet, Settings};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_767_225_600 * SECOND;

/// What every span lasts at least.
const SHORT_NANOS: i64 = 2_500_000;

/// An event of a test; every field but the time may be empty.
#[derive(Debug, Clone, Default)]
struct Event {
    /// When it ended.
    second: i64,
    /// How long before it began.
    lasted_secs: i64,
    number: u8,
    route: &'static str,
    status: Option<i64>,
    user: &'static str,
    rest: Vec<(&'static str, Value<'static>)>,
    resource: Vec<(&'static str, &'static str)>,
}

fn login(second: i64, number: u8, user: &'static str) -> Event {
    Event { second, number, route: "/login", status: Some(401), user, ..Event::default() }
}

fn some(text: &'static str) -> Option<&'static str> {
    (!text.is_empty()).then_some(text)
}

fn spans(events: &[Event]) -> EventBatch {
    let labels =
        |texts: Vec<Option<&str>>| -> ArrayRef { Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()) };
    let item = Field::new("item", DataType::Utf8, false);
    let mut rest = ListBuilder::new(StringBuilder::new()).with_field(item);
    for event in events {
        event.rest.iter().for_each(|(key, value)| rest.values().append_value(attribute::entry(key, value)));
        rest.append(true);
    }
    let resources: Vec<String> = events
        .iter()
        .map(|event| {
            let mut list = String::new();
            event.resource.iter().for_each(|(key, value)| attribute::push_to_list(&mut list, key, &Value::str(value)));
            list
        })
        .collect();
    let ids = |size: i32| -> ArrayRef {
        let id = |event: &Event| {
            let mut id = vec![0; size as usize];
            id[0] = 1;
            id[1] = event.number;
            id
        };
        Arc::new(FixedSizeBinaryArray::try_from_iter(events.iter().map(id)).expect("ids"))
    };
    let durations = || events.iter().map(|event| event.lasted_secs * SECOND + SHORT_NANOS);
    let starts = events.iter().zip(durations()).map(|(event, lasted)| START + event.second * SECOND - lasted);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("trace_id", ids(16)),
        ("span_id", ids(8)),
        ("name", labels(events.iter().map(|_| Some("POST /login")).collect())),
        ("kind", Arc::new(Int8Array::from_iter_values(events.iter().map(|_| 2)))),
        ("status_code", Arc::new(Int8Array::from_iter_values(events.iter().map(|_| 2)))),
        ("start_time", Arc::new(TimestampNanosecondArray::from_iter_values(starts).with_timezone("+00:00"))),
        ("duration_nanos", Arc::new(Int64Array::from_iter_values(durations()))),
        ("service", labels(events.iter().map(|_| Some("gateway")).collect())),
        ("resource", labels(resources.iter().map(|list| Some(list.as_str())).collect())),
        ("http.route", labels(events.iter().map(|event| some(event.route)).collect())),
        ("http.response.status_code", Arc::new(events.iter().map(|event| event.status).collect::<Int64Array>())),
        ("user.id", Arc::new(events.iter().map(|event| some(event.user)).collect::<StringArray>())),
        ("attrs_rest", Arc::new(rest.finish())),
    ];
    let records =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)));
    EventBatch {
        tenant: TenantId::default_tenant(),
        signal: Signal::Spans,
        received_at: UnixNanos(START),
        lsn: Lsn(1),
        records: records.expect("a batch"),
    }
}

fn compile(text: &str) -> Arc<RuleSet> {
    let mut book = RuleBook::new();
    book.update("rule.yml", text).expect("a valid rule");
    book.compile()
}

const FAILED: &str =
    "title: failed\nname: failed\ndetection: {s: {http.route: /login, http.response.status_code: 401}, condition: s}\n";

fn correlation(text: &str) -> String {
    format!("{FAILED}---\ntitle: many\nname: many\n{text}\n")
}

fn three_in_a_minute(more: &str) -> String {
    correlation(&format!(
        "{more}correlation: {{type: event_count, rules: [failed], group-by: [user.id], timespan: 1m, condition: {{gte: 3}}}}"
    ))
}

fn at(second: i64) -> UnixNanos {
    UnixNanos(START + second * SECOND)
}

const LATER: UnixNanos = UnixNanos(START + 1_000_000 * SECOND);

/// Group and second of detections.
fn moments(detections: &[Detection]) -> Vec<String> {
    let mut shown: Vec<String> = detections
        .iter()
        .map(|found| {
            format!("{} {}", (found.at.0 - START) / SECOND, found.group.first().map_or("", |(_, value)| value))
        })
        .collect();
    shown.sort();
    shown
}

fn counters(engine: &Engine, rule: &str) -> RuleCounters {
    engine.counters().find(|(id, _)| *id == rule).map(|(_, counters)| counters).unwrap_or_default()
}

#[test]
fn a_column_of_true_and_false_is_asked_for_by_these_words() {
    let mut batch = spans(&[login(0, 1, "a"), login(1, 2, "b"), login(2, 3, "c")]);
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (field, column) in batch.records.schema().fields().iter().zip(batch.records.columns()) {
        columns.push((field.name().clone(), Arc::clone(column)));
    }
    let verified = BooleanArray::from(vec![Some(true), Some(false), None]);
    columns.push(("auth.service_verified".to_owned(), Arc::new(verified)));
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    batch.records = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
    let seconds = |selection: &str| {
        let rule = format!(
            "title: t\nid: t\nlevel: low\ndetection: {{s: {{auth.service_verified{selection}}}, condition: s}}\n"
        );
        moments(&Engine::new(compile(&rule)).evaluate(&batch, LATER))
    };
    assert_eq!(seconds(": false"), ["1 gateway"]);
    assert_eq!(seconds(": 'true'"), ["0 gateway"]);
    assert_eq!(seconds("|exists: false"), ["2 gateway"]);
}

#[test]
fn fields_are_found_wherever_the_store_keeps_them() {
    let event = Event {
        rest: vec![
            ("http.request.header.x", Value::str("abc")),
            ("user.roles", Value::Json(r#"["staff","admin"]"#.into())),
        ],
        resource: vec![("k8s.namespace.name", "shop")],
        ..login(0, 1, "u1")
    };
    let matches = |selection: &str| {
        let rule = format!(
            "title: t\nlogsource: {{product: otel, category: span}}\ndetection: {{s: {selection}, condition: s}}\n"
        );
        !Engine::new(compile(&rule)).evaluate(&spans(std::slice::from_ref(&event)), LATER).is_empty()
    };
    for selection in [
        "{name: post /login, kind: server, status: error}",
        "{duration: 2.5, duration_nanos|gte: 2500000}",
        "{service.name: gateway, service: gateway}",
        "{http.response.status_code: 401, http.status_code|gte: 400}",
        "{http.request.header.x|startswith: ab}",
        "{user.roles: admin, enduser.id: u1}",
        "{resource.k8s.namespace.name: shop, k8s.namespace.name: shop}",
        "{span_id: '0101000000000000', trace_id|startswith: '0101'}",
        "[shop, ABC]",
    ] {
        assert!(matches(selection), "{selection}");
    }
    assert!(!matches("{kind: client}") && !matches("{url.path|exists: true}") && !matches("{http.route: shop}"));
}

#[test]
fn a_rule_for_logs_does_not_look_at_spans() {
    let rule = |category: &str| {
        format!(
            "title: t\nlogsource: {{product: otel, category: {category}}}\ndetection: {{s: {{user.id: u1}}, condition: s}}\n"
        )
    };
    let found =
        |category: &str| Engine::new(compile(&rule(category))).evaluate(&spans(&[login(0, 1, "u1")]), LATER).len();
    assert_eq!((found("span"), found("log"), found("webserver")), (1, 0, 1));
}

#[test]
fn a_detection_says_what_was_seen_and_names_its_evidence() {
    let mut engine =
        Engine::new(compile(&three_in_a_minute("id: 11111111-1111-4111-8111-111111111111\nlevel: high\nauthor: Me\n")));
    let batch = spans(&[login(0, 1, "u1"), login(10, 2, "u1"), login(20, 3, "u1")]);
    let found = engine.evaluate(&batch, LATER);
    let [detection] = found.as_slice() else { panic!("one detection, got {found:?}") };
    assert_eq!(detection.reason, "3 events within 1m for user.id = u1 (the rule asks for at least 3)");
    assert_eq!((detection.at, detection.window_start), (at(20), at(-40)));
    assert_eq!((detection.metric, detection.events.len(), detection.events_omitted), (Some(3.0), 3, 0));
    assert!(matches!(detection.events[0], EventId::Span(trace, _) if trace.0[1] == 1));
    assert_eq!((detection.rule.author.as_str(), detection.rule.version.len(), detection.id.len()), ("Me", 16, 32));
    let again = Engine::new(Arc::clone(engine.rules())).evaluate(&batch, LATER);
    assert_eq!(again[0].id, detection.id);

    let single = Engine::new(compile(FAILED)).evaluate(&batch, LATER);
    assert_eq!(single[0].group, [("service.name".to_owned(), "gateway".to_owned())]);
    assert_eq!(single[0].reason, "http.route = /login, http.response.status_code = 401 in service gateway");
    assert_eq!(single.iter().map(|found| &found.id).collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn arrival_order_within_the_lateness_does_not_matter() {
    // a fixed shuffle: position i goes to i * 37 mod 60, in batches of seven
    let events: Vec<Event> = (0..60).map(|n| login(i64::from(n), n, if n % 3 == 0 { "u1" } else { "u2" })).collect();
    let shuffled: Vec<Event> = (0..60).map(|i| events[i * 37 % 60].clone()).collect();
    for kind in [
        "{type: event_count, rules: [failed], group-by: [user.id], timespan: 10s, condition: {gte: 4}}",
        "{type: event_count, rules: [failed], group-by: [user.id], timespan: 5s, condition: {eq: 2}}",
        "{type: value_count, rules: [failed], timespan: 2s, condition: {field: user.id, gte: 2}}",
    ] {
        let set = compile(&correlation(&format!("correlation: {kind}")));
        let play = |events: &[Event], size: usize| {
            let settings = Settings { suppress: false, ..Settings::default() };
            let mut engine = Engine::with_settings(Arc::clone(&set), settings);
            let mut found: Vec<Detection> =
                events.chunks(size).flat_map(|chunk| engine.evaluate(&spans(chunk), LATER)).collect();
            found.extend(engine.tick(at(10_000)));
            assert_eq!(counters(&engine, "many").late, 0);
            moments(&found)
        };
        let ordered = play(&events, 60);
        assert!(!ordered.is_empty());
        assert_eq!(play(&shuffled, 7), ordered, "{kind}");
        assert_eq!(play(&shuffled, 1), ordered, "{kind}");
    }
}

#[test]
fn an_event_is_counted_once_and_only_with_its_group_and_in_time() {
    let mut engine = Engine::new(compile(&three_in_a_minute("")));
    // the sender repeats its request; an event without user.id belongs to no group
    let twice = spans(&[login(0, 1, "u1"), login(1, 2, "u1"), login(2, 3, ""), login(2, 4, "")]);
    assert_eq!(engine.evaluate(&twice, LATER).len() + engine.evaluate(&twice, LATER).len(), 0);
    engine.evaluate(&spans(&[login(500, 5, "u9")]), LATER);
    assert_eq!(engine.evaluate(&spans(&[login(3, 6, "u1")]), LATER), []);
    assert_eq!(counters(&engine, "many").late, 1);
    assert_eq!(counters(&engine, "failed").matched, 10);
}

#[test]
fn otlp_68_a_span_is_late_by_its_end_and_not_for_having_taken_long() {
    let mut engine = Engine::new(compile(&three_in_a_minute("")));
    let long = |second, number| Event { lasted_secs: 3_600, ..login(second, number, "u1") };
    engine.evaluate(&spans(&[login(5_000, 1, "u9")]), LATER);
    // each began an hour before; one more arrives too late, although it is short
    let found =
        engine.evaluate(&spans(&[long(4_999, 2), long(4_950, 3), long(4_960, 4), login(4_939, 5, "u1")]), LATER);
    assert_eq!((moments(&found), counters(&engine, "many").late), (vec!["4999 u1".to_owned()], 1));
    let detection = &found[0];
    assert_eq!((detection.at, detection.window_start), (at(4_999), at(4_939)), "windows slide over ends");
    // begun before all of them, ended after: it moves the watermark, and what ended long before it is late
    engine.evaluate(&spans(&[Event { lasted_secs: 9_000, ..login(9_000, 6, "u9") }]), LATER);
    engine.evaluate(&spans(&[login(8_000, 7, "u1")]), LATER);
    assert_eq!(counters(&engine, "many").late, 2);
}

#[test]
fn an_event_from_the_future_does_not_make_others_late() {
    let mut engine = Engine::new(compile(&three_in_a_minute("")));
    engine.evaluate(&spans(&[login(90_000, 1, "u9")]), at(5));
    let found = engine.evaluate(&spans(&[login(6, 2, "u1"), login(7, 3, "u1"), login(8, 4, "u1")]), at(9));
    assert_eq!((moments(&found), counters(&engine, "many").late), (vec!["8 u1".to_owned()], 0));
}

#[test]
fn repeats_are_held_back_for_as_long_as_the_rule_says() {
    let play = |more: &str| {
        let mut engine = Engine::new(compile(&three_in_a_minute(more)));
        let found: Vec<Detection> =
            (0..100).flat_map(|n| engine.evaluate(&spans(&[login(i64::from(n) * 5, n, "u1")]), LATER)).collect();
        (moments(&found).len(), counters(&engine, "many"))
    };
    let (detections, counters) = play("suppress: {by: [user.id], for: 5m}\n");
    assert_eq!((detections, counters.matched, counters.suppressed), (2, 98, 96));
    // without a word about it: once per timespan
    assert_eq!(play("").0, 9);
}

#[test]
fn absence_fires_when_the_watermark_passes_and_not_before() {
    let rule =
        correlation("correlation: {type: temporal, condition: failed and not ok, group-by: [user.id], timespan: 30s}")
            + "---\ntitle: ok\nname: ok\ndetection: {s: {http.response.status_code: 200}, condition: s}\n";
    let ok = |second, number, user| Event { status: Some(200), ..login(second, number, user) };
    let mut engine = Engine::new(compile(&rule));
    assert_eq!(engine.evaluate(&spans(&[login(0, 1, "u1"), login(0, 2, "u2"), ok(29, 3, "u2")]), at(30)), []);
    assert_eq!(engine.evaluate(&spans(&[ok(89, 4, "u3")]), at(90)), [], "the deadline is inside the lateness");
    let found = engine.evaluate(&spans(&[ok(91, 5, "u3")]), at(92));
    assert_eq!(moments(&found), ["30 u1"]);
    // silence: only time passes
    engine.evaluate(&spans(&[login(100, 6, "u4")]), at(100));
    assert_eq!(engine.tick(at(249)), []);
    assert_eq!(moments(&engine.tick(at(251))), ["130 u4"]);
}

#[test]
fn memory_is_bounded_and_says_what_it_forgot() {
    let settings = Settings { groups_per_rule: 2, events_per_group: 8, ..Settings::default() };
    let mut engine = Engine::with_settings(compile(&three_in_a_minute("")), settings);
    engine.evaluate(&spans(&[login(0, 1, "u1"), login(1, 2, "u2"), login(2, 3, "u3")]), LATER);
    assert_eq!(counters(&engine, "many").evicted, 1);
    let busy: Vec<Event> = (10..30).map(|n| login(3, n, "u3")).collect();
    engine.evaluate(&spans(&busy), LATER);
    assert!(counters(&engine, "many").evicted > 10);
    let limited = Settings { detections_per_batch: 5, ..Settings::default() };
    let mut engine = Engine::with_settings(compile(FAILED), limited);
    assert_eq!((engine.evaluate(&spans(&busy), LATER).len(), counters(&engine, "failed").limited), (5, 15));
    // evidence stays bounded too
    let evidence = Settings { evidence: 4, ..Settings::default() };
    let found = Engine::with_settings(compile(&three_in_a_minute("")), evidence).evaluate(&spans(&busy), LATER);
    assert_eq!((found[0].events.len(), found[0].events_omitted), (4, 16));
}

#[test]
fn windows_of_all_rules_together_are_bounded_and_the_largest_gives_way() {
    let narrow = "---\ntitle: all\nname: all\ncorrelation: {type: event_count, rules: [failed], timespan: 1m, condition: {gte: 500}}\n";
    let settings = Settings { state_bytes: 128 * 1024, ..Settings::default() };
    let mut engine = Engine::with_settings(compile(&(three_in_a_minute("") + narrow)), settings);
    for second in 0..250_u8 {
        let user: &'static str = format!("u{second}").leak();
        engine.evaluate(&spans(&[login(i64::from(second) / 10, second, user)]), LATER);
        assert!(engine.held().map(|(_, _, bytes)| bytes).sum::<usize>() <= 128 * 1024);
    }
    assert!(counters(&engine, "many").evicted > 50);
    assert_eq!(counters(&engine, "all").evicted, 0);
}

#[test]
fn a_checkpoint_in_the_middle_changes_nothing() {
    let rule = three_in_a_minute("generate: true\n")
        + "---\ntitle: chain\nname: chain\ncorrelation: {type: event_count, rules: [many], group-by: [user.id], timespan: 1m, condition: {eq: 2}}\n";
    let set = compile(&rule);
    let settings = Settings { suppress: false, lateness: Duration::from_secs(10), ..Settings::default() };
    let events: Vec<Event> =
        (0..90).map(|n| login(i64::from(n) * 7 % 90, n, if n % 2 == 0 { "u1" } else { "u2" })).collect();
    let whole = {
        let mut engine = Engine::with_settings(Arc::clone(&set), settings);
        let found: Vec<Detection> = events.chunks(10).flat_map(|chunk| engine.evaluate(&spans(chunk), LATER)).collect();
        (found, engine.checkpoint())
    };
    assert!(whole.0.iter().any(|found| found.rule.id == "chain"));
    for stop in 1..9 {
        let mut engine = Engine::with_settings(Arc::clone(&set), settings);
        let mut found: Vec<Detection> =
            events[..stop * 10].chunks(10).flat_map(|chunk| engine.evaluate(&spans(chunk), LATER)).collect();
        let mut engine = Engine::restore_with(Arc::clone(&set), settings, &engine.checkpoint()).expect("restored");
        found.extend(events[stop * 10..].chunks(10).flat_map(|chunk| engine.evaluate(&spans(chunk), LATER)));
        assert_eq!(found, whole.0, "stopped after {stop} batches");
        assert!(engine.checkpoint() == whole.1, "stopped after {stop} batches");
    }
    assert!(Engine::restore(Arc::clone(&set), b"tracehound-rules 9\n{}").is_err());
    assert!(Engine::restore(set, &whole.1[..whole.1.len() / 2]).is_err());
}

#[test]
fn editing_one_rule_leaves_the_memory_of_others_alone() {
    let text = |threshold: u32, title: &str| {
        three_in_a_minute("").replace("title: many", &format!("title: {title}"))
            + &format!(
                "---\ntitle: other\nname: other\ncorrelation: {{type: event_count, rules: [failed], group-by: [user.id], timespan: 1m, condition: {{gte: {threshold}}}}}\n"
            )
    };
    let mut engine = Engine::new(compile(&text(3, "many")));
    engine.evaluate(&spans(&[login(0, 1, "u1"), login(1, 2, "u1")]), LATER);
    engine.replace(compile(&text(2, "a better title")));
    let found = engine.evaluate(&spans(&[login(2, 3, "u1")]), LATER);
    let rules: Vec<&str> = found.iter().map(|found| found.rule.id.as_str()).collect();
    assert_eq!(rules, ["many"], "the edited rule begins anew, the retitled one does not");
}

#[test]
fn tenants_do_not_share_windows() {
    let mut engine = Engine::new(compile(&three_in_a_minute("")));
    let of = |tenant: &str, event: Event| EventBatch { tenant: tenant.parse().expect("a tenant"), ..spans(&[event]) };
    let mut found = Vec::new();
    for n in 0..4 {
        let tenant = if n % 2 == 0 { "a" } else { "b" };
        found.extend(engine.evaluate(&of(tenant, login(i64::from(n), n, "u1")), LATER));
    }
    assert_eq!(found, []);
    assert_eq!(engine.evaluate(&of("b", login(9, 9, "u1")), LATER)[0].tenant.as_str(), "b");
}
