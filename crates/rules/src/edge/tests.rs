//! Whichever side of a call arrives first, and whatever lies between, it is found once, with its caller.

use std::sync::Arc;

use model::{EventId, SpanId, TraceId};

use super::memory::{Bounds, Memory};
use super::saved::Calls1;
use super::side::{Role, Side};
use super::{Call, Caller};
use crate::trace::lineage::Lineage;

const SECOND: i64 = 1_000_000_000;
const BOUNDS: Bounds = Bounds { spans: 1_000, wait_nanos: 60 * SECOND };

fn trace(number: u8) -> TraceId {
    TraceId::from_slice(&[number; 16]).expect("not zero")
}

fn span(number: u8) -> SpanId {
    SpanId::from_slice(&[number; 8]).expect("not zero")
}

fn side<'s>(at: i64, id: u8, parent: Option<u8>, service: &'s str, role: Role<'s>) -> Side<'s> {
    let place = Lineage { trace: trace(1), span: span(id), parent: parent.map(span) };
    let event = EventId::Span(place.trace, place.span);
    let above = place.parent.map(|parent| EventId::Span(place.trace, parent));
    Side { at: at * SECOND, place, service, role, event, above }
}

fn take(memory: &mut Memory, side: &Side<'_>) -> Vec<Call> {
    let mut found = Vec::new();
    memory.take(side, BOUNDS, &|_| true, &|| Some("GET /".to_owned()), &mut found);
    found
}

fn callers(calls: &[Call]) -> Vec<Caller> {
    calls.iter().map(|call| call.caller.clone()).collect()
}

fn service(name: &str) -> Caller {
    Caller::Service(Arc::from(name))
}

#[test]
fn a_call_is_found_when_its_later_side_arrives() {
    let (above, below) = (side(5, 1, None, "a", Role::Neither), side(4, 2, Some(1), "b", Role::Called));
    let mut memory = Memory::default();
    assert_eq!(take(&mut memory, &below), []);
    let first = take(&mut memory, &above);
    let mut memory = Memory::default();
    assert_eq!(take(&mut memory, &above), []);
    let second = take(&mut memory, &below);
    assert_eq!(first, second, "the order of arrival decides nothing");
    let [call] = &first[..] else { panic!("{first:?}") };
    assert_eq!((call.at, &call.caller, &*call.callee), (4 * SECOND, &service("a"), "b"));
    assert_eq!(call.operation.as_deref(), Some("GET /"));
    assert_eq!(call.events, [EventId::Span(trace(1), span(1)), EventId::Span(trace(1), span(2))]);
}

#[test]
fn a_service_that_calls_itself_is_no_call() {
    let mut memory = Memory::default();
    assert_eq!(take(&mut memory, &side(5, 1, None, "a", Role::Neither)), []);
    assert_eq!(take(&mut memory, &side(4, 2, Some(1), "a", Role::Called)), []);
    assert_eq!(memory.settle(BOUNDS, i64::MAX, &mut Vec::new()), 0);
}

#[test]
fn a_root_came_from_outside_and_a_client_names_the_other_side() {
    let mut memory = Memory::default();
    assert_eq!(callers(&take(&mut memory, &side(1, 1, None, "edge", Role::Called))), [Caller::External]);
    let named = take(&mut memory, &side(1, 2, Some(1), "edge", Role::Calls("postgres")));
    assert_eq!(callers(&named), [service("edge")]);
    assert_eq!(&*named[0].callee, "postgres");
}

#[test]
fn a_caller_that_does_not_come_is_unknown_at_the_deadline_and_not_before() {
    let mut memory = Memory::default();
    take(&mut memory, &side(10, 2, Some(1), "b", Role::Called));
    let mut found = Vec::new();
    memory.settle(BOUNDS, 70 * SECOND, &mut found);
    assert_eq!(found, [], "the watermark has not passed the deadline");
    memory.settle(BOUNDS, 70 * SECOND + 1, &mut found);
    assert_eq!(callers(&found), [Caller::Unknown]);
    // both sides further apart than the wait are not put together, whichever is first
    assert_eq!(take(&mut memory, &side(71, 1, None, "a", Role::Neither)), []);
    let mut memory = Memory::default();
    take(&mut memory, &side(71, 1, None, "a", Role::Neither));
    assert_eq!(take(&mut memory, &side(10, 2, Some(1), "b", Role::Called)), []);
}

#[test]
fn what_is_over_is_forgotten_and_what_is_too_much_is_counted() {
    let mut memory = Memory::default();
    for number in 1..=200 {
        take(&mut memory, &side(i64::from(number), number, Some(number), "a", Role::Neither));
    }
    assert_eq!(memory.spans().len(), 200);
    assert_eq!(memory.settle(BOUNDS, 400 * SECOND, &mut Vec::new()), 0, "forgotten in time");
    assert_eq!(memory.spans(), []);
    let few = Bounds { spans: 50, ..BOUNDS };
    for number in 1..=200 {
        take(&mut memory, &side(i64::from(number), number, Some(number), "a", Role::Neither));
    }
    let evicted = memory.settle(few, 0, &mut Vec::new());
    assert!(memory.spans().len() <= 50);
    assert_eq!(evicted, 200 - memory.spans().len() as u64);
}

#[test]
fn only_so_many_calls_wait_for_one_span() {
    let mut memory = Memory::default();
    for number in 0..5_000_u64 {
        let below = side(4, 2, Some(1), "b", Role::Called);
        let place =
            Lineage { span: SpanId::from_slice(&(number + 10).to_be_bytes()).expect("not zero"), ..below.place };
        take(&mut memory, &Side { place, ..below });
    }
    assert_eq!(memory.settle(Bounds { spans: 10_000, ..BOUNDS }, 0, &mut Vec::new()), 4_000);
    assert_eq!(take(&mut memory, &side(5, 1, None, "a", Role::Neither)).len(), 1_000);
}

#[test]
fn a_span_that_is_sent_again_waits_once() {
    let mut memory = Memory::default();
    take(&mut memory, &side(4, 2, Some(1), "b", Role::Called));
    take(&mut memory, &side(4, 2, Some(1), "b", Role::Called));
    assert_eq!(take(&mut memory, &side(5, 1, None, "a", Role::Neither)).len(), 1);
}

#[test]
fn what_is_remembered_survives_a_checkpoint() {
    let mut memory = Memory::default();
    take(&mut memory, &side(5, 1, None, "a", Role::Neither));
    take(&mut memory, &side(4, 9, Some(8), "c", Role::Called));
    let text = serde_json::to_string(&Calls1::save(&memory)).expect("writes");
    let saved: Calls1 = serde_json::from_str(&text).expect("reads");
    let mut restored = saved.load(BOUNDS).expect("loads");
    assert_eq!(serde_json::to_string(&Calls1::save(&restored)).expect("writes"), text);
    for memory in [&mut memory, &mut restored] {
        assert_eq!(callers(&take(memory, &side(4, 2, Some(1), "b", Role::Called))), [service("a")]);
        assert_eq!(callers(&take(memory, &side(6, 8, None, "d", Role::Neither))), [service("d")]);
    }
    let damaged: Calls1 = serde_json::from_str(&text.replace("\"a\"", "\"a\",\"x\"").replace('=', "")).expect("reads");
    assert!(damaged.load(BOUNDS).is_ok());
    let cut: Calls1 = serde_json::from_str(r#"{"services": [], "spans": "AAAA", "waiting": []}"#).expect("reads");
    assert!(cut.load(BOUNDS).is_err());
}
