//! The shop's traffic: the same every time, made of whole slices, shaped like a real shop, and without false alarms.

use std::collections::{BTreeMap, BTreeSet};

use crate::reading::{Event, events};
use crate::rulings;
use sha2::{Digest, Sha256};
use simulate::{Export, MAX_SPANS_PER_EXPORT, SERVICES, Signal, Window, traffic};

const SEED: u64 = 20_260_101;
const NANOS_PER_SEC: u64 = 1_000_000_000;
/// 2026-01-01T00:00:00Z
const NEW_YEAR: u64 = 1_767_225_600 * NANOS_PER_SEC;
const HOUR: u64 = 3600 * NANOS_PER_SEC;

fn window(start: u64, nanos: u64) -> Window {
    Window { start_unix_nanos: start, end_unix_nanos: start + nanos }
}

fn told(exports: impl Iterator<Item = Export>) -> impl Iterator<Item = Event> {
    exports.flat_map(|export| events(&export))
}

fn all(exports: impl Iterator<Item = Export>) -> Vec<Event> {
    told(exports).collect()
}

fn is_root(event: &Event) -> bool {
    event.is_span() && event.parent_span_id.is_empty()
}

fn identities(events: &[Event]) -> BTreeSet<(Vec<u8>, Vec<u8>, String, u64)> {
    events.iter().map(|e| (e.trace_id.clone(), e.span_id.clone(), e.name.clone(), e.start)).collect()
}

fn by_trace(events: &[Event]) -> BTreeMap<&[u8], Vec<&Event>> {
    let mut traces: BTreeMap<&[u8], Vec<&Event>> = BTreeMap::new();
    for span in events.iter().filter(|event| event.is_span()) {
        traces.entry(&span.trace_id).or_default().push(span);
    }
    traces
}

#[test]
fn an_hour_has_the_same_bytes_on_every_machine() {
    let mut digest = Sha256::new();
    for export in traffic(SEED, window(NEW_YEAR + 12 * HOUR, HOUR), 1.0) {
        digest.update([export.signal as u8]);
        digest.update(export.at_unix_nanos.to_be_bytes());
        digest.update(&export.body);
    }
    assert_eq!(hex::encode(digest.finalize()), include_str!("golden_hour.sha256").trim());
}

#[test]
fn slices_made_alone_hold_the_same_events_as_the_whole() {
    let whole = all(traffic(SEED, window(NEW_YEAR, HOUR / 2), 2.0));
    let mut parts = all(traffic(SEED, window(NEW_YEAR, HOUR / 3 + 123_456_789), 2.0));
    let rest = Window { start_unix_nanos: NEW_YEAR + HOUR / 3 + 123_456_789, end_unix_nanos: NEW_YEAR + HOUR / 2 };
    parts.extend(all(traffic(SEED, rest, 2.0).batched_every_secs(30)));
    assert_eq!(whole.len(), parts.len());
    assert_eq!(identities(&whole), identities(&parts));
    assert_ne!(identities(&whole), identities(&all(traffic(SEED + 1, window(NEW_YEAR, HOUR / 2), 2.0))));
}

#[test]
fn exports_are_bounded_and_leave_in_order_after_what_they_tell() {
    let mut last = 0;
    for export in traffic(SEED, window(NEW_YEAR, HOUR / 4), 4.0).batched_every_secs(60) {
        let events = events(&export);
        assert_eq!(events.len(), export.events);
        assert!((1..=MAX_SPANS_PER_EXPORT).contains(&export.events));
        assert!(export.at_unix_nanos >= last, "exports go forward");
        assert!(events.iter().all(|event| event.end < export.at_unix_nanos), "nothing is told before it happened");
        last = export.at_unix_nanos;
    }
    assert_eq!(traffic(SEED, window(NEW_YEAR, 0), 1.0).count(), 0);
    assert_eq!(traffic(SEED, Window { start_unix_nanos: 2, end_unix_nanos: 1 }, 1.0).count(), 0);
}

#[test]
fn endless_traffic_is_made_as_it_is_asked_for() {
    let endless = Window { start_unix_nanos: NEW_YEAR, end_unix_nanos: u64::MAX };
    let first: Vec<Export> = traffic(SEED, endless, 1.0).take(20).collect();
    assert!(first.last().is_some_and(|export| export.at_unix_nanos < NEW_YEAR + 60 * NANOS_PER_SEC));
    // even an idle shop has its clockwork
    assert!(traffic(SEED, endless, f64::NAN).next().is_some());
}

#[test]
fn the_rate_over_a_day_is_the_asked_one() {
    let exports = traffic(SEED, window(NEW_YEAR, 24 * HOUR), 0.2).batched_every_secs(60);
    let clockwork = 3 * 60 * 24;
    let traces = told(exports).filter(is_root).count() - clockwork;
    let asked = 24 * 3600 / 5;
    assert!(traces.abs_diff(asked) * 100 < asked * 8, "{traces} traces, {asked} asked");
}

#[test]
fn traces_are_whole_trees_of_a_realistic_size() {
    let events = all(traffic(SEED, window(NEW_YEAR + 10 * HOUR, HOUR), 1.0));
    let traces = by_trace(&events);
    let mut sizes: Vec<usize> = traces.values().map(Vec::len).collect();
    sizes.sort_unstable();
    assert!((5..=14).contains(&sizes[sizes.len() / 2]), "median {}", sizes[sizes.len() / 2]);
    assert!(sizes[sizes.len() - 1] >= 25 && sizes[sizes.len() - 1] <= 48, "largest {}", sizes[sizes.len() - 1]);
    for spans in traces.values() {
        let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
        assert_eq!(ids.len(), spans.len(), "span ids are unique");
        assert_eq!(spans.iter().filter(|span| span.parent_span_id.is_empty()).count(), 1, "one root");
        for span in spans {
            assert!(span.start < span.end, "{} lasts", span.name);
            assert!(span.end - span.start < 30 * NANOS_PER_SEC);
            let Some(parent) = spans.iter().find(|parent| parent.span_id == span.parent_span_id) else {
                assert!(span.parent_span_id.is_empty(), "{} has its parent in the trace", span.name);
                continue;
            };
            let consumer = 5;
            assert!(
                span.start >= parent.start && (span.end <= parent.end || span.kind == consumer),
                "{} within {}",
                span.name,
                parent.name
            );
        }
    }
    let services: BTreeSet<&str> = events.iter().filter(|e| e.is_span()).map(|e| e.service.as_str()).collect();
    assert_eq!(services, SERVICES.into_iter().collect(), "every service makes spans");
    let kinds: BTreeSet<i32> = events.iter().filter(|e| e.is_span()).map(|e| e.kind).collect();
    assert_eq!(kinds, (1..=5).collect(), "internal, server, client, producer and consumer");
}

#[test]
fn log_lines_name_the_spans_they_come_from() {
    let events = all(traffic(SEED, window(NEW_YEAR, HOUR), 1.0));
    let spans: BTreeMap<&[u8], &Event> =
        events.iter().filter(|e| e.is_span()).map(|e| (e.span_id.as_slice(), e)).collect();
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for log in events.iter().filter(|event| event.signal == Signal::Logs) {
        *kinds.entry(&log.name).or_default() += 1;
        if log.name.starts_with("postgresql.checkpoint") {
            assert!(log.trace_id.is_empty());
            continue;
        }
        let span = spans[log.span_id.as_slice()];
        assert_eq!(span.trace_id, log.trace_id);
        assert!((span.start..=span.end).contains(&log.start), "{} while {} was open", log.name, span.name);
    }
    for name in [
        "http.server.access",
        "auth.login.success",
        "auth.login.failure",
        "payment.result",
        "exception",
        "client.retry",
        "email.sent",
        "admin.export",
        "postgresql.slow_statement",
    ] {
        assert!(kinds.contains_key(name), "no {name} among {kinds:?}");
    }
}

#[test]
fn errors_and_failed_logins_have_their_base_rates() {
    let events = all(traffic(SEED, window(NEW_YEAR, 8 * HOUR), 1.0).batched_every_secs(60));
    let roots: Vec<&Event> = events.iter().filter(|event| is_root(event)).collect();
    let broken = roots.iter().filter(|root| root.get("http.response.status_code") == "500").count();
    assert!((1..=6).contains(&(broken * 1000 / roots.len())), "{broken} of {} requests broke", roots.len());
    let exceptions: usize = events.iter().map(|event| event.exceptions).sum();
    assert!(exceptions >= broken);
    let logins: Vec<&&Event> = roots.iter().filter(|root| root.get("http.route") == "/login").collect();
    let refused = logins.iter().filter(|login| login.get("http.response.status_code") == "401").count();
    assert!((3..=13).contains(&(refused * 100 / logins.len())), "{refused} of {} logins refused", logins.len());
    assert!(logins.len() * 100 / roots.len() >= 3, "logins are a visible part of the traffic");
}

#[test]
fn ordinary_traffic_raises_no_alarm_in_a_day() {
    let exports = traffic(SEED, window(NEW_YEAR, 24 * HOUR), 0.5).batched_every_secs(60);
    assert_eq!(rulings::alarms(told(exports)), Vec::<rulings::Alarm>::new());
}

#[test]
fn ordinary_traffic_raises_no_alarm_at_twenty_requests_per_second() {
    let exports = traffic(SEED, window(NEW_YEAR + 13 * HOUR + HOUR * 3 / 4, HOUR / 3), 20.0).batched_every_secs(60);
    assert_eq!(rulings::alarms(told(exports)), Vec::<rulings::Alarm>::new());
}

#[test]
fn the_start_of_a_shift_looks_like_stuffing_and_is_none() {
    let events = all(traffic(SEED, window(NEW_YEAR + 8 * HOUR, 600 * NANOS_PER_SEC), 1.0));
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for login in events.iter().filter(|e| e.is_span() && e.get("http.route") == "/login") {
        users.entry(login.get("client.address")).or_default().insert(login.get("user.id"));
    }
    let crowd = users.values().map(BTreeSet::len).max().unwrap_or_default();
    assert!(crowd >= 12, "{crowd} users behind the busiest address");
}
