//! One trace by its id.

use std::time::{Duration, Instant};

use model::view::Spans;
use serde_json::json;

use crate::support::{EVERYWHERE, House, Lie, acme, span, spans, trace_id};

#[tokio::test]
async fn a_trace_comes_back_whole_and_in_order_wherever_it_lies() {
    let requests = [
        spans(&[
            span(1, 0x13, "auth", "check", 900).parent(0x11).with("http.route", json!("/login")).failed(),
            span(2, 0x21, "gateway", "other", 950),
        ]),
        spans(&[
            span(1, 0x12, "gateway", "call", 990).parent(0x11).with("odd.key", json!(7)),
            span(1, 0x11, "gateway", "GET /", 1_000),
        ]),
    ];
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests).await;
        let trace = house.query.trace(&acme(), trace_id(1)).await.unwrap().unwrap();
        assert_eq!((trace.len(), trace.truncated), (3, false), "{lie:?}");
        assert_eq!(trace.batches[0].schema(), model::Signal::Spans.stored_schema());
        let view = Spans::new(&trace.batches[0]).unwrap();
        let names: Vec<&str> = (0..view.len()).map(|row| view.name(row)).collect();
        assert_eq!(names, ["GET /", "call", "check"]);
        assert_eq!(view.parent(2).unwrap().to_string(), "0000000000000011");
        assert_eq!((view.status(2), view.status_message(2)), (2, "broken"));
        assert_eq!(view.shared.attributes(1)[0].0, "odd.key");
        assert_eq!(view.shared.attributes(2)[0].1.text(), "/login");
        assert_eq!(house.query.trace(&acme(), trace_id(3)).await.unwrap().map(|trace| trace.len()), None);
    }
}

#[tokio::test]
async fn a_span_sent_twice_counts_once_and_spans_that_only_share_an_id_stay_two() {
    let client = span(1, 0x11, "gateway", "call", 1_000).kind(3);
    let server = span(1, 0x11, "auth", "call", 999).kind(2);
    let request = spans(&[client, server, span(1, 0x12, "auth", "work", 998).with("k", json!(["a", "b"]))]);
    for lie in EVERYWHERE {
        let house = House::filled(lie, &[request.clone(), request.clone(), request.clone()]).await;
        let trace = house.query.trace(&acme(), trace_id(1)).await.unwrap().unwrap();
        assert_eq!(trace.len(), 3, "{lie:?}");
        // the copy that came first is the one that stays
        let view = Spans::new(&trace.batches[0]).unwrap();
        assert!((0..3).all(|row| view.shared.log_id(row).lsn.0 == 1));
    }
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another() {
    for flushed in [false, true] {
        let house = House::new().await;
        let other = "other".parse().unwrap();
        house.take(&acme(), &spans(&[span(1, 1, "ours", "op", 1_000)]));
        house.take(&other, &spans(&[span(1, 2, "theirs", "op", 1_000), span(2, 3, "theirs", "op", 1_000)]));
        if flushed {
            house.lake.flush().await.unwrap();
        }
        assert_eq!(house.query.trace(&acme(), trace_id(1)).await.unwrap().unwrap().len(), 1);
        assert!(house.query.trace(&acme(), trace_id(2)).await.unwrap().is_none());
        assert_eq!(house.find(|_| {}).await, [1]);
        let services = house.query.services(&acme(), crate::support::LAST_HOUR).await.unwrap();
        assert_eq!(services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["ours"]);
        let found = house.query.sql(&acme(), "SELECT DISTINCT service FROM spans").await.unwrap();
        assert_eq!(found.batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
    }
}

#[tokio::test]
async fn a_trace_of_ten_thousand_spans_opens_at_once() {
    let many: Vec<_> = (1..=10_000)
        .map(|id| {
            let span = span(1, id, ["gateway", "auth", "cart"][id as usize % 3], "work", 60_000 - id as i64);
            let span = span.with("http.route", json!("/cart")).with("item", json!(id as i64));
            if id < 10 { span } else { span.parent(id / 10) }
        })
        .collect();
    // other people's spans around it
    let noise: Vec<_> = (0..10_000).map(|id| span(2 + id / 5, 20_000 + id, "noise", "work", 50_000)).collect();
    let mut requests: Vec<_> = many.chunks(1_000).map(spans).collect();
    requests.extend(noise.chunks(1_000).map(spans));
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests).await;
        let mut fastest = Duration::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            let trace = house.query.trace(&acme(), trace_id(1)).await.unwrap().unwrap();
            fastest = fastest.min(started.elapsed());
            assert_eq!((trace.len(), trace.truncated), (10_000, false));
        }
        println!("10,000 spans {lie:?}: {fastest:?}");
        assert!(fastest < Duration::from_millis(1_500), "{lie:?} took {fastest:?}");
    }
}

#[tokio::test]
async fn a_trace_past_the_limit_is_cut_and_says_so() {
    let limits = query::Limits { trace_rows: 10, ..query::Limits::default() };
    for lie in [Lie::Memory, Lie::Files, Lie::Both] {
        let house = House::with_limits(limits.clone()).await;
        let all: Vec<_> = (1..=16).map(|id| span(1, id, "a", "work", 1_000)).collect();
        house.fill(lie, &[spans(&all[..8]), spans(&all[8..])]).await;
        let trace = house.query.trace(&acme(), trace_id(1)).await.unwrap().unwrap();
        assert_eq!((trace.len(), trace.truncated), (10, true), "{lie:?}");
    }
}
