//! Patterns over traces that are linked, counted or sampled, against one who tries everything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, FixedSizeBinaryBuilder, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt32Array,
};
use arrow::datatypes::Int32Type;
use model::{Detection, EventBatch, Lsn, Signal, TenantId, UnixNanos};
use rules::{Engine, Outcome, RuleBook, RuleCounters, RuleSet, Settings, run_tests};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_767_225_600 * SECOND;
const LATER: UnixNanos = UnixNanos(START + 1_000_000 * SECOND);

#[derive(Debug, Clone, Default)]
struct Span {
    second: i64,
    trace: u8,
    id: u8,
    /// 0 for a root.
    parent: u8,
    name: &'static str,
    service: &'static str,
    user: &'static str,
    /// Trace and span.
    links: Vec<(u8, u8)>,
    flags: u32,
    state: &'static str,
}

fn span(second: i64, trace: u8, id: u8, parent: u8, name: &'static str) -> Span {
    Span { second, trace, id, parent, name, service: "shop", ..Span::default() }
}

fn linked(span: Span, links: &[(u8, u8)]) -> Span {
    Span { links: links.to_vec(), ..span }
}

fn bytes(size: usize, number: u8) -> Vec<u8> {
    let mut id = vec![0; size];
    id[size - 1] = number;
    id
}

fn ids(size: usize, numbers: impl Iterator<Item = u8>) -> ArrayRef {
    let mut ids = FixedSizeBinaryBuilder::new(size as i32);
    for number in numbers {
        match number {
            0 => ids.append_null(),
            _ => ids.append_value(bytes(size, number)).expect("an id"),
        }
    }
    Arc::new(ids.finish())
}

/// Links as OTLP writes them, an attribute in each to be passed over.
fn wire(links: &[(u8, u8)]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for (trace, span) in links {
        let mut link = vec![0x0a, 16];
        link.extend(bytes(16, *trace));
        link.extend([0x12, 8]);
        link.extend(bytes(8, *span));
        link.extend([0x22, 3, 0x0a, 1, b'k', 0x28, 0xac, 0x02, 0x35, 1, 0, 0, 0]);
        all.extend([0x6a, link.len() as u8]);
        all.extend(link);
    }
    (!all.is_empty()).then_some(all)
}

fn batch(spans: &[Span]) -> EventBatch {
    let labels = |text: fn(&Span) -> &'static str| -> ArrayRef {
        Arc::new(spans.iter().map(|span| Some(text(span))).collect::<DictionaryArray<Int32Type>>())
    };
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    let starts = spans.iter().map(|span| START + span.second * SECOND - 1_000);
    let links: Vec<Option<Vec<u8>>> = spans.iter().map(|span| wire(&span.links)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("trace_id", ids(16, spans.iter().map(|span| span.trace))),
        ("span_id", ids(8, spans.iter().map(|span| span.id))),
        ("parent_span_id", ids(8, spans.iter().map(|span| span.parent))),
        ("trace_state", Arc::new(spans.iter().map(|span| some(span.state)).collect::<StringArray>())),
        ("flags", Arc::new(UInt32Array::from_iter_values(spans.iter().map(|span| span.flags)))),
        ("name", labels(|span| span.name)),
        ("start_time", Arc::new(TimestampNanosecondArray::from_iter_values(starts).with_timezone("+00:00"))),
        ("duration_nanos", Arc::new(Int64Array::from_iter_values(spans.iter().map(|_| 1_000)))),
        ("links", Arc::new(links.iter().map(|links| links.as_deref()).collect::<BinaryArray>())),
        ("service", labels(|span| span.service)),
        ("user.id", Arc::new(spans.iter().map(|span| some(span.user)).collect::<StringArray>())),
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

/// Steps named like the spans they match, and one rule over them.
fn text(pattern: &str) -> String {
    let step =
        |name: &str| format!("title: {name}\nname: {name}\ndetection: {{s: {{name: {name}}}, condition: s}}\n---\n");
    let named = ["send", "take", "write", "check"].into_iter().filter(|name| pattern.contains(name));
    let steps: String = named.map(step).collect();
    format!("{steps}title: t\nname: t\ncorrelation: {{type: trace_pattern, {pattern}}}\n")
}

fn compile(pattern: &str) -> Arc<RuleSet> {
    let mut book = RuleBook::new();
    book.update("rule.yml", &text(pattern)).unwrap_or_else(|faults| panic!("{faults:?} {pattern}"));
    book.compile()
}

fn counters(engine: &Engine) -> RuleCounters {
    engine.counters().find(|(id, _)| *id == "t").map(|(_, counters)| counters).unwrap_or_default()
}

/// How often the rule fires for these spans.
fn times(pattern: &str, spans: &[Span]) -> usize {
    let mut engine = Engine::new(compile(pattern));
    engine.evaluate(&batch(spans), LATER).len() + engine.tick(LATER).len()
}

/// A message: sent in one trace, taken in another, written below.
fn message() -> Vec<Span> {
    vec![
        span(0, 1, 2, 1, "send"),
        Span { user: "alice", ..span(0, 1, 1, 0, "entry") },
        span(1, 2, 2, 1, "write"),
        linked(span(1, 2, 1, 0, "take"), &[(1, 2)]),
    ]
}

#[test]
fn a_span_lies_below_the_one_it_links_to_when_links_are_followed() {
    let below = "rules: [write, send], relate: [write descendant_of send]";
    assert_eq!(times(&format!("{below}, links: true"), &message()), 1);
    assert_eq!(times(below, &message()), 0, "links are followed by those who ask for it");
    let mut elsewhere = message();
    elsewhere[3].links = vec![(1, 9), (9, 2)];
    assert_eq!(times(&format!("{below}, links: true"), &elsewhere), 0);
    // a parent that is known comes before a link
    let mut with_parent = message();
    with_parent.push(span(1, 2, 3, 0, "other"));
    with_parent[3].parent = 3;
    assert_eq!(times(&format!("{below}, links: true"), &with_parent), 0);
    with_parent[3].parent = 77;
    assert_eq!(times(&format!("{below}, links: true"), &with_parent), 1);
}

#[test]
fn linked_to_is_the_link_itself_in_the_same_trace_or_another() {
    let direct = "rules: [take, send], relate: [take linked_to send]";
    assert_eq!(times(direct, &message()), 1);
    assert_eq!(times("rules: [write, send], relate: [write linked_to send]", &message()), 0);
    assert_eq!(times("rules: [take, send], relate: [send linked_to take]", &message()), 0);
    let same_trace = [span(0, 1, 2, 1, "send"), linked(span(0, 1, 3, 1, "take"), &[(1, 2)]), span(0, 1, 1, 0, "entry")];
    assert_eq!(times(direct, &same_trace), 1);
}

#[test]
fn the_path_goes_through_links_and_says_who_took_part() {
    let mut spans = message();
    spans[0].service = "gateway";
    spans[1].service = "gateway";
    let pattern = "rules: [write, send], links: true, path: 'gateway > shop', group-by: [send.service.name]";
    let mut engine = Engine::new(compile(pattern));
    engine.evaluate(&batch(&spans), LATER);
    let detections = engine.tick(LATER);
    let [detection] = detections.as_slice() else { panic!("one detection, got {detections:?}") };
    assert_eq!(detection.reason, "write in shop, send in gateway for send.service.name = gateway");
    assert_eq!(detection.events.len(), 2);
    assert_eq!((detection.at.0 - START) / SECOND, 11, "the trace that links is quiet");
}

#[test]
fn what_is_absent_is_looked_for_upstream_as_well() {
    let pattern = "rules: [write, check], where: write and not check, links: true";
    assert_eq!(times(pattern, &message()), 1);
    let mut checked = message();
    checked.push(span(0, 1, 3, 1, "check"));
    assert_eq!(times(pattern, &checked), 0);
    assert_eq!(times("rules: [write, check], where: write and not check", &checked), 1);
}

#[test]
fn a_hop_that_is_missing_between_two_services_is_seen() {
    let direct = "rules: [write], path: 'gateway > payments'";
    let request = |hop: &'static str| {
        let at = |service, span: Span| Span { service, ..span };
        [
            at("payments", span(0, 1, 3, 2, "write")),
            at(hop, span(0, 1, 2, 1, "proxy")),
            at("gateway", span(0, 1, 1, 0, "entry")),
        ]
    };
    assert_eq!(times(direct, &request("gateway")), 1, "straight to the payments");
    assert_eq!(times(direct, &request("auth")), 0);
    assert_eq!(times("rules: [write], path: 'gateway > ** > payments'", &request("auth")), 1);
    assert_eq!(times("rules: [write], path: '** > auth > **'", &request("auth")), 1);
    assert_eq!(times("rules: [write], path: '** > auth > **'", &request("cart")), 0);
}

#[test]
fn values_of_child_and_parent_are_compared() {
    let rule = "title: child\nname: child\ndetection: {s: {name: write}, condition: s}\n---\ntitle: parent\nname: parent\n\
        detection: {s: {name: send}, condition: s}\n---\ntitle: t\nname: t\ncorrelation: {type: trace_pattern, \
        rules: [child, parent], relate: [child child_of parent], compare: [child.user.id != parent.user.id]}\n";
    let play = |child: &'static str, above: &'static str| {
        let mut book = RuleBook::new();
        book.update("rule.yml", rule).expect("valid");
        let spans =
            [Span { user: child, ..span(0, 1, 2, 1, "write") }, Span { user: above, ..span(0, 1, 1, 0, "send") }];
        Engine::new(book.compile()).evaluate(&batch(&spans), LATER).len()
    };
    assert_eq!((play("alice", "bob"), play("alice", "ALICE"), play("", "bob")), (1, 0, 0));
}

#[test]
fn steps_are_counted_where_they_lie_as_the_rule_says() {
    let pattern = "rules: [send, write], relate: [write child_of send], count: {write: {gte: 3}}";
    let calls = |parents: &[u8]| {
        let mut spans = vec![span(1, 1, 1, 0, "send"), span(1, 1, 2, 1, "send")];
        spans.extend(parents.iter().zip(3..).map(|(parent, id)| span(0, 1, id, *parent, "write")));
        times(pattern, &spans)
    };
    assert_eq!(calls(&[1, 1, 1]), 1);
    assert_eq!(calls(&[1, 1, 2, 2]), 0, "four, and no three below one");
    assert_eq!(calls(&[1, 2, 2, 2]), 1);
    let mut engine = Engine::new(compile(pattern));
    for n in 0..2 {
        assert_eq!(engine.evaluate(&batch(&[span(0, 1, 3 + n, 1, "write"), span(1, 1, 1, 0, "send")]), LATER), []);
    }
    let detections = engine.evaluate(&batch(&[span(0, 1, 9, 1, "write")]), LATER);
    assert!(
        detections[0].reason.starts_with("send in shop, write (3 times or more) in shop"),
        "{}",
        detections[0].reason
    );
}

#[test]
fn what_a_rule_asks_for_in_vain_is_refused() {
    for (pattern, message) in [
        ("rules: [send, write], count: {call: {gte: 3}}", "\"call\" is not a step of this rule"),
        ("rules: [send, write], count: {write: {gte: 300}}", "a count is at least 1 and at most 256 spans"),
        ("rules: [send, write], count: {write: {gte: 0}}", "a count is at least 1 and at most 256 spans"),
        ("rules: [send, write], count: {write: {lte: 3}}", "a count has no key \"lte\""),
        (
            "rules: [send, write], where: send and not write, count: {write: {gte: 3}}",
            "\"write\" stands under not, so its spans are not counted",
        ),
        (
            "rules: [send, write], where: send and not write, relate: [write linked_to send]",
            "who would have linked here is not looked for",
        ),
        ("rules: [send, write], links: maybe", "links must be true or false, got text"),
    ] {
        let faults = RuleBook::new().update("rule.yml", &text(pattern)).expect_err(pattern);
        assert!(faults.iter().any(|fault| fault.message == message), "{faults:?}");
    }
    let faults =
        RuleBook::new().update("rule.yml", &format!("{}requires: luck\n", text("rules: [send]"))).expect_err("luck");
    assert_eq!(faults[0].message, "requires cannot be \"luck\"");
}

#[test]
fn what_is_absent_says_nothing_where_spans_were_left_out() {
    let pattern = text("rules: [write, check], where: write and not check, complete: {root: true, quiet: 10s}");
    let play = |requires: &str, change: fn(&mut [Span])| {
        let mut book = RuleBook::new();
        book.update("rule.yml", &format!("{pattern}{requires}")).expect("valid");
        let mut spans = [span(0, 1, 2, 1, "write"), span(0, 1, 1, 0, "entry")];
        change(&mut spans);
        let mut engine = Engine::new(book.compile());
        engine.evaluate(&batch(&spans), LATER);
        // a restart in between changes nothing
        let mut engine = Engine::restore(Arc::clone(engine.rules()), &engine.checkpoint()).expect("restored");
        (engine.tick(LATER).len(), counters(&engine).limited)
    };
    let requires = "requires: unsampled\n";
    assert_eq!(play(requires, |_| {}), (1, 0));
    // an SDK that knows its flags says that this trace is not recorded throughout
    let unsampled = |spans: &mut [Span]| spans[0].flags = 0x100;
    assert_eq!(play(requires, unsampled), (0, 1));
    assert_eq!(play("", unsampled), (1, 0), "whoever does not ask is told");
    assert_eq!(play(requires, |spans| spans[0].flags = 0x101), (1, 0));
    assert_eq!(play(requires, |spans| spans[0].flags = 0), (1, 0), "older SDKs send no flags at all");
    // one threshold for all kept the whole trace; two did not keep the same
    assert_eq!(play(requires, |spans| spans.iter_mut().for_each(|span| span.state = "x=1,ot=rv:01;th:c")), (1, 0));
    assert_eq!(
        play(requires, |spans| spans
            .iter_mut()
            .zip(["ot=th:c", "ot=th:8"])
            .for_each(|(span, state)| span.state = state)),
        (0, 1)
    );
    assert_eq!(play(requires, |spans| spans[0].state = "ot=th:nonsense"), (1, 0));
}

#[test]
fn links_of_events_in_files_are_read() {
    let tests = "tests:\n\
        \u{20} - {name: yes, expect: match, events: [{event: {trace_id: t1, span_id: a, name: send}}, {offset: 1s, event: {trace_id: t2, span_id: b, name: take, links: [{trace_id: t1, span_id: a}]}}]}\n\
        \u{20} - {name: no, expect: no_match, events: [{event: {trace_id: t1, span_id: a, name: send}}, {offset: 1s, event: {trace_id: t2, span_id: b, name: take, links: [{trace_id: t1, span_id: c}]}}]}\n";
    let rule = format!("{}{tests}", text("rules: [take, send], relate: [take linked_to send]"));
    let outcomes: Vec<Outcome> =
        run_tests("rule.yml", &rule).expect("valid").into_iter().map(|test| test.outcome).collect();
    assert_eq!(outcomes, [Outcome::Passed, Outcome::Passed]);
}

#[test]
fn links_are_bounded_and_say_what_they_left_out() {
    let pattern = "rules: [take, send], relate: [take linked_to send]";
    let play = |links: &[(u8, u8)], sent: u8| {
        let mut engine = Engine::new(compile(pattern));
        let mut spans: Vec<Span> = (1..=sent).map(|trace| span(0, trace, 1, 0, "send")).collect();
        spans.push(linked(span(1, 200, 1, 0, "take"), links));
        engine.evaluate(&batch(&spans), LATER);
        (engine.tick(LATER).len(), counters(&engine).evicted, counters(&engine).limited)
    };
    let beside: Vec<(u8, u8)> = (1..=20).map(|trace| (trace, 9)).collect();
    assert_eq!(play(&[beside.as_slice(), &[(1, 1)]].concat(), 1), (0, 5, 0), "the link that counts is the 21st");
    assert_eq!(play(&[&beside[..15], &[(1, 1)]].concat(), 1), (1, 0, 0));
    assert_eq!(play(&beside, 20).1, 4);
    // sixteen traces and no more
    assert_eq!(play(&[&beside[..15], &[(16, 1)]].concat(), 16), (0, 0, 1));
    // what is not OTLP ends the list, and nothing else
    let mut damaged = batch(&[linked(span(0, 1, 1, 0, "take"), &[(1, 1)])]);
    let at = damaged.records.schema().index_of("links").expect("links");
    let mut columns = damaged.records.columns().to_vec();
    columns[at] = Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x6a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")]));
    damaged.records = RecordBatch::try_new(damaged.records.schema(), columns).expect("a batch");
    assert_eq!(Engine::new(compile(pattern)).evaluate(&damaged, LATER), []);
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
}

/// Traces that last a moment each, and link to each other, back, forth and in circles.
fn world(dice: &mut Dice) -> Vec<Span> {
    let names = ["send", "take", "write", "send", "take", "write", "send", "take", "write", "check", "other", "other"];
    let mut spans: Vec<Span> = (1..=30_u8)
        .map(|number| {
            let trace = dice.roll(6) as u8 + 1;
            let second = i64::from(trace) * 7 % 30 + dice.roll(4);
            // ids repeat from trace to trace
            let id = number % 12 + 1;
            let parent = if dice.roll(3) == 0 { 0 } else { dice.roll(14) as u8 + 1 };
            let links = (0..dice.roll(5) / 3).map(|_| (dice.roll(6) as u8 + 1, dice.roll(12) as u8 + 1)).collect();
            Span { links, ..span(second, trace, id, parent, names[dice.roll(names.len() as i64) as usize]) }
        })
        .collect();
    let mut known = BTreeSet::new();
    spans.retain(|span| known.insert((span.trace, span.id)));
    spans.sort_by_key(|span| (span.second, span.trace, span.id));
    spans
}

/// A pattern over two steps: how the first lies to the second, and a step that must not be there.
struct Asked {
    text: &'static str,
    steps: [&'static str; 2],
    how: &'static str,
    follows: bool,
    absent: Option<&'static str>,
    least: usize,
}

const ASKED: [Asked; 5] = [
    Asked {
        text: "rules: [take, send], relate: [take linked_to send]",
        steps: ["take", "send"],
        how: "linked",
        follows: false,
        absent: None,
        least: 1,
    },
    Asked {
        text: "rules: [write, send], relate: [write descendant_of send], links: true",
        steps: ["write", "send"],
        how: "below",
        follows: true,
        absent: None,
        least: 1,
    },
    Asked {
        text: "rules: [write, take], relate: [write child_of take], links: true",
        steps: ["write", "take"],
        how: "child",
        follows: true,
        absent: None,
        least: 1,
    },
    Asked {
        text: "rules: [take, send, check], where: take and send and not check, relate: [take linked_to send], links: true",
        steps: ["take", "send"],
        how: "linked",
        follows: true,
        absent: Some("check"),
        least: 1,
    },
    Asked {
        text: "rules: [write, send], relate: [write descendant_of send], count: {write: {gte: 2}}, links: true",
        steps: ["write", "send"],
        how: "below",
        follows: true,
        absent: None,
        least: 2,
    },
];

/// Which traces fire, for one who sees everything and tries everything.
fn brute(asked: &Asked, spans: &[Span]) -> BTreeSet<u8> {
    let of = |trace: u8| spans.iter().filter(move |span| span.trace == trace);
    let fires = |trace: &u8| {
        let Some(moment) = of(*trace).map(|span| span.second + 10).max() else { return false };
        let mut traces = vec![*trace];
        let mut read = 0;
        while let Some(next) = traces.get(read).copied() {
            read += 1;
            let links =
                spans.iter().filter(|span| span.trace == next && span.second <= moment).flat_map(|span| &span.links);
            for (other, _) in links {
                if !traces.contains(other) && of(*other).next().is_some() {
                    traces.push(*other);
                }
            }
        }
        let seen: Vec<&Span> =
            spans.iter().filter(|span| traces.contains(&span.trace) && span.second <= moment).collect();
        let find = |trace: u8, id: u8| seen.iter().find(|span| (span.trace, span.id) == (trace, id)).copied();
        let parent = |span: &Span| {
            let known = find(span.trace, span.parent);
            let linked = || span.links.iter().find_map(|(trace, id)| find(*trace, *id));
            known.or_else(|| linked().filter(|_| asked.follows))
        };
        // the way up, unless it runs in a circle
        let above = |span: &Span| -> Option<Vec<(u8, u8)>> {
            let mut way = Vec::new();
            let mut next = parent(span);
            while let Some(span) = next {
                way.push((span.trace, span.id));
                if way.len() > seen.len() {
                    return None;
                }
                next = parent(span);
            }
            Some(way)
        };
        let lies = |one: &Span, other: &Span| match asked.how {
            "linked" => one.links.contains(&(other.trace, other.id)),
            "child" => {
                above(one).is_some()
                    && parent(one).is_some_and(|above| (above.trace, above.id) == (other.trace, other.id))
            }
            _ => above(one).is_some_and(|way| way.contains(&(other.trace, other.id))),
        };
        let named = |name: &'static str| seen.iter().filter(move |span| span.name == name).copied();
        let is_refuted = asked.absent.is_some_and(|absent| named(absent).next().is_some());
        let holds = named(asked.steps[1]).any(|other| {
            let fitting: Vec<&Span> = named(asked.steps[0]).filter(|one| lies(one, other)).collect();
            let is_own = fitting.iter().any(|one| one.trace == *trace) || other.trace == *trace;
            fitting.len() >= asked.least && is_own
        });
        holds && !is_refuted
    };
    (1..=6).filter(fires).collect()
}

fn fired(found: &[Detection]) -> BTreeSet<u8> {
    // a detection is of the trace that was judged; its id says which
    let id = |trace: u8| {
        let rule = found.first().map(|found| found.rule.clone())?;
        let key = hex::encode(bytes(16, trace));
        Some(Detection::derive_id(&TenantId::default_tenant(), &rule, &[], &key))
    };
    (1..=6).filter(|trace| id(*trace).is_some_and(|id| found.iter().any(|found| found.id == id))).collect()
}

#[test]
fn linked_traces_are_found_in_any_order_of_arrival_and_across_checkpoints() {
    let mut dice = Dice(0x5eed_1133);
    let mut times = [0; ASKED.len()];
    for round in 0..ASKED.len() * 80 {
        let asked = &ASKED[round % ASKED.len()];
        let set = compile(&format!("{}, complete: {{root: false, quiet: 10s}}", asked.text));
        let settings = Settings { lateness: Duration::from_secs(20), suppress: false, ..Settings::default() };
        let spans = world(&mut dice);
        let expected = brute(asked, &spans);
        let play = |late: &mut dyn FnMut() -> i64, size: &mut dyn FnMut() -> usize, is_interrupted: bool| {
            let mut arriving: Vec<(i64, Span)> =
                spans.iter().map(|span| (span.second + late(), span.clone())).collect();
            arriving.sort_by_key(|(arrival, _)| *arrival);
            let mut engine = Engine::with_settings(Arc::clone(&set), settings);
            let mut found = Vec::new();
            while !arriving.is_empty() {
                let next = arriving.drain(..size().clamp(1, arriving.len())).map(|(_, span)| span);
                found.extend(engine.evaluate(&batch(&next.collect::<Vec<_>>()), LATER));
                if is_interrupted {
                    engine = Engine::restore_with(Arc::clone(&set), settings, &engine.checkpoint()).expect("restored");
                }
            }
            found.extend(engine.tick(LATER));
            assert_eq!(counters(&engine).late, 0, "round {round}");
            found.sort_by(|left, right| left.id.cmp(&right.id));
            found
        };
        let ordered = play(&mut || 0, &mut || 1_000, false);
        assert_eq!(fired(&ordered), expected, "round {round}: {} {spans:#?}", asked.text);
        assert_eq!(ordered.len(), expected.len(), "round {round}");
        assert_eq!(play(&mut || 0, &mut || 1, true), ordered, "round {round}, one by one: {}", asked.text);
        let (mut late, mut size) = (Dice(dice.0), Dice(dice.0 + 1));
        let shuffled = play(&mut || late.roll(20), &mut || size.roll(9) as usize, true);
        assert_eq!(shuffled, ordered, "round {round}, shuffled: {}", asked.text);
        times[round % ASKED.len()] += ordered.len();
    }
    assert!(times.iter().all(|times| *times > 2) && times.iter().sum::<usize>() > 80, "{times:?}");
}
