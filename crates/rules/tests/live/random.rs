//! Random rules over random events: the order of arrival, the size of batches and a crash after any of them change
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use model::Detection;
use model::attribute::Value;
use rules::{Engine, Settings};

use super::{Event, LATER, compile, spans};

const LATENESS_SECS: i64 = 10;

/// A stream of numbers that looks random and is the same every time (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.roll(choices.len() as u64)).expect("small")]
    }
}

const BASE: &str = "
title: failed
name: failed
detection: {s: {http.response.status_code: 401}, condition: s}
---
title: passed
name: passed
detection: {s: {http.response.status_code: 200}, condition: s}
---
title: asked
name: asked
detection: {s: {http.response.status_code: 302}, condition: s}
";

/// A correlation of some type, its bound drawn so that it now and then holds.
fn correlation(dice: &mut Dice) -> String {
    let relation = dice.of(&["gte", "gt", "lte", "lt", "eq", "neq"]);
    let bound = dice.roll(5);
    let size = bound * 40;
    let percent = dice.of(&[0, 10, 50, 95, 100]);
    match dice.roll(11) {
        0 | 1 => format!("type: event_count, rules: [failed], condition: {{{relation}: {bound}}}"),
        2 => {
            format!("type: value_count, rules: [failed, asked], condition: {{field: http.route, {relation}: {bound}}}")
        }
        3 => format!("type: value_sum, rules: [asked], condition: {{field: size, {relation}: {size}}}"),
        4 => format!("type: value_avg, rules: [asked, passed], condition: {{field: size, {relation}: {size}}}"),
        5 => format!("type: value_median, rules: [asked], condition: {{field: size, {relation}: {size}}}"),
        6 => format!(
            "type: value_percentile, rules: [asked], condition: {{field: size, percentile: {percent}, {relation}: {size}}}"
        ),
        7 => "type: temporal, rules: [failed, passed, asked]".to_owned(),
        8 => "type: temporal, rules: [failed, passed], condition: failed and not passed".to_owned(),
        9 => "type: temporal, rules: [failed, passed, asked], condition: (failed or asked) and not passed".to_owned(),
        _ => "type: temporal_ordered, rules: [failed, asked, passed]".to_owned(),
    }
}

fn rules(dice: &mut Dice) -> String {
    let (inner, span, outer) = (correlation(dice), 1 + dice.roll(12), 1 + dice.roll(20));
    let group = dice.of(&["", ", group-by: [user.id]"]);
    let least = 1 + dice.roll(3);
    let counted = format!("type: event_count, rules: [inner], condition: {{gte: {least}}}");
    let chained =
        dice.of(&[counted.as_str(), "type: temporal, rules: [inner, passed], condition: inner and not passed"]);
    format!(
        "{BASE}---\ntitle: inner\nname: inner\ngenerate: true\ncorrelation: {{{inner}, timespan: {span}s{group}}}\n\
         ---\ntitle: chain\nname: chain\ncorrelation: {{{chained}, timespan: {outer}s{group}}}\n"
    )
}

fn events(dice: &mut Dice) -> Vec<Event> {
    let event = |number| Event {
        second: i64::try_from(dice.roll(60)).expect("small"),
        number,
        route: dice.of(&["/a", "/b", "/c", ""]),
        status: Some(dice.of(&[401, 401, 200, 302])),
        user: dice.of(&["u1", "u2", ""]),
        rest: vec![("size", Value::Int(i64::try_from(dice.roll(200)).expect("small")))],
        ..Event::default()
    };
    (1..=40).map(event).collect()
}

/// What the rules find when the events come so much later than they happened, in batches of such sizes; after each, the
/// engine is written down and read again when it `crashes`.
fn play(
    text: &str,
    settings: Settings,
    events: &[Event],
    late: &mut dyn FnMut() -> i64,
    size: &mut dyn FnMut() -> usize,
    crashes: bool,
) -> Vec<Detection> {
    let set = compile(text);
    let mut arriving: Vec<(i64, Event)> = events.iter().map(|event| (event.second + late(), event.clone())).collect();
    arriving.sort_by_key(|(arrival, _)| *arrival);
    let mut engine = Engine::with_settings(Arc::clone(&set), settings);
    let mut found = Vec::new();
    while !arriving.is_empty() {
        let next: Vec<Event> = arriving.drain(..size().clamp(1, arriving.len())).map(|(_, event)| event).collect();
        found.extend(engine.evaluate(&spans(&next), LATER));
        if crashes {
            engine = Engine::restore_with(Arc::clone(&set), settings, &engine.checkpoint()).expect("restored");
        }
    }
    found.extend(engine.tick(LATER));
    assert!(engine.counters().all(|(_, counters)| counters.late == 0), "{text}");
    found.sort_by(|left, right| left.id.cmp(&right.id));
    found
}

/// Fails with the first two that differ.
fn same(left: &[Detection], right: &[Detection], what: &str) {
    for at in 0..left.len().max(right.len()) {
        assert_eq!(left.get(at), right.get(at), "{what}");
    }
}

fn ids(found: Vec<Detection>) -> Vec<String> {
    found.into_iter().map(|found| found.id).collect()
}

#[test]
fn neither_order_nor_batches_nor_crashes_change_what_random_rules_find() {
    let mut dice = Dice(0x5eed_0005);
    let mut fired = 0;
    for round in 0..600_u64 {
        let (text, events) = (rules(&mut dice), events(&mut dice));
        let lateness = Duration::from_secs(LATENESS_SECS.unsigned_abs());
        let patient = Settings { lateness, suppress: false, eager: false, ..Settings::default() };
        let eager = Settings { eager: true, ..patient };
        let ordered = play(&text, patient, &events, &mut || 0, &mut || 1_000, false);
        let (mut late, mut size) = (Dice(round + 1), Dice(round + 2));
        let mut lag = || i64::try_from(late.roll(LATENESS_SECS.unsigned_abs())).expect("small");
        let mut some = || usize::try_from(size.roll(9)).expect("small");
        let crashed = play(&text, patient, &events, &mut || 0, &mut || 1, true);
        same(&crashed, &ordered, &format!("round {round}, crashes: {text}"));
        let shuffled = play(&text, patient, &events, &mut lag, &mut some, true);
        same(&shuffled, &ordered, &format!("round {round}, shuffled: {text}"));
        // what fires on arrival does not wait for all of its evidence
        let early = play(&text, eager, &events, &mut lag, &mut some, true);
        fired += ordered.len();
        assert_eq!(ids(early), ids(ordered), "round {round}, on arrival: {text}");
    }
    assert!(fired > 5_000, "only {fired} fired");
}
