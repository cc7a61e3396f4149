//! What spans and logs inherit from their trace, against one who knows every span beforehand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryBuilder, Int8Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use model::attribute::{self, Value};
use model::{Detection, EventBatch, EventId, Lsn, Signal, TenantId, UnixNanos};
use rules::{Engine, Outcome, RuleBook, RuleCounters, RuleSet, Settings, run_tests};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_767_225_600 * SECOND;
const LATER: UnixNanos = UnixNanos(START + 1_000_000 * SECOND);

/// A span or a log record of a test; every text may be empty.
#[derive(Debug, Clone, Default)]
struct Event {
    /// Its place among the events of the test; names it.
    number: u64,
    is_log: bool,
    /// When it ended.
    second: i64,
    trace: u8,
    /// The span it is, or that it names; 0 for none.
    id: u8,
    /// 0 for a root.
    parent: u8,
    is_server: bool,
    service: &'static str,
    name: &'static str,
    user: &'static str,
    roles: &'static [&'static str],
    /// Attributes that somebody worked out.
    told: Vec<(&'static str, Vec<String>)>,
}

fn span(second: i64, trace: u8, id: u8, parent: u8, service: &'static str, name: &'static str) -> Event {
    Event {
        number: u64::from(trace) << 8 | u64::from(id),
        second,
        trace,
        id,
        parent,
        service,
        name,
        ..Event::default()
    }
}

fn server(second: i64, trace: u8, id: u8, parent: u8, service: &'static str, name: &'static str) -> Event {
    Event { is_server: true, ..span(second, trace, id, parent, service, name) }
}

fn log(number: u64, second: i64, trace: u8, id: u8, name: &'static str) -> Event {
    Event { number, is_log: true, second, trace, id, service: "shop", name, ..Event::default() }
}

fn labels(texts: impl Iterator<Item = &'static str>) -> ArrayRef {
    Arc::new(texts.map(|text| (!text.is_empty()).then_some(text)).collect::<DictionaryArray<Int32Type>>())
}

fn ids(size: usize, numbers: impl Iterator<Item = u8>) -> ArrayRef {
    let mut ids = FixedSizeBinaryBuilder::new(size as i32);
    for number in numbers {
        let mut id = vec![0; size];
        id[size - 1] = number;
        match number {
            0 => ids.append_null(),
            _ => ids.append_value(id).expect("an id"),
        }
    }
    Arc::new(ids.finish())
}

fn list(values: &[String]) -> Value<'static> {
    match values {
        [one] => Value::str(one).into_owned(),
        many => Value::Json(serde_json::to_string(many).expect("a list").into()),
    }
}

fn rest(events: &[Event]) -> ArrayRef {
    let mut rest = ListBuilder::new(StringBuilder::new()).with_field(Field::new("item", DataType::Utf8, false));
    for event in events {
        let roles: Vec<String> = event.roles.iter().map(|role| (*role).to_owned()).collect();
        let roles = (!roles.is_empty()).then_some(("user.roles", roles));
        for (key, values) in event.told.iter().cloned().chain(roles).filter(|(_, values)| !values.is_empty()) {
            rest.values().append_value(attribute::entry(key, &list(&values)));
        }
        rest.append(true);
    }
    Arc::new(rest.finish())
}

/// Events of one signal.
fn batch(events: &[Event]) -> EventBatch {
    let is_log = events[0].is_log;
    let times = events.iter().map(|event| START + event.second * SECOND - if is_log { 0 } else { 1_000 });
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("+00:00"));
    let users = events.iter().map(|event| (!event.user.is_empty()).then_some(event.user));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("trace_id", ids(16, events.iter().map(|event| event.trace))),
        ("span_id", ids(8, events.iter().map(|event| event.id))),
        ("service", labels(events.iter().map(|event| event.service))),
        ("user.id", Arc::new(users.collect::<StringArray>())),
        ("attrs_rest", rest(events)),
        ("seq", Arc::new(UInt64Array::from_iter_values(events.iter().map(|event| event.number)))),
        ("row", Arc::new(UInt32Array::from_iter_values(events.iter().map(|_| 0)))),
    ];
    if is_log {
        columns.push(("time", times));
        columns.push(("event_name", labels(events.iter().map(|event| event.name))));
    } else {
        columns.push(("start_time", times));
        columns.push(("parent_span_id", ids(8, events.iter().map(|event| event.parent))));
        columns.push(("name", labels(events.iter().map(|event| event.name))));
        columns.push((
            "kind",
            Arc::new(Int8Array::from_iter_values(events.iter().map(|e| if e.is_server { 2 } else { 1 }))),
        ));
        columns.push(("duration_nanos", Arc::new(Int64Array::from_iter_values(events.iter().map(|_| 1_000)))));
    }
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    EventBatch {
        tenant: TenantId::default_tenant(),
        signal: if is_log { Signal::Logs } else { Signal::Spans },
        received_at: UnixNanos(START),
        lsn: Lsn(1),
        records: RecordBatch::try_from_iter_with_nullable(columns).expect("a batch"),
    }
}

fn batches(events: &[Event]) -> Vec<EventBatch> {
    events.chunk_by(|one, next| one.is_log == next.is_log).map(batch).collect()
}

fn compile(text: &str) -> Arc<RuleSet> {
    let mut book = RuleBook::new();
    book.update("rule.yml", text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    book.compile()
}

/// One rule on single events.
fn rule(detection: &str) -> String {
    format!("title: t\nname: t\nlevel: low\ndetection: {{{detection}}}\n")
}

fn feed(engine: &mut Engine, events: &[Event]) -> Vec<Detection> {
    batches(events).iter().flat_map(|batch| engine.evaluate(batch, LATER)).collect()
}

/// Names of the events in detections, with their times.
fn found(detections: &[Detection]) -> Vec<String> {
    let mut shown: Vec<String> = detections
        .iter()
        .map(|found| {
            let events: Vec<String> = found.events.iter().map(short).collect();
            format!("{} at {}", events.join("+"), (found.at.0 - START) / SECOND)
        })
        .collect();
    shown.sort();
    shown
}

/// `trace:span` of a span, the number of a log record.
fn short(event: &EventId) -> String {
    let number = |id: &[u8]| id.last().copied().unwrap_or(0);
    match event {
        EventId::Span(trace, span) => format!("{}:{}", number(&trace.0), number(&span.0)),
        EventId::Log(log, _) => log.lsn.0.to_string(),
        EventId::External(name) => name.clone(),
    }
}

fn counters(engine: &Engine) -> RuleCounters {
    engine.counters().find(|(id, _)| *id == "t").map(|(_, counters)| counters).unwrap_or_default()
}

/// A request through three services, children first.
fn request(second: i64, trace: u8, user: &'static str) -> Vec<Event> {
    vec![
        span(second, trace, 4, 3, "orders", "pay"),
        server(second, trace, 3, 2, "orders", "serve"),
        span(second + 1, trace, 2, 1, "gateway", "proxy"),
        Event { user, roles: &["customer", "staff"], ..server(second + 1, trace, 1, 0, "gateway", "entry") },
    ]
}

#[test]
fn a_span_waits_for_its_entry_and_fires_at_its_own_time() {
    let mut engine =
        Engine::new(compile(&rule("s: {name: pay, entry.user.id: ALICE, entry.user.roles: staff}, condition: s")));
    let (alice, bob) = (request(0, 1, "alice"), request(0, 2, "bob"));
    assert_eq!(found(&feed(&mut engine, &[&alice[..3], &bob[..3]].concat())), [""; 0]);
    let detections = feed(&mut engine, &[&alice[3..], &bob[3..]].concat());
    assert_eq!(found(&detections), ["1:4 at 0"]);
    assert_eq!(
        detections[0].reason,
        "name = pay, entry.user.id = alice, entry.user.roles = customer in service orders"
    );
    assert_eq!((counters(&engine).matched, counters(&engine).detections), (1, 1));
    // what is known already is not waited for
    let mut upside_down = request(0, 3, "alice");
    upside_down.reverse();
    assert_eq!(found(&feed(&mut engine, &upside_down)), ["3:4 at 0"]);
    assert_eq!(found(&engine.tick(LATER)), [""; 0]);
}

#[test]
fn logs_of_the_trace_inherit_too() {
    let mut engine = Engine::new(compile(&rule("s: {event_name: granted, entry.user.id: alice}, condition: s")));
    let lines =
        [log(7, 0, 1, 4, "granted"), log(8, 0, 1, 4, "read"), log(9, 0, 1, 0, "granted"), log(10, 0, 2, 4, "granted")];
    assert_eq!(found(&feed(&mut engine, &lines)), [""; 0]);
    assert_eq!(found(&feed(&mut engine, &request(0, 1, "alice"))), ["7 at 0"]);
    // a record that names no span has no way up: the root of the trace counts when nothing else can come
    assert_eq!(found(&engine.tick(LATER)), ["9 at 0"]);
}

#[test]
fn where_the_root_lacks_a_field_the_topmost_server_has_it_and_nobody_else() {
    let mut engine = Engine::new(compile(&rule("s: {name: pay, entry.user.id: alice}, condition: s")));
    let browser = |trace, gateway: &'static str, orders: &'static str| {
        vec![
            span(0, trace, 5, 4, "orders", "pay"),
            Event { user: orders, ..server(0, trace, 4, 3, "orders", "serve") },
            Event { user: gateway, ..server(0, trace, 3, 2, "gateway", "serve") },
            Event { user: "alice", ..span(0, trace, 2, 1, "browser", "fetch") },
            span(0, trace, 1, 0, "browser", "click"),
        ]
    };
    let events = [browser(1, "alice", "bob"), browser(2, "bob", "alice"), browser(3, "", "alice")].concat();
    assert_eq!(found(&feed(&mut engine, &events)), ["1:5 at 0"]);
}

#[test]
fn a_caller_that_claims_a_parent_is_seen_through_in_the_end() {
    let mut engine = Engine::new(compile(&rule("s: {name: pay, entry.user.id: alice}, condition: s")));
    let mut claimed = request(0, 1, "alice");
    claimed[3].parent = 99;
    feed(&mut engine, &claimed);
    // half a minute for the root, a minute for stragglers
    assert_eq!(found(&feed(&mut engine, &[span(90, 9, 1, 0, "shop", "other")])), [""; 0]);
    assert_eq!(found(&feed(&mut engine, &[span(91, 9, 2, 0, "shop", "other")])), ["1:4 at 0"]);
}

#[test]
fn what_lies_further_than_half_a_minute_away_is_not_inherited() {
    let play = |root: i64| {
        let mut engine = Engine::new(compile(&rule("s: {name: pay, entry.user.id: alice}, condition: s")));
        let mut events = request(0, 1, "alice");
        events[3].second = root;
        events.extend([span(root + 200, 9, 1, 0, "shop", "other")]);
        events.sort_by_key(|event| event.second);
        let mut detections = Vec::new();
        for event in events {
            detections.extend(feed(&mut engine, &[event]));
        }
        found(&detections)
    };
    assert_eq!(play(30), ["1:4 at 0"]);
    assert_eq!(play(31), [""; 0]);
    assert_eq!(play(-30), ["1:4 at 0"]);
    assert_eq!(play(-31), [""; 0]);
}

#[test]
fn what_is_asked_of_the_row_itself_is_answered_at_once_and_only_what_may_match_is_held() {
    let set = compile(&rule("s: {name: pay}, t: {entry.user.id: alice}, condition: s and not t"));
    let mut engine = Engine::new(Arc::clone(&set));
    feed(&mut engine, &request(0, 1, "bob")[..3]);
    let state = String::from_utf8(engine.checkpoint()).expect("text");
    assert_eq!(state.matches("\"is_span\"").count(), 1, "{state}");
    assert_eq!(found(&feed(&mut engine, &request(0, 1, "bob")[3..])), ["1:4 at 0"]);
    // rules that inherit nothing follow no trace
    let mut plain = Engine::new(compile(&rule("s: {name: pay, user.id: alice}, condition: s")));
    feed(&mut plain, &request(0, 1, "alice"));
    let state = String::from_utf8(plain.checkpoint()).expect("text");
    assert!(!state.contains("traces") && !state.contains("held"), "{state}");
}

#[test]
fn parents_are_known_as_soon_as_they_come() {
    let caller = "s: {name: serve, parent.service.name: gateway, parent.kind: internal}, condition: s";
    let mut engine = Engine::new(compile(&rule(caller)));
    let events = request(0, 1, "alice");
    assert_eq!(found(&feed(&mut engine, &events[..2])), [""; 0]);
    assert_eq!(found(&feed(&mut engine, &events[2..3])), ["1:3 at 0"], "the root is not waited for");
    // who one is, against who the parent was
    let other = "s: {user.id|exists: true, parent.user.id|exists: true}, same: {user.id|fieldref: parent.user.id}, condition: s and not same";
    let mut engine = Engine::new(compile(&rule(other)));
    let pair = |trace, child, parent| {
        [
            Event { user: child, ..span(0, trace, 2, 1, "a", "x") },
            Event { user: parent, ..span(0, trace, 1, 0, "a", "x") },
        ]
    };
    let events =
        [pair(1, "alice", "bob"), pair(2, "alice", "Alice"), pair(3, "alice", ""), pair(4, "", "bob")].concat();
    assert_eq!(found(&feed(&mut engine, &events)), ["1:2 at 0"]);
}

#[test]
fn what_is_said_of_a_trace_cannot_be_said_by_an_attribute() {
    let mut engine = Engine::new(compile(&rule("s: {name: pay, entry.user.id: alice}, condition: s")));
    let mut events = request(0, 1, "bob");
    events[0].told = vec![("entry.user.id", vec!["alice".to_owned()])];
    assert_eq!(found(&feed(&mut engine, &events)), [""; 0]);
}

#[test]
fn repeats_are_told_apart_by_what_is_inherited() {
    let text = format!("{}suppress: {{by: [entry.user.id], for: 1h}}\n", rule("s: {name: pay}, condition: s"));
    let mut engine = Engine::new(compile(&text));
    let events = [request(0, 1, "alice"), request(1, 2, "bob"), request(2, 3, "alice")].concat();
    let detections = feed(&mut engine, &events);
    assert_eq!(found(&detections), ["1:4 at 0", "2:4 at 1"]);
    assert_eq!(detections[0].group, [("entry.user.id".to_owned(), "alice".to_owned())]);
    assert_eq!((counters(&engine).matched, counters(&engine).suppressed), (3, 1));
}

#[test]
fn memory_of_rows_that_wait_is_bounded_and_says_what_it_let_go() {
    let text = rule("s: {name: pay, entry.user.id: alice}, condition: s");
    let play = |settings: Settings| {
        let mut engine = Engine::with_settings(compile(&text), settings);
        let requests: Vec<Vec<Event>> = (1..=20).map(|trace| request(i64::from(trace), trace, "alice")).collect();
        feed(&mut engine, &requests.iter().flat_map(|events| events[..3].to_vec()).collect::<Vec<_>>());
        let found =
            feed(&mut engine, &requests.iter().map(|events| events[3].clone()).collect::<Vec<_>>()).len() as u64;
        (found, counters(&engine).evicted)
    };
    assert_eq!(play(Settings::default()), (20, 0));
    assert_eq!(play(Settings { held_rows: 7, ..Settings::default() }), (7, 13));
    let (found, gone) = play(Settings { held_bytes: 2_000, ..Settings::default() });
    assert!(found > 0 && gone > 0 && found + gone == 20, "{found} {gone}");
    // of one trace a thousand wait
    let many: Vec<Event> = (0..1_100).map(|n| log(n, 0, 1, 9, "x")).collect();
    let mut engine = Engine::new(compile(&rule("s: {event_name: x, entry.user.id: alice}, condition: s")));
    feed(&mut engine, &many);
    assert_eq!(counters(&engine).evicted, 1_100 - 1_024);
}

#[test]
fn unknown_fields_are_refused_with_what_is_known() {
    let fault = |text: &str| {
        let mut book = RuleBook::new();
        let faults = book.update("rule.yml", text).expect_err("a fault");
        (faults[0].line, faults[0].column, faults[0].message.clone(), faults[0].hint.clone())
    };
    let span = "title: t\nlogsource: {product: otel, category: span}\ndetection:\n";
    let (line, column, message, hint) = fault(&format!("{span}  s:\n    entry.usr.id|contains: a\n  condition: s\n"));
    assert_eq!((line, column, message.as_str()), (5, 5, "\"entry.usr.id\" is not inherited"));
    assert!(hint.contains("user.id"), "{hint}");
    let (.., message, _) = fault(&format!("{span}  s:\n    user.id|fieldref: parent.usr\n  condition: s\n"));
    assert_eq!(message, "\"parent.usr\" is not inherited");
    let correlation = "title: f\nname: f\ndetection: {s: {a: b}, condition: s}\n---\ntitle: t\ncorrelation: {type: event_count, rules: [f], group-by: [entry.users], timespan: 1m, condition: {gte: 1}}\n";
    assert_eq!(fault(correlation).2, "\"entry.users\" is not inherited");
    // elsewhere a field may be called so
    compile("title: t\nlogsource: {product: cheese}\ndetection: {s: {entry.door: open}, condition: s}\n");
}

#[test]
fn tests_of_rules_know_what_is_inherited() {
    let text = "title: t\nname: t\nlevel: low\ndetection: {s: {name: pay, entry.user.id: alice}, condition: s}\ntests:\n\
        \u{20} - {name: yes, expect: match, events: [{event: {trace_id: t1, span_id: b, parent_span_id: a, name: pay}}, {offset: 1s, event: {trace_id: t1, span_id: a, user.id: alice}}]}\n\
        \u{20} - {name: no, expect: no_match, events: [{event: {trace_id: t1, span_id: b, parent_span_id: a, name: pay}}, {offset: 1s, event: {trace_id: t1, span_id: a, user.id: bob}}]}\n";
    let outcomes: Vec<Outcome> =
        run_tests("rule.yml", text).expect("valid").into_iter().map(|test| test.outcome).collect();
    assert_eq!(outcomes, [Outcome::Passed, Outcome::Passed]);
    // and so does whoever matches the lines of a file
    let lines = [
        r#"{"trace_id": "t1", "span_id": "b", "parent_span_id": "a", "name": "pay"}"#,
        "",
        r#"{"trace_id": "t1", "span_id": "a", "user.id": "alice"}"#,
        r#"{"trace_id": "t1", "span_id": "b", "body": "pay", "name": "pay"}"#,
        r#"{"trace_id": "t2", "span_id": "b", "parent_span_id": "a", "name": "pay"}"#,
    ];
    let found = rules::offline::match_events(&compile(text), lines).expect("read");
    assert_eq!(found.iter().map(|found| found.event).collect::<Vec<_>>(), [0, 3]);
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as i64
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len() as i64) as usize]
    }
}

/// Everything that happens, in order of time: trees with gaps, circles, several roots, and spans far apart.
fn world(dice: &mut Dice) -> Vec<Event> {
    let mut events = Vec::new();
    for number in 1..=60_u64 {
        let is_log = dice.roll(4) == 0;
        let id = number as u8;
        events.push(Event {
            number,
            is_log,
            second: dice.roll(3) * 26 + dice.roll(8),
            trace: dice.roll(6) as u8,
            id: if is_log { dice.roll(61) as u8 } else { id },
            parent: if is_log || dice.roll(4) == 0 { 0 } else { dice.roll(61) as u8 + 1 },
            is_server: !is_log && dice.roll(2) == 0,
            service: dice.of(&["gateway", "shop"]),
            name: dice.of(&["entry", "pay", "call"]),
            user: dice.of(&["", "a", "b", "B"]),
            roles: dice.of(&[&[], &["admin"], &["staff", "admin"], &["staff"]]),
            told: Vec::new(),
        });
    }
    // ids of spans are their own
    for event in &mut events {
        event.trace += u8::from(!event.is_log && event.trace == 0);
        if event.trace == 0 {
            event.id = 0;
        }
    }
    events.sort_by_key(|event| (event.second, event.number));
    events
}

/// What every event inherits, for one who knows all spans, written down as attributes.
fn tell(events: &[Event]) -> Vec<Event> {
    let told = |row: &Event| {
        let near = |span: &&Event| !span.is_log && span.trace == row.trace && (span.second - row.second).abs() <= 30;
        let spans: Vec<&Event> = events.iter().filter(near).collect();
        let by_id = |id: u8| spans.iter().find(|span| id != 0 && span.id == id).copied();
        let mut way = Vec::new();
        let mut next = by_id(row.id);
        while let Some(span) = next.filter(|_| way.len() < 256) {
            way.push(span);
            next = by_id(span.parent);
        }
        let root = match way.last() {
            Some(top) if top.parent == 0 => Some(*top),
            _ => {
                let mut roots: Vec<&Event> = spans.iter().filter(|span| span.parent == 0).copied().collect();
                roots.sort_by_key(|span| (span.second, span.id));
                roots.first().copied()
            }
        };
        let server = way.iter().rev().find(|span| span.is_server).copied();
        let parent = by_id(if row.is_log { row.id } else { row.parent });
        let user = |span: &Event| if span.user.is_empty() { Vec::new() } else { vec![span.user.to_owned()] };
        let roles = |span: &Event| span.roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>();
        let service = |span: &Event| vec![span.service.to_owned()];
        let entry = |of: &dyn Fn(&Event) -> Vec<String>| {
            let first = root.map(of).unwrap_or_default();
            if first.is_empty() { server.map(of).unwrap_or_default() } else { first }
        };
        let above = |of: &dyn Fn(&Event) -> Vec<String>| parent.map(of).unwrap_or_default();
        vec![
            ("told_entry.user.id", entry(&user)),
            ("told_entry.user.roles", entry(&roles)),
            ("told_entry.service.name", entry(&service)),
            ("told_parent.user.id", above(&user)),
            ("told_parent.service.name", above(&service)),
        ]
    };
    events.iter().map(|event| Event { told: told(event), ..event.clone() }).collect()
}

/// Rules in every place that may ask for what is inherited.
const RULES: [&str; 9] = [
    "title: t\nname: t\ndetection: {s: {name: pay}, u: {entry.user.id: a}, condition: s and u}\n",
    "title: t\nname: t\ndetection: {s: {name: pay}, u: {entry.user.roles: admin}, v: {entry.user.id: a, service.name: shop}, condition: (s and not u) or v}\n",
    "title: t\nname: t\ndetection: {s: {parent.service.name: gateway, service.name: shop}, u: {user.id|fieldref: parent.user.id}, condition: s and not u}\n",
    "title: t\nname: t\ndetection: {s: {event_name: pay}, u: {entry.user.id|exists: true}, condition: s and u}\nsuppress: {by: [entry.service.name], for: 1s}\n",
    "title: p\nname: p\ndetection: {s: {name: pay}, condition: s}\n---\ntitle: t\nname: t\ncorrelation: {type: event_count, rules: [p], group-by: [entry.user.id], timespan: 30s, condition: {gte: 2}}\n",
    "title: p\nname: p\ndetection: {s: {name: pay}, condition: s}\n---\ntitle: t\nname: t\ncorrelation: {type: value_count, rules: [p], group-by: [service.name], timespan: 20s, condition: {field: entry.user.id, lte: 1}}\n",
    "title: p\nname: p\ndetection: {s: {name: pay, entry.user.roles: staff}, condition: s}\n---\ntitle: c\nname: c\ndetection: {s: {name: call}, condition: s}\n---\ntitle: t\nname: t\ncorrelation: {type: temporal, condition: p and not c, group-by: [service.name], timespan: 5s}\n",
    "title: p\nname: p\ndetection: {s: {name: pay}, condition: s}\n---\ntitle: n\nname: n\ncorrelation: {type: event_count, rules: [p], group-by: [entry.user.id], timespan: 30s, condition: {gte: 2}}\n---\ntitle: m\nname: m\ncorrelation: {type: event_count, rules: [p], group-by: [entry.user.id], timespan: 10s, condition: {gte: 1}}\n---\ntitle: t\nname: t\ncorrelation: {type: temporal_ordered, rules: [n, m], group-by: [entry.user.id], timespan: 30s}\n",
    "title: p\nname: p\nlogsource: {product: otel, category: span}\ndetection: {s: {name: pay}, condition: s}\n---\ntitle: c\nname: c\nlogsource: {product: otel, category: span}\ndetection: {s: {name: call, entry.user.id|exists: true}, condition: s}\n---\ntitle: t\nname: t\ncorrelation: {type: trace_pattern, rules: [p, c], where: p and not c, compare: [p.entry.user.id != c.user.id], complete: {root: false, quiet: 5s}, timespan: 30s}\n",
];

/// What may not depend on the order of arrival: of rules that fire as soon as they can, not by which events.
fn says(found: Vec<Detection>, text: &str, with_id: bool) -> BTreeSet<String> {
    let one = |found: Detection| {
        let group: Vec<String> = found.group.iter().map(|(_, value)| value.to_ascii_lowercase()).collect();
        let is_eager = text.contains("gte");
        let mut events: Vec<String> = found.events.iter().filter(|_| !is_eager).map(ToString::to_string).collect();
        events.sort();
        let id = if with_id { found.id.as_str() } else { "" };
        format!("{} {} {group:?} {events:?} {id}", found.rule.id, found.at.0)
    };
    found.into_iter().map(one).collect()
}

#[test]
fn rows_inherit_the_same_live_shuffled_and_interrupted_as_for_one_who_knows_all() {
    let mut dice = Dice(0x5eed_0033);
    let mut fired = [0; RULES.len()];
    for round in 0..RULES.len() * 25 {
        let text = RULES[round % RULES.len()];
        let set = compile(text);
        let told = compile(&text.replace("entry.", "told_entry.").replace("parent.", "told_parent."));
        let settings = Settings { lateness: Duration::from_secs(20), suppress: false, ..Settings::default() };
        let events = world(&mut dice);
        let mut oracle = Engine::with_settings(told, settings);
        let mut expected = feed(&mut oracle, &tell(&events));
        expected.extend(oracle.tick(LATER));
        let expected = says(expected, text, false);
        let play = |late: &mut dyn FnMut() -> i64, size: &mut dyn FnMut() -> usize, is_interrupted: bool| {
            let mut arriving: Vec<(i64, Event)> =
                events.iter().map(|event| (event.second + late(), event.clone())).collect();
            arriving.sort_by_key(|(arrival, _)| *arrival);
            let mut engine = Engine::with_settings(Arc::clone(&set), settings);
            let mut found = Vec::new();
            while !arriving.is_empty() {
                let next = arriving.drain(..size().clamp(1, arriving.len())).map(|(_, event)| event);
                found.extend(feed(&mut engine, &next.collect::<Vec<_>>()));
                if is_interrupted {
                    engine = Engine::restore_with(Arc::clone(&set), settings, &engine.checkpoint()).expect("restored");
                }
            }
            found.extend(engine.tick(LATER));
            assert_eq!(counters(&engine).late + counters(&engine).evicted, 0, "round {round}");
            found
        };
        let ordered = play(&mut || 0, &mut || 1_000, false);
        assert_eq!(says(ordered.clone(), text, false), expected, "round {round}: {text}\n{events:#?}");
        let ordered = says(ordered, text, true);
        assert_eq!(says(play(&mut || 0, &mut || 1, true), text, true), ordered, "round {round}, one by one: {text}");
        let (mut late, mut size) = (Dice(dice.0), Dice(dice.0 + 1));
        let shuffled = play(&mut || late.roll(20), &mut || size.roll(9) as usize, true);
        assert_eq!(says(shuffled, text, true), ordered, "round {round}, shuffled: {text}");
        fired[round % RULES.len()] += ordered.len();
    }
    assert!(fired.iter().all(|times| *times > 20), "{fired:?}");
}

#[test]
fn a_change_of_rules_keeps_the_rows_that_wait_for_others() {
    let text = |title: &str, other: &str| {
        format!(
            "title: {title}\nname: t\nlevel: low\ndetection: {{s: {{name: pay, entry.user.id: alice}}, condition: s}}\n---\n\
             title: u\nname: u\nlevel: low\ndetection: {{s: {{name: pay, {other}}}, condition: s}}\n"
        )
    };
    let mut engine = Engine::new(compile(&text("t", "entry.service.name: gateway")));
    let events = request(0, 1, "alice");
    feed(&mut engine, &events[..3]);
    engine.replace(compile(&text("a better title", "entry.user.roles: staff")));
    let detections = feed(&mut engine, &events[3..]);
    let rules: Vec<&str> = detections.iter().map(|found| found.rule.id.as_str()).collect();
    assert_eq!(rules, ["t"], "the edited rule begins anew, the retitled one does not");
    let sound = String::from_utf8(engine.checkpoint()).expect("text");
    assert!(!sound.contains("\"held\""), "nothing waits any more");
}

#[test]
fn a_damaged_row_is_not_read() {
    let set = compile(&rule("s: {name: pay, entry.user.id: alice}, condition: s"));
    let mut engine = Engine::new(Arc::clone(&set));
    feed(&mut engine, &request(0, 1, "alice")[..3]);
    let sound = String::from_utf8(engine.checkpoint()).expect("text");
    assert!(Engine::restore(Arc::clone(&set), sound.as_bytes()).is_ok());
    for (part, damaged) in [
        ("\"span\":\"0000000000000004\"", "\"span\":\"x\""),
        ("\"rule\":0", "\"rule\":7"),
        ("\"event\":\"s", "\"event\":\"?"),
    ] {
        assert!(sound.contains(part), "{part}: {sound}");
        assert!(Engine::restore(Arc::clone(&set), sound.replace(part, damaged).as_bytes()).is_err(), "{damaged}");
    }
}
