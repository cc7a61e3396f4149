//! Pages neither repeat nor skip, whatever arrives while one turns them.

use std::collections::BTreeSet;

use query::{LogSearch, Order, Query, SpanSearch};
use serde_json::json;

use crate::support::{EVERYWHERE, House, LAST_HOUR, Lie, acme, logs, number_of, record, span, spans};

async fn turn(query: &Query, mut search: SpanSearch, mut between: impl FnMut()) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let page = query.search_traces(&acme(), search.clone()).await.unwrap();
        assert!(page.items.len() <= search.limit);
        found.extend(page.items.iter().map(|hit| number_of(hit.trace_id)));
        let Some(cursor) = page.next_cursor else { return found };
        assert_eq!(page.items.len(), search.limit, "only the last page may be short");
        search.cursor = Some(cursor);
        between();
    }
}

#[tokio::test]
async fn trace_pages_hold_every_trace_once_in_order() {
    // forty traces over half an hour, in an order that is not that of time; ten start in the same nanosecond
    let starts =
        |number: u64| if number.is_multiple_of(4) { 600_000 } else { (number * 7_919 % 1_800_000) as i64 + 1_000 };
    // each trace has a late span, long after its first: it must not bring the trace back on a later page
    let of_trace = |number| {
        let start = starts(number);
        [span(number, 1, "a", "root", start), span(number, 2, "b", "late", start - 900).parent(1)]
    };
    let requests: Vec<_> = (1..=40).map(|number| spans(&of_trace(number))).collect();
    let mut expected: Vec<u64> = (1..=40).collect();
    expected.sort_by_key(|number| (starts(*number), std::cmp::Reverse(*number)));
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests).await;
        for limit in [1, 7, 40, 100] {
            let found = turn(&house.query, SpanSearch::in_range(LAST_HOUR, limit), || {}).await;
            assert_eq!(found, expected, "{lie:?}, {limit} a page");
        }
        let filtered = SpanSearch { service: Some("a".into()), ..SpanSearch::in_range(LAST_HOUR, 3) };
        assert_eq!(turn(&house.query, filtered, || {}).await, expected);
    }
}

#[tokio::test]
async fn a_long_trace_appears_on_one_page_only() {
    let mut requests = vec![];
    for minute in 0..20 {
        // trace 1 has a span every minute; the others one each
        requests.push(spans(&[
            span(1, 100 + minute, "a", "tick", minute as i64 * 60_000 + 1_000),
            span(2 + minute, 1, "a", "once", minute as i64 * 60_000 + 2_000),
        ]));
    }
    let house = House::filled(Lie::Both, &requests).await;
    let found = turn(&house.query, SpanSearch::in_range(LAST_HOUR, 2), || {}).await;
    assert_eq!(found, (1..=21).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_arrives_between_pages_changes_none_of_them() {
    let house = House::new().await;
    for number in 1..=12 {
        house.take(&acme(), &spans(&[span(number, 1, "a", "op", 1_000 * number as i64)]));
    }
    let mut next = 100;
    let found = turn(&house.query, SpanSearch::in_range(LAST_HOUR, 5), || {
        // a new trace between the others, and a newer span of one that is still to come
        house.take(&acme(), &spans(&[span(next, 1, "a", "new", 6_500), span(11, next, "a", "newer", 10)]));
        next += 1;
    });
    assert_eq!(found.await, (1..=12).collect::<Vec<_>>());
    let again: BTreeSet<u64> =
        turn(&house.query, SpanSearch::in_range(LAST_HOUR, 5), || {}).await.into_iter().collect();
    assert!(again.contains(&100), "a new search sees what came");
}

#[tokio::test]
async fn log_pages_hold_every_record_once_in_both_orders() {
    // three records of every moment, so that pages end between equals
    let requests: Vec<_> = (0..10)
        .map(|moment| {
            let at = moment * 70_000 + 5_000;
            logs(&[0, 1, 2].map(|nth| record("a", &format!("{moment}.{nth}"), 9, at)))
        })
        .collect();
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests).await;
        for (order, limit) in [(Order::NewestFirst, 4), (Order::OldestFirst, 4), (Order::NewestFirst, 30)] {
            let mut search = LogSearch { order, ..LogSearch::in_range(LAST_HOUR, limit) };
            let mut found = Vec::new();
            loop {
                let page = house.query.search_logs(&acme(), search.clone()).await.unwrap();
                found.extend(page.items.into_iter().map(|hit| (hit.time, hit.id)));
                house.take(&acme(), &logs(&[record("late", "late", 9, 100_000)]));
                search.cursor = page.next_cursor;
                if search.cursor.is_none() {
                    break;
                }
            }
            let late = |id: &model::LogId| id.lsn.0 > 10;
            let found: Vec<_> = found.into_iter().filter(|(_, id)| !late(id)).collect();
            let mut sorted = found.clone();
            sorted.sort();
            if order == Order::NewestFirst {
                sorted.reverse();
            }
            sorted.dedup();
            assert_eq!((found.len(), &found), (30, &sorted), "{lie:?} {order:?}");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_search_is_refused() {
    let house = House::new().await;
    for number in 1..=3 {
        house.take(&acme(), &spans(&[span(number, 1, "a", "op", 1_000)]));
    }
    let page = house.query.search_traces(&acme(), SpanSearch::in_range(LAST_HOUR, 1)).await.unwrap();
    for cursor in [page.next_cursor.unwrap(), "nonsense".to_owned(), json!({"a": 1}).to_string(), String::new()] {
        let search = LogSearch { cursor: Some(cursor), ..LogSearch::in_range(LAST_HOUR, 1) };
        let error = house.query.search_logs(&acme(), search).await.unwrap_err();
        assert_eq!(error.kind(), runtime::ErrorKind::Invalid);
        assert_eq!(error.to_string(), "cursor is damaged or belongs to another search");
    }
}
