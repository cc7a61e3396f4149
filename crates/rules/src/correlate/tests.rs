//! Windows that slide give what counting anew gives, whatever the order of arrival.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::EventId;

use super::{Bounds, Losses, Memory};
use crate::atom::Relation;
use crate::kinds::{self, Kept};
use crate::rule::Condition;
use crate::set::{CompiledCorrelation, Feed};

const SPAN: i64 = 20;

fn rule(kind: &str, relation: Relation, bound: f64) -> CompiledCorrelation {
    let kind = kinds::find(kind).expect("a type");
    let condition = Condition { bounds: vec![(relation, bound)], fields: vec!["v".to_owned()], ..Condition::default() };
    CompiledCorrelation {
        kind,
        feeds: vec![Feed { rule: 0, keys: Vec::new(), values: Vec::new(), inherits: false }],
        group_by: vec!["g".to_owned()],
        span_nanos: SPAN,
        settles: (kind.settles)(&condition),
        condition,
        by: Vec::new(),
        trace: None,
        lags: false,
        baseline: None,
    }
}

fn bounds(bytes: usize) -> Bounds {
    Bounds { groups: 1_000, events_per_group: 1_000, bytes, evidence: 5, eager: true }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Time, value and number of an event.
type Event = (i64, u64, u64);

fn kept(event: &Event) -> Kept {
    let events = Arc::from([EventId::External(event.2.to_string())]);
    Kept { at: event.0, rule: 0, value: Some(Arc::from(event.1.to_string())), events }
}

/// Moments, metrics, and how many events each window holds, by counting anew.
fn counted(rule: &CompiledCorrelation, events: &[Event]) -> BTreeSet<(i64, String, u64)> {
    let mut found = BTreeSet::new();
    for (at, ..) in events {
        let window: Vec<&Event> = events.iter().filter(|event| event.0 <= *at && event.0 >= at - SPAN).collect();
        let distinct: BTreeSet<u64> = window.iter().map(|event| event.1).collect();
        let metric = if rule.kind.name == "value_count" { distinct.len() } else { window.len() } as f64;
        if rule.condition.bounds.iter().all(|(relation, bound)| relation.holds(metric, *bound)) {
            found.insert((*at, metric.to_string(), window.len() as u64));
        }
    }
    found
}

/// The same by sliding, over events that arrive in this order, some of them twice.
fn slid(rule: &CompiledCorrelation, arrivals: &[Event], batch: usize, lateness: i64) -> BTreeSet<(i64, String, u64)> {
    let (mut memory, mut losses) = (Memory::default(), Losses::default());
    let (mut newest, mut floor) = (i64::MIN, i64::MIN);
    let mut found: std::collections::BTreeMap<i64, (String, u64)> = std::collections::BTreeMap::new();
    let mut told = 0;
    for chunk in arrivals.chunks(batch).map(Some).chain([None]) {
        for event in chunk.unwrap_or_default() {
            newest = newest.max(event.0);
            memory.insert(rule, bounds(usize::MAX), ("g", &["G"]), kept(event), floor, &mut losses);
        }
        floor = if chunk.is_some() { newest - lateness } else { i64::MAX };
        let qualified = memory.settle(rule, floor);
        told += qualified.len();
        for moment in &qualified {
            let firing = memory.fire(rule, bounds(usize::MAX), moment);
            found.insert(firing.at, (firing.metric.to_string(), firing.events.len() as u64 + firing.omitted));
        }
        memory.end(rule, bounds(usize::MAX), floor, &mut losses);
    }
    assert_eq!((losses, told), (Losses::default(), found.len()), "nothing is lost, and no moment is told twice");
    found.into_iter().map(|(at, (metric, events))| (at, metric, events)).collect()
}

#[test]
fn a_window_that_slides_forth_and_back_holds_what_counting_anew_finds() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let events: Vec<Event> = (0..300).map(|number| (dice.below(400) as i64, dice.below(6), number)).collect();
        let mut arrivals = events.clone();
        arrivals.extend(events.iter().filter(|event| event.2 % 7 == 0));
        for at in (1..arrivals.len()).rev() {
            arrivals.swap(at, dice.below(at as u64 + 1) as usize);
        }
        for (kind, relation, bound) in [
            ("event_count", Relation::Gte, 14.0),
            ("event_count", Relation::Eq, 12.0),
            ("value_count", Relation::Gte, 6.0),
            ("value_count", Relation::Lt, 5.0),
        ] {
            let rule = rule(kind, relation, bound);
            let expected = counted(&rule, &events);
            let only_moments =
                |found: &BTreeSet<(i64, String, u64)>| found.iter().map(|found| found.0).collect::<Vec<_>>();
            for batch in [1, 7, 1_000] {
                let found = slid(&rule, &arrivals, batch, 1_000);
                assert_eq!(
                    only_moments(&found),
                    only_moments(&expected),
                    "{kind} {relation:?}, seed {seed}, batches of {batch}"
                );
            }
            // in order, what is told is also what the window holds in the end
            let mut ordered = events.clone();
            ordered.sort_unstable();
            assert_eq!(slid(&rule, &ordered, 1_000, 0), expected, "{kind} {relation:?}, seed {seed}, in order");
        }
    }
}

#[test]
fn a_crowd_at_one_moment_is_told_apart_by_its_events() {
    let rule = rule("event_count", Relation::Gte, 200.0);
    let (mut memory, mut losses) = (Memory::default(), Losses::default());
    for number in (0..199).chain(0..199) {
        memory.insert(&rule, bounds(usize::MAX), ("g", &["g"]), kept(&(7, 0, number)), 0, &mut losses);
    }
    assert!(memory.settle(&rule, 0).is_empty(), "199 events, each of which came twice");
    memory.insert(&rule, bounds(usize::MAX), ("g", &["g"]), kept(&(7, 0, 199)), 0, &mut losses);
    let found = memory.settle(&rule, 0);
    let firing = memory.fire(&rule, bounds(usize::MAX), &found[0]);
    assert_eq!((firing.metric, firing.events.len(), firing.omitted), (200.0, 5, 195));
}

#[test]
fn bytes_are_bounded_and_what_is_forgotten_is_counted() {
    let rule = rule("event_count", Relation::Gte, 1_000.0);
    let (mut memory, mut losses) = (Memory::default(), Losses::default());
    let limit = 64 * 1024;
    for number in 0..2_000 {
        let name = format!("group {}", number % 500);
        memory.insert(&rule, bounds(limit), (&name, &[&name]), kept(&(number, 0, number as u64)), 0, &mut losses);
        if number % 100 == 0 {
            drop(memory.settle(&rule, 0));
            memory.end(&rule, bounds(limit), 0, &mut losses);
            assert!(memory.bytes() <= limit, "{} bytes", memory.bytes());
        }
    }
    assert!(losses.evicted > 1_000 && losses.crowded == losses.evicted, "{losses:?}");
    assert!(memory.count() > 50, "the groups seen last are held");
    // everything leaves its window, and nothing is left behind
    drop(memory.settle(&rule, 10_000));
    memory.end(&rule, bounds(limit), 10_000, &mut losses);
    assert_eq!((memory.count(), memory.bytes()), (0, 0));
}
