//! Files that cannot hold an answer stay closed: here they are gone from the disk, and nobody notices.

use model::time::NANOS_PER_HOUR;
use model::{TimeRange, UnixNanos};
use query::FilterOp::Eq;
use query::SpanSearch;
use serde_json::json;

use crate::support::{House, Lie, NOW, acme, ago, filter, number_of, span, spans, trace_id};

const HOUR_MILLIS: i64 = 3_600_000;
/// Half a day, so that the files lie further apart than a trace is looked for around its matches.
const RANGE: TimeRange = TimeRange { start: UnixNanos(NOW.0 - 12 * NANOS_PER_HOUR), end: NOW };

/// Three files: `auth` ten hours ago, `cart` five hours ago with an error, `auth` now.
async fn house() -> House {
    house_with_error(5 * HOUR_MILLIS).await
}

/// As [`house`], with the error so long ago.
async fn house_with_error(error: i64) -> House {
    let house = House::new().await;
    for (trace, service, start) in [(1, "auth", 10 * HOUR_MILLIS), (2, "cart", error), (3, "auth", 1_000)] {
        let made = span(trace, 1, service, "op", start).with("k", json!("v"));
        let made = if service == "cart" { made.failed().millis(900) } else { made };
        house.fill(Lie::Files, &[spans(&[made])]).await;
    }
    house
}

async fn find(house: &House, change: impl FnOnce(&mut SpanSearch)) -> Vec<u64> {
    house
        .find(|search| {
            search.range = RANGE;
            change(search);
        })
        .await
}

/// Takes away the file that holds the trace; the snapshot goes on listing it.
fn lose(house: &House, trace: u64) {
    let snapshot = house.lake.snapshot(&acme(), model::Signal::Spans, RANGE);
    let nth = [3, 2, 1].iter().position(|found| *found == trace).unwrap();
    std::fs::remove_file(&snapshot.files[nth].path).unwrap();
}

#[tokio::test]
async fn a_search_opens_only_files_of_its_time_service_status_and_duration() {
    let house = house().await;
    lose(&house, 2);
    assert_eq!(find(&house, |search| search.service = Some("auth".into())).await, [3, 1]);
    assert_eq!(find(&house, |search| search.range.start = ago(4 * HOUR_MILLIS)).await, [3]);
    assert_eq!(find(&house, |search| search.range.end = ago(6 * HOUR_MILLIS)).await, [1]);
    let error = house.query.search_traces(&acme(), SpanSearch::in_range(RANGE, 10)).await.unwrap_err();
    assert_eq!(error.kind(), runtime::ErrorKind::Internal, "a lost file is a fault of ours, not an empty answer");
}

#[tokio::test]
async fn errors_and_long_spans_are_looked_for_where_they_can_be() {
    let house = house().await;
    lose(&house, 1);
    lose(&house, 3);
    assert_eq!(find(&house, |search| search.status = Some(2)).await, [2]);
    assert_eq!(find(&house, |search| search.min_duration_nanos = Some(500_000_000)).await, [2]);
    let found = house.query.sql(&acme(), "SELECT name FROM spans WHERE service = 'cart' AND status_code = 2").await;
    assert_eq!(found.unwrap().batches[0].num_rows(), 1, "for SQL as well");
}

#[tokio::test]
async fn a_full_page_does_not_read_older_files() {
    // a window reaches four times as far as the one before: what is ten times as old is not in it
    let house = house_with_error(HOUR_MILLIS).await;
    lose(&house, 1);
    let search = SpanSearch { filters: vec![filter("k", Eq, "v")], ..SpanSearch::in_range(RANGE, 1) };
    let page = house.query.search_traces(&acme(), search).await.unwrap();
    assert_eq!(number_of(page.items[0].trace_id), 3);
    assert!(page.next_cursor.is_some());
}

#[tokio::test]
async fn a_lost_file_is_named_when_a_trace_needs_it() {
    let house = house().await;
    lose(&house, 1);
    let error = house.query.trace(&acme(), trace_id(1)).await.unwrap_err();
    assert_eq!(error.kind(), runtime::ErrorKind::Internal);
    assert!(error.to_string().starts_with("cannot read /"), "{error}");
}

#[tokio::test]
async fn a_trace_is_followed_back_until_it_rested_for_a_day() {
    let house = House::new().await;
    for (trace, start) in [(1, 60), (2, 50), (1, 40), (1, 20), (1, 0)] {
        house
            .fill(Lie::Files, &[spans(&[span(trace, start as u64 + 1, "a", "op", start * HOUR_MILLIS + 1_000)])])
            .await;
    }
    assert_eq!(house.query.trace(&acme(), trace_id(1)).await.unwrap().unwrap().len(), 4);
    let house = House::new().await;
    for start in [60, 20, 0] {
        house.fill(Lie::Files, &[spans(&[span(1, start as u64 + 1, "a", "op", start * HOUR_MILLIS + 1_000)])]).await;
    }
    assert_eq!(house.query.trace(&acme(), trace_id(1)).await.unwrap().unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_file_is_named_once_and_missing_afterwards() {
    let house = house().await;
    lose(&house, 1);
    house.query.trace(&acme(), trace_id(1)).await.unwrap_err();
    let error = house.query.search_traces(&acme(), SpanSearch::in_range(RANGE, 10)).await.unwrap_err();
    assert_eq!(error.kind(), runtime::ErrorKind::Unavailable);
    assert!(error.to_string().contains("is damaged"), "{error}");
    let page = house.query.search_traces(&acme(), SpanSearch::in_range(RANGE, 10)).await.unwrap();
    let found: Vec<u64> = page.items.iter().map(|hit| number_of(hit.trace_id)).collect();
    assert_eq!(found, [3, 2], "the others are found");
    let missing = house.query.missing(&acme(), model::Signal::Spans, &RANGE);
    assert_eq!(missing.len(), 1);
    assert!(error.to_string().contains(&missing[0]), "{error} names {missing:?}");
    assert!(house.query.missing(&acme(), model::Signal::Logs, &RANGE).is_empty());
    let now = TimeRange { start: ago(HOUR_MILLIS), end: NOW };
    assert!(house.query.missing(&acme(), model::Signal::Spans, &now).is_empty(), "not of that time");
}

#[tokio::test]
async fn a_merged_file_without_the_value_stays_closed() {
    let house = House::new().await;
    for (trace, start) in [(1, 10 * HOUR_MILLIS), (2, 5 * HOUR_MILLIS), (3, 1_000)] {
        let made = span(trace, 1, "auth", "op", start)
            .with("user.id", json!(format!("visitor-{trace}")))
            .with("app.number", json!(trace))
            .resource("host.name", json!(format!("host-{trace}")));
        house.fill(Lie::Merged, &[spans(&[made])]).await;
    }
    let snapshot = house.lake.snapshot(&acme(), model::Signal::Spans, RANGE);
    assert!(snapshot.files.iter().all(|file| file.level == lake::Level::L2));
    lose(&house, 1);
    lose(&house, 3);
    for (key, value) in
        [("user.id", "visitor-2"), ("app.number", "2"), ("host.name", "host-2"), ("resource.host.name", "host-2")]
    {
        assert_eq!(find(&house, |search| search.filters = vec![filter(key, Eq, value)]).await, [2], "{key}");
    }
    let nowhere = find(&house, |search| search.filters = vec![filter("user.id", Eq, "nobody")]).await;
    assert!(nowhere.is_empty());
    let both = vec![filter("user.id", Eq, "visitor-2"), filter("app.number", Eq, "3")];
    assert!(find(&house, |search| search.filters = both).await.is_empty());
    // what is not asked to be equal says nothing about files
    let asked =
        SpanSearch { filters: vec![filter("user.id", query::FilterOp::Exists, "")], ..SpanSearch::in_range(RANGE, 10) };
    house.query.search_traces(&acme(), asked).await.unwrap_err();
}

#[tokio::test]
async fn answers_of_an_index_are_compared_now_and_then_and_stay_the_same() {
    let house = House::new().await;
    let made: Vec<_> = (1..=40).map(|trace| span(trace, 1, "auth", "op", 5 * HOUR_MILLIS)).collect();
    house.fill(Lie::Merged, &[spans(&made)]).await;
    // one in 4,096 is compared; here both a trace that is there and one that is not
    for round in 0..4_200 {
        let there = round % 2 == 0;
        let asked = trace_id(if there { 1 + round % 40 } else { 1_000 + round });
        let found = house.query.trace(&acme(), asked).await.unwrap();
        assert_eq!(found.is_some(), there, "round {round}");
    }
}
