//! Patterns over traces, as the server runs them: whatever the order of arrival, and across checkpoints.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::Int32Type;
use model::{Detection, EventBatch, EventId, Lsn, Signal, TenantId, UnixNanos};
use rules::{Engine, RuleBook, RuleCounters, RuleSet, Settings};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_767_225_600 * SECOND;
const LATER: UnixNanos = UnixNanos(START + 1_000_000 * SECOND);

/// A span of a test.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// When it ended.
    second: i64,
    trace: u8,
    id: u8,
    /// 0 for a root.
    parent: u8,
    service: &'static str,
    name: &'static str,
    user: &'static str,
}

fn span(second: i64, trace: u8, id: u8, parent: u8, service: &'static str, name: &'static str) -> Span {
    Span { second, trace, id, parent, service, name, user: "u1" }
}

fn batch(spans: &[Span]) -> EventBatch {
    let labels = |texts: Vec<&str>| -> ArrayRef {
        Arc::new(texts.into_iter().map(Some).collect::<DictionaryArray<Int32Type>>())
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
    let starts = spans.iter().map(|span| START + span.second * SECOND - 1_000);
    let users = spans.iter().map(|span| (!span.user.is_empty()).then_some(span.user));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("trace_id", ids(16, |span| span.trace)),
        ("span_id", ids(8, |span| span.id)),
        ("parent_span_id", Arc::new(parents.finish())),
        ("name", labels(spans.iter().map(|span| span.name).collect())),
        ("start_time", Arc::new(TimestampNanosecondArray::from_iter_values(starts).with_timezone("+00:00"))),
        ("duration_nanos", Arc::new(Int64Array::from_iter_values(spans.iter().map(|_| 1_000)))),
        ("service", labels(spans.iter().map(|span| span.service).collect())),
        ("user.id", Arc::new(users.collect::<StringArray>())),
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
fn compile(pattern: &str) -> Arc<RuleSet> {
    let step = |name: &str| {
        format!(
            "title: {name}\nname: {name}\nlogsource: {{product: otel, category: span}}\ndetection: {{s: {{name: {name}}}, condition: s}}\n---\n"
        )
    };
    // a step that no rule refers to would raise alerts of its own
    let named = ["entry", "pay", "authz", "call"].into_iter().filter(|name| pattern.contains(name));
    let steps: String = named.map(step).collect();
    let mut book = RuleBook::new();
    let rule = format!("{steps}title: t\nname: t\ncorrelation: {{type: trace_pattern, {pattern}}}\n");
    book.update("rule.yml", &rule).expect("a valid rule");
    book.compile()
}

const SKIPPED: &str = "rules: [pay, authz], where: pay and not authz, complete: {root: true, quiet: 10s}";
const SSRF: &str = "rules: [entry, call], relate: [call descendant_of entry], path: 'gateway > ** > *', \
                    alias: {culprit: call.service.name}";

/// Trace and second of detections, in order.
fn found(detections: &[Detection]) -> Vec<String> {
    let mut shown: Vec<String> = detections
        .iter()
        .map(|found| {
            let trace = found.group.first().map_or("", |(_, value)| value.trim_start_matches('0'));
            format!("{trace} at {}", (found.at.0 - START) / SECOND)
        })
        .collect();
    shown.sort();
    shown
}

fn counters(engine: &Engine) -> RuleCounters {
    engine.counters().find(|(id, _)| *id == "t").map(|(_, counters)| counters).unwrap_or_default()
}

/// Time passes without any span.
fn wait(engine: &mut Engine, second: i64) -> Vec<String> {
    found(&engine.tick(UnixNanos(START + (second + 120) * SECOND)))
}

/// A request that leads through two services to a call.
fn through_two_services(trace: u8, second: i64) -> [Span; 4] {
    [
        span(second, trace, 4, 3, "images", "call"),
        span(second, trace, 3, 2, "images", "serve"),
        span(second + 1, trace, 2, 1, "shop", "proxy"),
        span(second + 1, trace, 1, 0, "gateway", "entry"),
    ]
}

#[test]
fn a_step_left_out_fires_once_the_trace_is_closed_and_not_before() {
    let mut engine = Engine::new(compile(SKIPPED));
    let with =
        [span(0, 1, 3, 1, "auth", "authz"), span(1, 1, 2, 1, "payments", "pay"), span(2, 1, 1, 0, "gateway", "entry")];
    let without = [span(1, 2, 2, 1, "payments", "pay"), span(2, 2, 1, 0, "gateway", "entry")];
    assert_eq!(engine.evaluate(&batch(&[with.as_slice(), &without].concat()), LATER), []);
    // ten seconds of quiet after the root, and a minute for stragglers
    assert_eq!(engine.evaluate(&batch(&[span(72, 9, 1, 0, "gateway", "other")]), LATER), []);
    let detections = engine.evaluate(&batch(&[span(73, 9, 2, 0, "gateway", "other")]), LATER);
    let [detection] = detections.as_slice() else { panic!("one detection, got {detections:?}") };
    assert_eq!(found(&detections), ["2 at 12"]);
    let trace = "00000000000000000000000000000002";
    assert_eq!(detection.reason, format!("pay in payments, without authz for trace_id = {trace}"));
    assert_eq!((detection.window_start, detection.metric), (UnixNanos(START + SECOND), Some(1.0)));
    assert!(matches!(&detection.events[..], [EventId::Span(trace, span)] if trace.0[15] == 2 && span.0[7] == 2));
    assert_eq!(wait(&mut engine, 1_000), Vec::<String>::new(), "no trace fires twice");
}

#[test]
fn steps_that_were_taken_fire_at_once_through_any_depth_and_only_once() {
    let mut engine = Engine::new(compile(SSRF));
    let spans = through_two_services(1, 0);
    for span in &spans[..3] {
        assert_eq!(engine.evaluate(&batch(&[*span]), LATER), [], "{span:?}");
    }
    let detections = engine.evaluate(&batch(&spans[3..]), LATER);
    assert_eq!(found(&detections), ["1 at 1"]);
    let trace = "00000000000000000000000000000001";
    assert_eq!(
        detections[0].reason,
        format!("entry in gateway, call in images for trace_id = {trace}, culprit = images")
    );
    assert_eq!(detections[0].events.len(), 2);
    // more of the same, and the same again
    let more = [span(2, 1, 6, 2, "images", "call"), span(2, 1, 7, 0, "gateway", "entry")];
    assert_eq!(engine.evaluate(&batch(&[spans.as_slice(), &more].concat()), LATER), []);
    // beside the entry, or below one of another service, it is not the pattern
    let beside = [span(3, 2, 1, 0, "gateway", "entry"), span(3, 2, 2, 9, "images", "call")];
    let elsewhere = [span(3, 3, 1, 0, "cron", "entry"), span(3, 3, 2, 1, "images", "call")];
    assert_eq!(engine.evaluate(&batch(&[beside, elsewhere].concat()), LATER), []);
}

#[test]
fn relations_and_comparisons_hold_for_one_binding() {
    let pattern = "rules: [entry, pay], relate: [pay child_of entry, entry precedes pay], compare: [pay.user.id != entry.user.id], group-by: [pay.user.id]";
    let user = |user, span: Span| Span { user, ..span };
    let play = |spans: &[Span]| Engine::new(compile(pattern)).evaluate(&batch(spans), LATER);
    let entry = user("alice", span(0, 1, 1, 0, "gateway", "entry"));
    let own = user("ALICE", span(1, 1, 2, 1, "payments", "pay"));
    let below_another = user("bob", span(1, 1, 3, 9, "payments", "pay"));
    let unknown = user("", span(1, 1, 4, 1, "payments", "pay"));
    let early = user("bob", span(-1, 1, 5, 1, "payments", "pay"));
    assert_eq!(play(&[entry, own, below_another, unknown, early]), [], "every demand is met, by no span alone");
    let detections =
        play(&[entry, own, below_another, unknown, early, user("bob", span(1, 1, 6, 1, "payments", "pay"))]);
    assert_eq!(detections[0].group, [("pay.user.id".to_owned(), "bob".to_owned())]);
}

#[test]
fn what_must_be_absent_may_have_to_lie_somewhere() {
    let pattern = "rules: [pay, authz], where: pay and not authz, relate: [authz sibling_of pay]";
    let mut engine = Engine::new(compile(pattern));
    let spans = [
        span(0, 1, 1, 0, "gateway", "entry"),
        span(0, 1, 2, 1, "payments", "pay"),
        span(0, 1, 3, 1, "auth", "authz"),
        // a second request in the same trace, whose payment nobody allowed
        span(0, 2, 1, 0, "gateway", "entry"),
        span(0, 2, 2, 1, "payments", "pay"),
        span(0, 2, 3, 1, "auth", "authz"),
        span(0, 2, 4, 0, "gateway", "entry"),
        span(0, 2, 5, 4, "payments", "pay"),
    ];
    engine.evaluate(&batch(&spans), LATER);
    let detections = engine.tick(LATER);
    assert_eq!(found(&detections), ["2 at 10"]);
    assert!(matches!(&detections[0].events[..], [EventId::Span(_, span)] if span.0[7] == 5));
}

#[test]
fn a_late_span_is_judged_once_more_and_no_more() {
    let judge = |late: &[Span]| {
        let mut engine = Engine::new(compile(SKIPPED));
        engine.evaluate(&batch(&[span(0, 1, 1, 0, "gateway", "entry")]), LATER);
        let mut firings = Vec::new();
        for span in late {
            firings.extend(found(&engine.evaluate(&batch(&[*span]), LATER)));
        }
        firings.extend(wait(&mut engine, 1_000));
        firings
    };
    let other = span(5, 1, 2, 1, "shop", "other");
    assert_eq!(judge(&[other]), Vec::<String>::new());
    // closed at 15; again 10 s after the payment
    assert_eq!(judge(&[other, span(40, 1, 3, 1, "payments", "pay")]), ["1 at 50"]);
    assert_eq!(
        judge(&[other, span(40, 1, 3, 1, "payments", "pay"), span(45, 1, 4, 1, "auth", "authz")]),
        Vec::<String>::new()
    );
    // closed at 15 and again at 40: what comes then is not looked at
    let third = [other, span(30, 1, 4, 1, "shop", "other"), span(50, 1, 3, 1, "payments", "pay")];
    assert_eq!(judge(&third), Vec::<String>::new());
    assert_eq!(judge(&[other, third[2]]), ["1 at 60"]);
}

#[test]
fn a_span_after_the_watermark_joins_a_trace_that_is_known() {
    let mut engine = Engine::new(compile(SSRF));
    engine.evaluate(&batch(&[span(0, 1, 1, 0, "gateway", "entry"), span(100, 9, 1, 0, "gateway", "other")]), LATER);
    assert_eq!(found(&engine.evaluate(&batch(&[span(1, 1, 2, 1, "images", "call")]), LATER)), ["1 at 1"]);
    assert_eq!(engine.evaluate(&batch(&through_two_services(2, 1)), LATER), [], "nobody knows this trace any more");
    assert_eq!(counters(&engine).late, 2, "two of its spans match a step");
}

#[test]
fn without_a_root_only_what_was_seen_can_fire_and_says_so() {
    let rootless = [span(0, 1, 2, 1, "payments", "pay"), span(1, 1, 3, 1, "shop", "other")];
    let play = |pattern: &str| {
        let mut engine = Engine::new(compile(pattern));
        engine.evaluate(&batch(&rootless), LATER);
        assert_eq!(wait(&mut engine, 60), Vec::<String>::new(), "a root may still come");
        engine.tick(LATER)
    };
    assert_eq!(play(SKIPPED), []);
    let detections = play("rules: [pay], complete: {root: true, quiet: 10s}, timespan: 90s");
    assert_eq!(found(&detections), ["1 at 90"]);
    assert!(detections[0].reason.ends_with("(incomplete: the root of the trace was not seen)"));
    // whoever asks for no root is not fooled by a caller that claims to have one
    let mut engine = Engine::new(compile(&SKIPPED.replace("true", "false")));
    engine.evaluate(&batch(&rootless), LATER);
    assert_eq!(wait(&mut engine, 12), ["1 at 11"]);
}

#[test]
fn memory_of_traces_is_bounded_and_says_what_it_forgot() {
    let play = |settings: Settings, spans: &[Span]| {
        let mut engine = Engine::with_settings(compile(SSRF), settings);
        let found: usize = spans.iter().map(|span| engine.evaluate(&batch(&[*span]), LATER).len()).sum();
        (found, counters(&engine).evicted)
    };
    let (one, two, three) = (through_two_services(1, 0), through_two_services(2, 0), through_two_services(3, 0));
    let mixed: Vec<Span> = (0..4).flat_map(|n| [one[n], two[n], three[n]]).collect();
    assert_eq!(play(Settings::default(), &mixed), (3, 0));
    // with room for two, the third pushes out the one heard of least recently
    let (found, evicted) = play(Settings { traces: 2, ..Settings::default() }, &mixed);
    assert!(found == 0 && evicted > 0, "{found} {evicted}");
    let (found, evicted) = play(Settings { trace_bytes: 1_000, ..Settings::default() }, &mixed);
    assert!(found < 3 && evicted > 0, "{found} {evicted}");
    // of a trace that is full only roots are taken
    assert_eq!(play(Settings { spans_per_trace: 3, ..Settings::default() }, &one), (1, 0));
    assert_eq!(play(Settings { spans_per_trace: 2, ..Settings::default() }, &one), (0, 1));
    // what is over is forgotten, and that is no loss
    let mut engine = Engine::new(compile(SSRF));
    for n in 0..100 {
        engine.evaluate(&batch(&through_two_services(n, i64::from(n) * 100)[..3]), LATER);
    }
    assert_eq!(counters(&engine).evicted, 0);
    let held = String::from_utf8_lossy(&engine.checkpoint()).matches("\"services\"").count();
    assert!(held <= 3, "{held} traces are held");
}

#[test]
fn a_trace_made_to_match_much_and_fit_nowhere_is_let_go_and_counted() {
    let pattern = "rules: [entry, pay, call, authz], compare: [entry.user.id != pay.user.id, call.user.id != authz.user.id], path: nowhere";
    let mut engine = Engine::new(compile(pattern));
    let names = ["entry", "pay", "call", "authz"];
    let user = |n: u8| if n % 8 < 4 { "a" } else { "b" };
    let flood: Vec<Span> =
        (1..=250).map(|n| Span { user: user(n), ..span(0, 1, n, 0, "shop", names[usize::from(n % 4)]) }).collect();
    for span in &flood {
        engine.evaluate(&batch(&[*span]), LATER);
    }
    let limited = counters(&engine).limited;
    assert!((1..100).contains(&limited), "given up {limited} times, then not looked at any more");
    // others are not the worse for it
    let other = ["entry", "pay", "call", "authz"]
        .into_iter()
        .zip(1..)
        .map(|(name, id)| Span { user: user(id * 4), ..span(0, 2, id, 0, "nowhere", name) });
    assert_eq!(found(&engine.evaluate(&batch(&other.collect::<Vec<_>>()), LATER)), ["2 at 0"]);
}

/// Forty traces over two minutes, some closed by quiet, some rootless, some with spans long after.
fn many() -> Vec<Span> {
    let mut spans = Vec::new();
    for trace in 0..40_u8 {
        let second = i64::from(trace) * 3;
        let [call, serve, proxy, entry] = through_two_services(trace, second);
        spans.extend([serve, proxy]);
        spans.extend((trace % 5 != 1).then_some(entry));
        spans.extend((trace % 3 != 2).then_some(call));
        spans.extend((trace % 2 == 0).then_some(span(second + 1, trace, 5, 2, "payments", "pay")));
        spans.extend((trace % 4 == 0).then_some(span(second, trace, 6, 2, "auth", "authz")));
        spans.extend((trace % 7 == 3).then_some(span(second + 25, trace, 7, 2, "payments", "pay")));
        spans.extend((trace % 7 == 4).then_some(span(second + 31, trace, 8, 2, "auth", "authz")));
    }
    spans.sort_by_key(|span| span.second);
    spans
}

/// What the order of arrival may not change: everything but the order of detections.
fn all(mut detections: Vec<Detection>) -> Vec<Detection> {
    detections.sort_by(|left, right| left.id.cmp(&right.id));
    detections
}

const KINDS: [&str; 5] = [
    SKIPPED,
    SSRF,
    "rules: [pay, authz], where: pay and not authz, complete: {root: false, quiet: 5s}, timespan: 20s",
    "rules: [pay, authz], where: pay and not authz, relate: [authz sibling_of pay], timespan: 15s",
    "rules: [call, pay], where: call or pay, complete: {quiet: 3s}",
];

#[test]
fn arrival_order_within_the_lateness_does_not_matter_to_traces() {
    let spans = many();
    let mut shuffled: Vec<(i64, Span)> = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        // up to 50 s late, by a fixed pattern
        shuffled.push((span.second + (at as i64 * 37) % 51, *span));
    }
    shuffled.sort_by_key(|(arrival, _)| *arrival);
    let shuffled: Vec<Span> = shuffled.into_iter().map(|(_, span)| span).collect();
    for kind in KINDS {
        let set = compile(kind);
        let play = |spans: &[Span], size: usize| {
            let mut engine = Engine::new(Arc::clone(&set));
            let mut found: Vec<Detection> =
                spans.chunks(size).flat_map(|chunk| engine.evaluate(&batch(chunk), LATER)).collect();
            found.extend(engine.tick(LATER));
            assert_eq!(counters(&engine).late, 0);
            all(found)
        };
        let ordered = play(&spans, 1_000);
        assert!(ordered.len() > 3, "{kind}: {}", ordered.len());
        let mut ids: Vec<&str> = ordered.iter().map(|found| found.id.as_str()).collect();
        ids.dedup();
        assert_eq!(ids.len(), ordered.len(), "{kind}: a trace fired twice");
        for size in [1, 7, 50] {
            assert_eq!(play(&spans, size), ordered, "{kind} in batches of {size}");
            assert_eq!(play(&shuffled, size), ordered, "{kind} shuffled, in batches of {size}");
        }
    }
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

#[test]
fn random_traces_give_the_same_in_random_order_and_across_checkpoints() {
    let mut dice = Dice(0x5eed_0029);
    let mut fired = 0;
    for round in 0..300 {
        let names = ["entry", "pay", "authz", "call", "other"];
        let spans: Vec<Span> = (1..=40_u8)
            .map(|id| {
                // bursts with gaps about as long as the quiet periods and timespans
                let second = dice.roll(4) * 23 + dice.roll(8);
                let parent = if dice.roll(4) == 0 { 0 } else { dice.roll(40) as u8 + 1 };
                let service = ["gateway", "shop"][dice.roll(2) as usize];
                span(second, dice.roll(6) as u8 + 1, id, parent, service, names[dice.roll(5) as usize])
            })
            .collect();
        let kind = KINDS[round % KINDS.len()];
        let set = compile(kind);
        let settings = Settings { lateness: Duration::from_secs(20), suppress: false, ..Settings::default() };
        // what fires on arrival may be shown by another of its bindings; what waits is the same in all it says
        let says = |found: Vec<Detection>| -> Vec<(String, Option<Detection>)> {
            let waits = kind.contains("not") || kind.contains("complete");
            all(found).into_iter().map(|found| (found.id.clone(), waits.then_some(found))).collect()
        };
        let play = |late: &mut dyn FnMut() -> i64, size: &mut dyn FnMut() -> usize| {
            let mut arriving: Vec<(i64, Span)> = spans.iter().map(|span| (span.second + late(), *span)).collect();
            arriving.sort_by_key(|(arrival, _)| *arrival);
            let mut engine = Engine::with_settings(Arc::clone(&set), settings);
            let mut found = Vec::new();
            while !arriving.is_empty() {
                let next = arriving.drain(..size().clamp(1, arriving.len())).map(|(_, span)| span);
                found.extend(engine.evaluate(&batch(&next.collect::<Vec<_>>()), LATER));
                engine = Engine::restore_with(Arc::clone(&set), settings, &engine.checkpoint()).expect("restored");
            }
            found.extend(engine.tick(LATER));
            assert_eq!(counters(&engine).late, 0, "round {round}");
            says(found)
        };
        let ordered = play(&mut || 0, &mut || 1_000);
        let one_by_one = play(&mut || 0, &mut || 1);
        assert_eq!(one_by_one, ordered, "round {round}, one by one: {kind} {spans:?}");
        let (mut late, mut size) = (Dice(dice.0), Dice(dice.0 + 1));
        let shuffled = play(&mut || late.roll(20), &mut || size.roll(9) as usize);
        assert_eq!(shuffled, ordered, "round {round}, shuffled: {kind} {spans:?}");
        fired += ordered.len();
    }
    assert!(fired > 300, "only {fired} fired");
}

#[test]
fn a_checkpoint_after_any_batch_changes_nothing_in_traces() {
    let settings = Settings { lateness: Duration::from_secs(5), ..Settings::default() };
    let spans = many();
    let batches: Vec<EventBatch> = spans.chunks(9).map(batch).collect();
    for kind in KINDS {
        let set = compile(kind);
        let whole = {
            let mut engine = Engine::with_settings(Arc::clone(&set), settings);
            let found: Vec<Detection> = batches.iter().flat_map(|batch| engine.evaluate(batch, LATER)).collect();
            (found, engine.checkpoint())
        };
        assert!(whole.0.iter().filter(|found| found.rule.id == "t").count() > 3, "{kind}");
        for stop in 0..=batches.len() {
            let mut engine = Engine::with_settings(Arc::clone(&set), settings);
            let mut found: Vec<Detection> =
                batches[..stop].iter().flat_map(|batch| engine.evaluate(batch, LATER)).collect();
            let mut engine = Engine::restore_with(Arc::clone(&set), settings, &engine.checkpoint()).expect("restored");
            found.extend(batches[stop..].iter().flat_map(|batch| engine.evaluate(batch, LATER)));
            assert_eq!(found, whole.0, "{kind}: stopped after {stop} batches");
            assert!(engine.checkpoint() == whole.1, "{kind}: stopped after {stop} batches");
        }
    }
}

#[test]
fn a_checkpoint_of_before_there_were_traces_is_read_and_a_damaged_one_is_not() {
    let set = compile(SSRF);
    let old = b"tracehound-rules 1\n{\"tenants\":[{\"name\":\"default\",\"newest\":1767225600000000000,\"floor\":1767225540000000000,\"rules\":[],\"muted\":[]}],\"counters\":{}}";
    let mut engine = Engine::restore(Arc::clone(&set), old).expect("restored");
    assert_eq!(found(&engine.evaluate(&batch(&through_two_services(1, 0)), LATER)), ["1 at 1"]);
    let mut engine = Engine::new(Arc::clone(&set));
    engine.evaluate(&batch(&through_two_services(1, 0)[..3]), LATER);
    let sound = String::from_utf8(engine.checkpoint()).expect("text");
    let spans = sound.split("\"spans\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("spans");
    for (part, damaged) in [(spans, &spans[4..]), (spans, "?"), (",1,null,[", ",7,null,[")] {
        assert!(sound.contains(part), "{part}");
        assert!(Engine::restore(Arc::clone(&set), sound.replace(part, damaged).as_bytes()).is_err(), "{damaged}");
    }
}

#[test]
fn other_correlations_build_on_traces_that_fired() {
    let count = "---\ntitle: n\nname: n\ncorrelation: {type: value_count, rules: [t], group-by: [user.id], timespan: 1m, condition: {field: trace_id, gte: 3}}\n";
    let steps = "title: entry\nname: entry\ndetection: {s: {name: entry}, condition: s}\n---\ntitle: call\nname: call\ndetection: {s: {name: call}, condition: s}\n---\n";
    let rule = format!(
        "{steps}title: t\nname: t\ncorrelation: {{type: trace_pattern, {SSRF}, group-by: [user.id, trace_id]}}\n{count}"
    );
    let mut book = RuleBook::new();
    book.update("rule.yml", &rule).expect("a valid rule");
    let mut engine = Engine::new(book.compile());
    let mut detections = Vec::new();
    for trace in 1..4 {
        detections.extend(engine.evaluate(&batch(&through_two_services(trace, i64::from(trace))), LATER));
    }
    let [detection] = detections.as_slice() else { panic!("one detection, got {detections:?}") };
    assert_eq!((detection.rule.id.as_str(), detection.events.len()), ("n", 6));
}

#[test]
fn editing_another_rule_leaves_the_traces_alone() {
    let text = |title: &str, status: &str| {
        format!(
            "title: entry\nname: entry\ndetection: {{s: {{name: entry}}, condition: s}}\n---\n\
             title: call\nname: call\ndetection: {{s: {{name: call}}, condition: s}}\n---\n\
             title: {title}\nname: t\ncorrelation: {{type: trace_pattern, {SSRF}}}\n---\n\
             title: u\nname: u\ncorrelation: {{type: trace_pattern, rules: [entry, call], relate: [{status}]}}\n"
        )
    };
    let compile = |title: &str, status: &str| {
        let mut book = RuleBook::new();
        book.update("rule.yml", &text(title, status)).expect("a valid rule");
        book.compile()
    };
    let mut engine = Engine::new(compile("t", "call descendant_of entry"));
    let spans = through_two_services(1, 0);
    engine.evaluate(&batch(&spans[..3]), LATER);
    engine.replace(compile("a better title", "entry precedes call"));
    let detections = engine.evaluate(&batch(&spans[3..]), LATER);
    let rules: Vec<&str> = detections.iter().map(|found| found.rule.id.as_str()).collect();
    assert_eq!(rules, ["t"], "the edited rule begins anew, the retitled one does not");
}
