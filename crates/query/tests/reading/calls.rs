//! Who called whom is learned from wherever the spans lie, and is what looking at every pair of spans says.

use std::collections::BTreeMap;

use query::{LearnedCalls, QueryError};
use serde_json::Value;

use crate::rollups::traffic;
use crate::support::{EVERYWHERE, House, LAST_HOUR, Lie, Span, acme, spans};

const ALL: u64 = u64::MAX;

fn text<'s>(span: &'s Span, key: &str) -> &'s str {
    span.json[key].as_str().unwrap_or_default()
}

/// Calls by callee, caller and operation, found by looking for the parent of every server and consumer span.
fn by_all_pairs(all: &[Span]) -> BTreeMap<(String, String, String), u64> {
    let parent_of = |span: &Span| {
        all.iter().find(|other| {
            text(other, "traceId") == text(span, "traceId") && text(other, "spanId") == text(span, "parentSpanId")
        })
    };
    let mut calls = BTreeMap::new();
    for span in all.iter().filter(|span| [Value::from(2), Value::from(5)].contains(&span.json["kind"])) {
        let Some(parent) = parent_of(span).filter(|parent| parent.service != span.service) else { continue };
        let key = (span.service.to_owned(), parent.service.to_owned(), text(span, "name").to_owned());
        *calls.entry(key).or_default() += 1;
    }
    calls
}

fn learned(calls: &LearnedCalls) -> BTreeMap<(String, String, String), u64> {
    let mut found = BTreeMap::new();
    for (callee, callers) in calls.graph.calls.iter().filter(|(callee, _)| *callee != "partner") {
        for (caller, learned) in callers {
            for (operation, sides) in &learned.operations {
                let key = (callee.clone(), caller.clone(), operation.clone());
                found.insert(key, sides.seen().map_or(0, |seen| seen.calls));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_learned_from_wherever_the_spans_lie() {
    let all = traffic(11, 120);
    let requests: Vec<Value> = all.chunks(40).map(spans).collect();
    let expected = by_all_pairs(&all);
    assert!(expected.len() > 20, "only {} calls tell little", expected.len());
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests).await;
        let calls = house.query.calls(&acme(), LAST_HOUR, ALL).await.unwrap();
        assert_eq!(learned(&calls), expected, "{lie:?}");
        assert_eq!((calls.graph.spans, calls.notes()), (all.len() as u64, None), "{lie:?}");
        let nobody = house.query.calls(&"nobody".parse().unwrap(), LAST_HOUR, ALL).await.unwrap();
        assert_eq!((nobody.graph.spans, nobody.graph.calls.len()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_that_are_too_long_ago_to_be_read_are_known_from_counts() {
    let all = traffic(12, 120);
    let house = House::filled(Lie::Files, &all.chunks(40).map(spans).collect::<Vec<_>>()).await;
    let calls = house.query.calls(&acme(), LAST_HOUR, all.len() as u64 / 10).await.unwrap();
    assert!(calls.graph.spans < all.len() as u64 / 4, "{} spans were read", calls.graph.spans);
    assert!(calls.notes().is_some_and(|note| note.contains("known from counts")));
    let map = house.query.service_map(&acme(), LAST_HOUR).await.unwrap();
    let services: Vec<&str> = map.nodes.iter().filter(|node| !node.is_outside).map(|node| node.name.as_str()).collect();
    let mut open = 0;
    for edge in map.edges.iter().filter(|edge| services.contains(&edge.callee.as_str())) {
        let learned = &calls.graph.calls[&edge.callee][&edge.caller];
        open += u64::from(learned.is_open && learned.operations.is_empty());
    }
    assert!(open > 0, "no pair was known from counts alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn learning_ends_with_the_time_of_a_query() {
    let limits = query::Limits { time: std::time::Duration::ZERO, ..query::Limits::default() };
    let house = House::with_limits(limits).await;
    house.fill(Lie::Memory, &[spans(&traffic(13, 10))]).await;
    let ended = house.query.calls(&acme(), LAST_HOUR, ALL).await;
    assert!(matches!(ended, Err(QueryError::Timeout { .. })), "{ended:?}");
}
