//! Rules that learn what is usual, as the server runs them: against a plain reckoning, whatever the order of arrival,
//! across checkpoints, edits and history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::Int32Type;
use model::{Detection, EventBatch, Lsn, Signal, TenantId, UnixNanos};
use rules::{Engine, RuleBook, RuleCounters, RuleSet, Settings};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// A Thursday at midnight, as is the beginning of 1970.
const START: i64 = 1_767_225_600 * SECOND;
const LATER: UnixNanos = UnixNanos(START + 1_000_000_000 * SECOND);

/// A span of a test: a call of one service to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    /// Event time after the start, in milliseconds.
    millis: i64,
    number: u32,
    service: &'static str,
    peer: &'static str,
    user: &'static str,
    address: &'static str,
    bytes: i64,
}

fn call(second: i64, number: u32, service: &'static str, peer: &'static str) -> Call {
    Call { millis: second * 1_000, number, service, peer, user: "u1", address: "198.51.100.7", bytes: 1 }
}

fn batch(calls: &[Call]) -> EventBatch {
    let labels = |texts: Vec<&str>| -> ArrayRef {
        Arc::new(
            texts.into_iter().map(|text| (!text.is_empty()).then_some(text)).collect::<DictionaryArray<Int32Type>>(),
        )
    };
    let texts = |of: fn(&Call) -> &'static str| -> ArrayRef {
        Arc::new(calls.iter().map(|call| Some(of(call)).filter(|text| !text.is_empty())).collect::<StringArray>())
    };
    let ids = |size: usize| -> ArrayRef {
        let id = |call: &Call| {
            let mut id = vec![1; size];
            id[size - 4..].copy_from_slice(&call.number.to_be_bytes());
            id
        };
        Arc::new(FixedSizeBinaryArray::try_from_iter(calls.iter().map(id)).expect("ids"))
    };
    let starts = calls.iter().map(|call| START + call.millis * 1_000_000 - 1_000);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("trace_id", ids(16)),
        ("span_id", ids(8)),
        ("name", labels(calls.iter().map(|_| "call").collect())),
        ("start_time", Arc::new(TimestampNanosecondArray::from_iter_values(starts).with_timezone("+00:00"))),
        ("duration_nanos", Arc::new(Int64Array::from_iter_values(calls.iter().map(|_| 1_000)))),
        ("service", labels(calls.iter().map(|call| call.service).collect())),
        ("service.peer.name", labels(calls.iter().map(|call| call.peer).collect())),
        ("user.id", texts(|call| call.user)),
        ("client.address", texts(|call| call.address)),
        ("http.response.body.size", Arc::new(Int64Array::from_iter_values(calls.iter().map(|call| call.bytes)))),
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

const ANY: &str = "title: any\nname: any\nlogsource: {product: otel, category: span}\ndetection: {s: {name: call}, condition: s}\n---\n";

fn rule(correlation: &str) -> String {
    format!("{ANY}title: t\nname: t\ncorrelation: {{{correlation}}}\n")
}

fn compile(text: &str) -> Arc<RuleSet> {
    let mut book = RuleBook::new();
    book.update("rule.yml", text).expect("a valid rule");
    book.compile()
}

fn faults(text: &str) -> Vec<String> {
    let found = RuleBook::new().update("rule.yml", text).expect_err("a faulty rule");
    found.iter().map(ToString::to_string).collect()
}

fn settings(lateness_secs: u64) -> Settings {
    Settings { lateness: Duration::from_secs(lateness_secs), suppress: false, ..Settings::default() }
}

fn counters(engine: &Engine) -> RuleCounters {
    engine.counters().find(|(id, _)| *id == "t").map(|(_, counters)| counters).unwrap_or_default()
}

/// Milliseconds, values of the group and metric of each detection.
fn shown(detections: &[Detection]) -> Vec<String> {
    let one = |found: &Detection| {
        let group: Vec<&str> = found.group.iter().map(|(_, value)| value.as_str()).collect();
        format!("{:09} {} {}", (found.at.0 - START) / 1_000_000, group.join(" "), found.metric.unwrap_or_default())
    };
    let mut shown: Vec<String> = detections.iter().map(one).collect();
    shown.sort();
    shown
}

fn evaluate(engine: &mut Engine, calls: &[Call]) -> Vec<Detection> {
    engine.evaluate(&batch(calls), LATER)
}

/// Everything in one batch, judged to the end.
fn whole(set: &Arc<RuleSet>, calls: &[Call]) -> Vec<Detection> {
    let mut engine = Engine::with_settings(Arc::clone(set), settings(60));
    let mut found = evaluate(&mut engine, calls);
    found.extend(engine.tick(LATER));
    found
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.unsigned_abs().max(1)).cast_signed()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.roll(all.len() as i64)).expect("small")]
    }
}

/// Calls come in bursts with silences between them, some of them twice; every event time is another.
fn random_calls(dice: &mut Dice, count: u32, silence_secs: i64) -> Vec<Call> {
    let mut millis = dice.roll(1_000);
    let mut calls = Vec::new();
    for number in 0..count {
        millis += 1 + if dice.roll(12) == 0 { dice.roll(silence_secs * 1_000) } else { dice.roll(20_000) };
        let mut next = call(0, number, dice.one_of(&["a", "b"]), dice.one_of(&["x", "y", "z", "w"]));
        next.millis = millis;
        next.user = dice.one_of(&["u1", "u2", ""]);
        next.bytes = if dice.roll(15) == 0 { 500 + dice.roll(1_000) } else { dice.roll(90) };
        calls.push(next);
        if dice.roll(10) == 0 {
            calls.push(next);
        }
    }
    calls
}

/// What fires when the calls arrive up to `late_secs` late, in batches of up to `size`, with a checkpoint after each when
/// `stops`.
fn arriving(
    set: &Arc<RuleSet>,
    calls: &[Call],
    dice: &mut Dice,
    (late_secs, size, stops): (i64, i64, bool),
) -> Vec<Detection> {
    let settings = settings(u64::try_from(late_secs).expect("a length"));
    let mut arriving: Vec<(i64, Call)> =
        calls.iter().map(|call| (call.millis + dice.roll(late_secs * 1_000), *call)).collect();
    arriving.sort();
    let mut engine = Engine::with_settings(Arc::clone(set), settings);
    let mut found = Vec::new();
    while !arriving.is_empty() {
        let size = usize::try_from(1 + dice.roll(size)).expect("small").min(arriving.len());
        let next: Vec<Call> = arriving.drain(..size).map(|(_, call)| call).collect();
        found.extend(evaluate(&mut engine, &next));
        if stops {
            engine = Engine::restore_with(Arc::clone(set), settings, &engine.checkpoint()).expect("restored");
        }
    }
    found.extend(engine.tick(LATER));
    assert_eq!(counters(&engine).late, 0);
    found.sort_by(|left, right| (left.at, &left.id).cmp(&(right.at, &right.id)));
    found
}

/// The times of one group.
struct Learning {
    learn_secs: i64,
    forget_secs: i64,
    remember_secs: i64,
    min_events: usize,
    returned: bool,
}

/// A plain reckoning of `first_seen` with fields `[service.peer.name]` by `service.name`.
fn first_seen_by_hand(calls: &[Call], learning: &Learning) -> Vec<String> {
    let unique: BTreeSet<Call> = calls.iter().copied().collect();
    let mut found = Vec::new();
    for one in &unique {
        let of_group: Vec<&Call> = unique.iter().filter(|call| call.service == one.service).collect();
        let mut life = one.millis;
        for earlier in of_group.iter().rev().filter(|call| call.millis < one.millis) {
            if life - earlier.millis > learning.remember_secs * 1_000 {
                break;
            }
            life = earlier.millis;
        }
        let counted = of_group.iter().filter(|call| (life..one.millis).contains(&call.millis)).count();
        let before = of_group.iter().rfind(|call| call.peer == one.peer && call.millis < one.millis);
        let silent = before.map(|before| one.millis - before.millis);
        let is_unseen = silent.is_none_or(|silent| silent > learning.forget_secs * 1_000);
        let is_back = silent.is_some_and(|silent| silent <= learning.remember_secs * 1_000);
        let has_learned = counted >= learning.min_events && one.millis - life >= learning.learn_secs * 1_000;
        if has_learned && is_unseen && (is_back || !learning.returned) {
            found.push(format!("{:09} {} {} 1", one.millis, one.service, one.peer));
        }
    }
    found.sort();
    found
}

#[test]
fn first_seen_is_what_a_plain_reckoning_gives_in_any_order_and_across_checkpoints() {
    let mut dice = Dice(0x0f1e_2d3c_4b5a_0001);
    let mut fired = 0;
    for round in 0..120 {
        let forget_secs = 30 + dice.roll(600);
        let learning = Learning {
            learn_secs: dice.roll(400),
            forget_secs,
            remember_secs: forget_secs + 1 + dice.roll(900),
            min_events: usize::try_from(dice.roll(12)).expect("small"),
            returned: round % 3 == 0,
        };
        let set = compile(&rule(&format!(
            "type: first_seen, rules: [any], fields: [service.peer.name], group-by: [service.name], learn: {}s, forget: {}s, remember: {}s, min_events: {}, returned: {}",
            learning.learn_secs, learning.forget_secs, learning.remember_secs, learning.min_events, learning.returned
        )));
        let calls = random_calls(&mut dice, 120, 1_500);
        let expected = first_seen_by_hand(&calls, &learning);
        let together = whole(&set, &calls);
        assert_eq!(shown(&together), expected, "round {round}");
        let ordered = arriving(&set, &calls, &mut dice, (1, 1, false));
        assert_eq!(shown(&ordered), expected, "round {round}, one by one");
        let shuffled = arriving(&set, &calls, &mut dice, (90, 12, false));
        assert_eq!(shuffled, ordered, "round {round}, shuffled");
        let stopped = arriving(&set, &calls, &mut dice, (90, 12, true));
        assert_eq!(stopped, ordered, "round {round}, with checkpoints");
        fired += expected.len();
    }
    assert!(fired > 200, "only {fired} fired");
}

/// A plain reckoning of `deviation` of the sum, count or average of bytes, or of distinct peers, by `user.id`.
fn deviation_by_hand(
    calls: &[Call],
    metric: &str,
    (bucket_secs, window, hours, min_buckets): (i64, i64, i64, usize),
    (ratio, mad, floor): (Option<f64>, Option<f64>, f64),
) -> Vec<String> {
    let unique: BTreeSet<Call> = calls.iter().filter(|call| !call.user.is_empty()).copied().collect();
    let bucket_of = |call: &Call| (START / 1_000_000 + call.millis).div_euclid(bucket_secs * 1_000);
    let season = |bucket: i64| (bucket * bucket_secs).div_euclid(HOUR).rem_euclid(hours);
    let come_to = |calls: &[&Call]| -> f64 {
        let sum: i64 = calls.iter().map(|call| call.bytes).sum();
        match metric {
            "count" => calls.len() as f64,
            "sum" => sum as f64,
            "avg" => sum as f64 / calls.len() as f64,
            _ => calls.iter().map(|call| call.peer).collect::<BTreeSet<_>>().len() as f64,
        }
    };
    let middle = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
    };
    let mut buckets: BTreeMap<(&str, i64), Vec<&Call>> = BTreeMap::new();
    unique.iter().for_each(|call| buckets.entry((call.user, bucket_of(call))).or_default().push(call));
    let mut found = Vec::new();
    for ((user, bucket), inside) in &buckets {
        let known = |number: i64| buckets.get(&(*user, number));
        let Some(first) = (bucket - window..*bucket).find(|number| known(*number).is_some()) else { continue };
        let alike = (first..*bucket).filter(|number| season(*number) == season(*bucket));
        let value = |number: i64| known(number).map(|calls| come_to(calls)).or((metric != "avg").then_some(0.0));
        let mut values: Vec<f64> = alike.filter_map(value).collect();
        if values.len() < min_buckets {
            continue;
        }
        let median = middle(&mut values);
        let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
        let distance = middle(&mut distances);
        let is_far = |value: f64| {
            value >= floor
                && ratio.is_none_or(|ratio| value >= ratio * median)
                && mad.is_none_or(|mad| value > median && value >= median + mad * 1.4826 * distance)
        };
        let end = (bucket + 1) * bucket_secs * 1_000 - START / 1_000_000;
        let moment = match metric {
            "avg" => Some((end, come_to(inside))).filter(|(_, value)| is_far(*value)),
            _ => (1..=inside.len())
                .map(|count| (inside[count - 1].millis, come_to(&inside[..count])))
                .find(|(_, value)| is_far(*value)),
        };
        found.extend(moment.map(|(at, value)| format!("{at:09} {user} {value}")));
    }
    found.sort();
    found
}

#[test]
fn deviation_is_what_a_plain_reckoning_gives_in_any_order_and_across_checkpoints() {
    let mut dice = Dice(0x0f1e_2d3c_4b5a_0002);
    let mut fired = 0;
    for round in 0..120 {
        let (metric, written) = dice.one_of(&[
            ("sum", "{sum: http.response.body.size}"),
            ("avg", "{avg: http.response.body.size}"),
            ("count", "{count: true}"),
            ("distinct", "{distinct: service.peer.name}"),
        ]);
        let (season, hours) = dice.one_of(&[("none", 1), ("hour_of_day", 24), ("hour_of_week", 168)]);
        // a season must come back: with a silence between bursts of up to a day, and windows of weeks
        let (bucket_secs, window, silence) =
            if hours == 1 { (60, 8 + dice.roll(40), 300) } else { (600, 3_000, 9 * HOUR) };
        let min_buckets = 3 + usize::try_from(dice.roll(4)).expect("small");
        let ratio = [None, Some(2.0), Some(4.5)][usize::try_from(dice.roll(3)).expect("small")];
        let mad = if ratio.is_none() || dice.roll(2) == 0 { Some(1.0 + dice.roll(5) as f64) } else { None };
        let floor = if metric == "sum" || metric == "avg" { 100.0 } else { 2.0 };
        let condition =
            [ratio.map(|ratio| format!("ratio_gte: {ratio}, ")), mad.map(|mad| format!("mad_gte: {mad}, "))];
        let condition: String = condition.into_iter().flatten().collect();
        let set = compile(&rule(&format!(
            "type: deviation, rules: [any], metric: {written}, group-by: [user.id], bucket: {bucket_secs}s, baseline: {{window: {}s, season: {season}, min_buckets: {min_buckets}}}, condition: {{{condition}floor: {floor}}}",
            window * bucket_secs
        )));
        let calls = random_calls(&mut dice, 250, silence);
        let expected =
            deviation_by_hand(&calls, metric, (bucket_secs, window, hours, min_buckets), (ratio, mad, floor));
        let together = whole(&set, &calls);
        assert_eq!(shown(&together), expected, "round {round} {metric} {season} {condition}");
        let ordered = arriving(&set, &calls, &mut dice, (1, 1, false));
        assert_eq!(shown(&ordered), expected, "round {round}, one by one");
        let shuffled = arriving(&set, &calls, &mut dice, (90, 12, false));
        assert_eq!(shuffled, ordered, "round {round}, shuffled");
        let stopped = arriving(&set, &calls, &mut dice, (90, 12, true));
        assert_eq!(stopped, ordered, "round {round}, with checkpoints");
        fired += expected.len();
    }
    assert!(fired > 150, "only {fired} fired");
}

const EDGES: &str = "type: first_seen, rules: [any], fields: [service.name, service.peer.name], learn: 1h, forget: 30d";

/// An hour of one edge, and a little more.
fn an_hour() -> Vec<Call> {
    (0..62).map(|number| call(i64::from(number) * 60, number, "shop", "db")).collect()
}

fn fired(detections: &[Detection]) -> Vec<String> {
    shown(detections)
        .iter()
        .map(|line| line.split_once(' ').map_or("", |(_, rest)| rest).trim_end_matches(" 1").to_owned())
        .collect()
}

/// Time passes without any span.
fn wait(engine: &mut Engine, second: i64) -> Vec<String> {
    fired(&engine.tick(UnixNanos(START + (second + 200) * SECOND)))
}

#[test]
fn a_new_edge_fires_once_when_the_watermark_has_passed_it() {
    let mut engine = Engine::new(compile(&rule(EDGES)));
    assert_eq!(evaluate(&mut engine, &an_hour()), []);
    let new = [call(3_700, 100, "shop", "paste.example"), call(3_705, 101, "SHOP", "Paste.Example")];
    assert_eq!(evaluate(&mut engine, &new), [], "an earlier sighting may be on its way");
    let found = evaluate(&mut engine, &[call(3_770, 102, "shop", "db")]);
    let [detection] = found.as_slice() else { panic!("one detection, got {found:?}") };
    assert_eq!(detection.reason, "service.name = shop, service.peer.name = paste.example seen for the first time");
    assert_eq!((detection.events.len(), (detection.at.0 - START) / SECOND), (1, 3_700));
    assert_eq!(evaluate(&mut engine, &[call(3_800, 103, "shop", "paste.example")]), []);
    assert_eq!(wait(&mut engine, 3_800), [""; 0]);
}

#[test]
fn an_event_counts_once_and_only_with_its_fields() {
    let asks = "type: first_seen, rules: [any], fields: [service.peer.name], learn: 0s, forget: 1d, min_events: 3";
    let mut engine = Engine::new(compile(&rule(asks)));
    let sent = [call(0, 1, "shop", "a"), call(1, 2, "shop", "b"), call(2, 3, "shop", "")];
    // the sender repeats its requests; a call without a peer is none
    let found = [&sent[..], &sent[..], &[call(5, 4, "shop", "c")]].map(|calls| evaluate(&mut engine, calls).len());
    assert_eq!((found, wait(&mut engine, 5)), ([0, 0, 0], vec![]), "c is the third event: two were before it");
    evaluate(&mut engine, &[call(500, 5, "shop", "d")]);
    assert_eq!(wait(&mut engine, 500), ["d"]);
    assert_eq!(evaluate(&mut engine, &[call(9, 6, "shop", "e")]), []);
    assert_eq!((counters(&engine).late, wait(&mut engine, 700)), (1, vec![]));
}

#[test]
fn the_absence_of_a_value_can_be_learned() {
    let asks = "type: first_seen, rules: [any], group-by: [service.name], fields: [service.peer.name, user.id], absent: [user.id], learn: 1h, forget: 30d";
    let mut engine = Engine::new(compile(&rule(asks)));
    evaluate(&mut engine, &an_hour());
    let bare = Call { user: "", ..call(3_700, 100, "shop", "db") };
    evaluate(&mut engine, &[bare, Call { number: 101, service: "cart", ..bare }]);
    assert_eq!(wait(&mut engine, 3_700), ["shop db (absent)"], "a group that is new learns for itself");
}

#[test]
fn addresses_are_learned_by_their_networks() {
    let asks =
        "type: first_seen, rules: [any], group-by: [user.id], fields: [client.address/24], learn: 1h, forget: 30d";
    let mut engine = Engine::new(compile(&rule(asks)));
    evaluate(&mut engine, &an_hour());
    let from = |number, address| Call { address, ..call(3_700, number, "shop", "db") };
    let addresses = [
        "198.51.100.200",
        "::ffff:198.51.100.201",
        "203.0.113.9",
        "2001:db8:1:2::3",
        "2001:DB8:1:ffff::4",
        "somewhere",
    ];
    let calls: Vec<Call> = (100..).zip(addresses).map(|(number, address)| from(number, address)).collect();
    evaluate(&mut engine, &calls);
    assert_eq!(wait(&mut engine, 3_700), ["u1 2001:db8:1::/48", "u1 203.0.113.0/24", "u1 somewhere"]);
}

#[test]
fn an_account_that_was_silent_for_months_is_noticed_when_it_returns() {
    let asks = "type: first_seen, rules: [any], fields: [user.id], forget: 90d, remember: 1y, returned: true";
    let mut engine = Engine::new(compile(&rule(asks)));
    let by = |day: i64, number, user| Call { user, ..call(day * DAY, number, "shop", "db") };
    evaluate(&mut engine, &[by(0, 1, "early"), by(0, 2, "old"), by(89, 3, "early"), by(89, 4, "new")]);
    evaluate(&mut engine, &[by(100, 5, "old"), by(100, 6, "early")]);
    let found = engine.tick(UnixNanos(START + 101 * DAY * SECOND));
    assert_eq!(fired(&found), ["old"]);
    assert_eq!(found[0].reason, "user.id = old seen again after 100d");
    evaluate(&mut engine, &[by(500, 7, "new")]);
    assert_eq!(wait(&mut engine, 500 * DAY), [""; 0], "who was forgotten for good is new");
}

#[test]
fn an_edit_of_how_a_rule_judges_leaves_what_it_learned_alone() {
    let mut engine = Engine::new(compile(&rule(EDGES)));
    evaluate(&mut engine, &an_hour());
    let edited = rule(EDGES)
        .replace("title: t", "title: better\nlevel: high\nsuppress: {for: 5m}")
        .replace("forget: 30d", "forget: 20d, min_events: 10");
    engine.replace(compile(&edited));
    evaluate(&mut engine, &[call(3_700, 100, "shop", "db"), call(3_700, 101, "shop", "new")]);
    assert_eq!(wait(&mut engine, 3_700), ["shop new"]);
    let mut again = Engine::restore(compile(&rule(EDGES)), &engine.checkpoint()).expect("restored");
    evaluate(&mut again, &[call(4_000, 102, "shop", "newer")]);
    assert_eq!(wait(&mut again, 4_000), ["shop newer"], "and so does one across a restart");
    for other in [
        rule(EDGES).replace("{name: call}", "{name: call, kind: client}"),
        rule(EDGES).replace("fields: [service.name, service.peer.name]", "fields: [service.peer.name]"),
    ] {
        let mut engine = Engine::restore(compile(&rule(EDGES)), &engine.checkpoint()).expect("restored");
        engine.replace(compile(&other));
        evaluate(&mut engine, &[call(4_000, 103, "shop", "newest")]);
        assert_eq!(wait(&mut engine, 4_000), [""; 0], "one that learns from something else begins anew");
    }
}

const VOLUME: &str = "type: deviation, rules: [any], metric: {sum: http.response.body.size}, group-by: [user.id], bucket: 10m, baseline: {window: 7d, season: none, min_buckets: 12}, condition: {ratio_gte: 8, floor: 1000}";

/// Three hours in which a user takes 100 in ten minutes.
fn usual_volume() -> Vec<Call> {
    (0..18).map(|number| Call { bytes: 100, ..call(i64::from(number) * 600 + 5, number, "shop", "db") }).collect()
}

#[test]
fn a_volume_far_above_the_usual_fires_as_soon_as_it_is_reached() {
    let mut engine = Engine::new(compile(&rule(VOLUME)));
    evaluate(&mut engine, &usual_volume());
    let taken: Vec<Call> = (100..115)
        .map(|number| Call { bytes: 100, ..call(10_810 + i64::from(number), number, "shop", "db") })
        .collect();
    evaluate(&mut engine, &taken);
    let found = engine.tick(UnixNanos(START + 11_100 * SECOND));
    let [detection] = found.as_slice() else { panic!("one detection, got {found:?}") };
    assert_eq!(detection.reason, "1000 sum of http.response.body.size within 10m, usual are 100, for user.id = u1");
    assert_eq!((detection.at.0 - START) / SECOND, 10_919, "the tenth of them, long before the bucket ends");
    assert_eq!((detection.events.len(), (detection.window_start.0 - START) / SECOND), (10, 10_800));
    // an edit of thresholds leaves the baseline as it is
    engine.replace(compile(&rule(&VOLUME.replace("ratio_gte: 8", "mad_gte: 3").replace("7d", "3d"))));
    let more: Vec<Call> = (200..211)
        .map(|number| Call { bytes: 100, ..call(11_650 + i64::from(number) - 200, number, "shop", "db") })
        .collect();
    evaluate(&mut engine, &more);
    assert_eq!(shown(&engine.tick(UnixNanos(START + 11_900 * SECOND))), ["011659000 u1 1000"]);
}

#[test]
fn memory_is_bounded_and_says_what_it_forgot() {
    let play = |bounds: Settings, asks: &str, calls: &[Call]| {
        let mut engine = Engine::with_settings(compile(&rule(asks)), bounds);
        evaluate(&mut engine, calls);
        engine.tick(LATER);
        counters(&engine).evicted
    };
    let peers = ["a", "b", "c", "d", "e"];
    let calls: Vec<Call> =
        (0..5).zip(peers).map(|(number, peer)| call(i64::from(number), number, peer, peer)).collect();
    let asks = "type: first_seen, rules: [any], group-by: [service.name], fields: [service.peer.name], learn: 1h, forget: 30d, min_events: 9";
    let bounded = |change: fn(&mut Settings)| {
        let mut bounds = Settings::default();
        change(&mut bounds);
        bounds
    };
    assert_eq!(play(bounded(|_| {}), asks, &calls), 0);
    assert_eq!(play(bounded(|bounds| bounds.values_per_rule = 2), asks, &calls), 3);
    assert_eq!(play(bounded(|bounds| bounds.groups_per_rule = 2), asks, &calls), 3);
    // two may wait: three are not counted, and three first sightings are forgotten
    assert_eq!(play(bounded(|bounds| bounds.waiting_per_rule = 2), asks, &calls), 6);
    let of_services = VOLUME.replace("user.id", "service.name");
    assert_eq!(play(bounded(|_| {}), &of_services, &calls), 0);
    assert_eq!(play(bounded(|bounds| bounds.groups_per_rule = 2), &of_services, &calls), 3);
    assert_eq!(play(bounded(|bounds| bounds.waiting_per_rule = 2), &of_services, &calls), 3);
    let later: Vec<Call> =
        calls.iter().map(|call| Call { millis: call.millis + 700_000, number: call.number + 50, ..*call }).collect();
    let both = [calls, later].concat();
    assert_eq!(play(bounded(|bounds| bounds.buckets_per_rule = 2), &of_services, &both), 3);
}

#[test]
fn what_was_seen_least_recently_is_forgotten_first() {
    let asks = "type: first_seen, rules: [any], fields: [service.peer.name], learn: 0s, forget: 30d";
    let settings = Settings { values_per_rule: 3, ..Settings::default() };
    let set = compile(&rule(asks));
    let mut engine = Engine::with_settings(Arc::clone(&set), settings);
    let peers = ["a", "b", "c", "a", "d", "c", "e"];
    let calls: Vec<Call> =
        (0..7).zip(peers).map(|(number, peer)| call(i64::from(number), number, "shop", peer)).collect();
    evaluate(&mut engine, &calls);
    // b went for d, and a for e: a first sighting that was not judged goes with its value
    assert_eq!(wait(&mut engine, 10), ["c", "d", "e"]);
    let mut engine = Engine::restore_with(set, settings, &engine.checkpoint()).expect("restored");
    evaluate(&mut engine, &[call(300, 20, "shop", "c"), call(301, 21, "shop", "d"), call(302, 22, "shop", "a")]);
    assert_eq!(wait(&mut engine, 310), ["a"], "in place of e, for c and d were used since");
    evaluate(&mut engine, &[call(600, 30, "shop", "e")]);
    assert_eq!((wait(&mut engine, 610), counters(&engine).evicted), (vec!["e".to_owned()], 4));
}

#[test]
fn one_service_that_opens_three_new_edges_is_found_by_a_rule_over_a_rule() {
    let chain = format!(
        "{}---\ntitle: n\nname: n\nlevel: high\ncorrelation: {{type: value_count, rules: [t], group-by: [service.name], timespan: 10m, condition: {{field: service.peer.name, gte: 3}}}}\n",
        rule(EDGES)
    );
    let set = compile(&chain);
    let scan = [("shop", "x"), ("cart", "x"), ("shop", "y"), ("cart", "y"), ("shop", "y"), ("shop", "z")];
    let calls: Vec<Call> = (100..)
        .zip(scan)
        .map(|(number, (service, peer))| call(3_600 + i64::from(number), number, service, peer))
        .collect();
    let mut engine = Engine::new(Arc::clone(&set));
    evaluate(&mut engine, &an_hour());
    evaluate(&mut engine, &calls);
    let found = engine.tick(UnixNanos(START + 4_000 * SECOND));
    let [detection] = found.as_slice() else { panic!("one detection, got {found:?}") };
    assert_eq!((detection.rule.id.as_str(), detection.events.len()), ("n", 3));
    assert_eq!(
        detection.reason,
        "3 distinct values of service.peer.name within 10m for service.name = shop (the rule asks for at least 3)"
    );
    let mut book = RuleBook::new();
    let wrong = chain.replace("group-by: [service.name]", "group-by: [user.id]");
    assert!(book.update("rule.yml", &wrong).is_err(), "a firing has the fields that were learned, and no others");
}

#[test]
fn history_teaches_what_a_life_would_have_and_fires_nothing() {
    let asks = EDGES.replace("forget: 30d", "forget: 30d, min_events: 10, warm_start: history");
    for (asks, expected) in
        [(rule(&asks), vec!["shop new"]), (rule(&format!("{VOLUME}, warm_start: history")), vec!["u1 1001"])]
    {
        let set = compile(&asks);
        let tenant = TenantId::default_tenant();
        let mut history = [usual_volume(), an_hour()].concat();
        history.extend([call(3_000, 900, "shop", "old")]);
        let mut live = vec![call(10_800, 300, "shop", "db")];
        live.extend((301..313).map(|number| Call { bytes: 100, ..call(10_900, number, "shop", "old") }));
        live.push(call(10_910, 320, "shop", "new"));
        let mut engine = Engine::new(Arc::clone(&set));
        assert!(engine.learner(&tenant).is_none(), "nothing was seen of the tenant");
        evaluate(&mut engine, &live[..1]);
        let mut learner = engine.learner(&tenant).expect("a baseline that knows nothing");
        let range = learner.range();
        assert_eq!((range.end.0 - START) / SECOND, 10_740, "up to where live events are judged from");
        assert_eq!(learner.signals(), [Signal::Spans]);
        // as the store would hand it out: slice by slice, and more than was asked for
        history.sort();
        for slice in [&history[..40], &history[40..], &live[..]] {
            learner.take(&batch(slice));
            let last = slice.last().map_or(0, |call| call.millis);
            learner.settle(UnixNanos(START + last * 1_000_000));
        }
        // meanwhile live events go on, and checkpoints are made
        evaluate(&mut engine, &live[1..5]);
        let mut engine = Engine::restore(Arc::clone(&set), &engine.checkpoint()).expect("restored");
        engine.adopt(learner);
        assert!(engine.learner(&tenant).is_none(), "once is enough");
        evaluate(&mut engine, &live[5..]);
        assert_eq!(wait(&mut engine, 11_000), expected, "{asks}");
        assert_eq!(counters(&engine), RuleCounters { matched: 1, detections: 1, ..RuleCounters::default() });
    }
}

#[test]
fn faults_are_named_with_their_place_and_a_way_out() {
    let first_seen = |part: &str| rule(&format!("type: first_seen, rules: [any], {part}"));
    let deviation = |from: &str, to: &str| {
        assert!(VOLUME.contains(from), "{from}");
        rule(&VOLUME.replace(from, to))
    };
    for (text, fault) in [
        (first_seen("learn: 7d, forget: 30d"), "8:14: a first_seen needs fields [missing-key] (name the fields"),
        (first_seen("fields: [a], forget: 30d"), "8:14: this needs learn [missing-key]"),
        (
            first_seen("fields: [a], learn: 7d, forget: 7"),
            "forget cannot be \"7\" [bad-value] (a whole number and s, m, h, d, w, M or y, from 1s to 1825d, as in 7d)",
        ),
        (
            first_seen("fields: [a], learn: 7d, forget: 30d, timespan: 5m"),
            "a first_seen has no key \"timespan\" [unknown-key]",
        ),
        (first_seen("fields: [a], learn: 7d, forgets: 30d"), "[unknown-key] (did you mean \"forget\"?)"),
        (
            first_seen("fields: [a, b], group-by: [b], learn: 7d, forget: 30d"),
            "\"b\" is in fields and in group-by [bad-value]",
        ),
        (
            first_seen("fields: [a/33], learn: 7d, forget: 30d"),
            "an IPv4 address has 32 bits, an IPv6 address 128 [bad-value]",
        ),
        (first_seen("fields: [a], absent: [b], learn: 7d, forget: 30d"), "\"b\" is not among the fields [bad-value]"),
        (first_seen("fields: [a], absent: [a], learn: 7d, forget: 30d"), "every field may be absent"),
        (first_seen("fields: [a], learn: 7d, forget: 30d, remember: 1d"), "remember must not be shorter than forget"),
        (
            first_seen("fields: [a], forget: 30d, remember: 30d, returned: true"),
            "what is forgotten before it can return cannot be noticed",
        ),
        (
            first_seen("fields: [a], learn: 7d, forget: 30d, min_events: 1e9"),
            "min_events must be a whole number from 0 to 100000",
        ),
        (
            first_seen("fields: [a], learn: 7d, forget: 30d, warm_start: histroy"),
            "warm_start cannot be \"histroy\" [bad-value] (did you mean \"history\"?)",
        ),
        (
            first_seen("fields: [a], learn: 7d, forget: 30d").replace("[any]", "[nothing]"),
            "there is no rule \"nothing\"",
        ),
        (deviation("sum:", "summe:"), "there is no metric \"summe\" [unknown-key] (did you mean \"sum\"?)"),
        (deviation("metric: {sum: http.response.body.size}, ", ""), "a deviation needs a metric [missing-key]"),
        (
            deviation("{sum: http.response.body.size}", "{count: user.id}"),
            "count takes true [bad-value] (to count distinct values write {distinct: field})",
        ),
        (deviation("season: none", "season: hour_of_year"), "season cannot be \"hour_of_year\""),
        (deviation("window: 7d", "window: 90d"), "12960 buckets lie in the window, at most 4032 may [too-large]"),
        (
            deviation("window: 7d, season: none", "window: 7d, season: hour_of_week"),
            "6 buckets of one season lie in the window, and 12 are needed to judge",
        ),
        (deviation("ratio_gte: 8, ", ""), "the condition needs ratio_gte or mad_gte"),
        (deviation(", floor: 1000", ""), "the condition needs a floor"),
        (deviation("ratio_gte: 8", "ratio_gte: 0.5"), "ratio_gte must be more than 1, got 0.5"),
        (deviation("floor: 1000", "floor: many"), "floor takes a number, got"),
    ] {
        let found = faults(&text);
        assert!(
            found.iter().any(|found| found.starts_with("rule.yml:") && found.contains(fault)),
            "{fault}: {found:?}"
        );
    }
}

#[test]
fn a_checkpoint_of_before_there_were_baselines_is_read_and_a_damaged_one_is_not() {
    let set = compile(&rule(EDGES));
    let old = b"tracehound-rules 1\n{\"tenants\":[{\"name\":\"default\",\"newest\":1767225600000000000,\"floor\":1767225540000000000,\"rules\":[],\"muted\":[]}],\"counters\":{}}";
    assert_eq!(evaluate(&mut Engine::restore(Arc::clone(&set), old).expect("restored"), &an_hour()), []);
    let volume = compile(&rule(VOLUME));
    let mut engine = Engine::new(Arc::clone(&set));
    evaluate(&mut engine, &an_hour());
    let mut other = Engine::new(Arc::clone(&volume));
    evaluate(&mut other, &usual_volume());
    for (engine, set, part) in [(&engine, &set, "\"values\":\""), (&other, &volume, "\"closed\":\"")] {
        let sound = String::from_utf8(engine.checkpoint()).expect("text");
        let bytes = sound.split(part).nth(1).and_then(|rest| rest.split('"').next()).expect("bytes");
        for damaged in [&bytes[5..], "?"] {
            let damaged = sound.replace(bytes, damaged);
            assert!(Engine::restore(Arc::clone(set), damaged.as_bytes()).is_err(), "{damaged}");
        }
    }
}
