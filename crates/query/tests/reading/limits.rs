//! Every limit answers with its own clear error.

use std::time::Duration;

use query::{FilterOp, Limits, SpanSearch};
use runtime::ErrorKind;

use crate::support::{House, LAST_HOUR, Lie, acme, filter, span, spans};

/// A text that takes long and needs little.
const HEAVY: &str = "SELECT count(*) FROM spans a, spans b, spans c, spans d WHERE a.duration_nanos + b.duration_nanos + c.duration_nanos + d.duration_nanos = 1";

async fn house(limits: Limits) -> House {
    let house = House::with_limits(limits).await;
    let many: Vec<_> = (1..=400).map(|id| span(id, id, "a", "op", 1_000 + id as i64)).collect();
    house.fill(Lie::Both, &[spans(&many[..200]), spans(&many[200..])]).await;
    house
}

#[tokio::test]
async fn a_query_past_its_time_is_ended() {
    let house = house(Limits { time: Duration::from_millis(300), ..Limits::default() }).await;
    let error = house.query.sql(&acme(), HEAVY).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "query took longer than 0.3 s; narrow the time range or add filters");
}

#[tokio::test]
async fn a_full_house_turns_the_next_one_away_and_opens_again() {
    let limits = Limits { max_running: 1, max_waiting: 1, time: Duration::from_secs(60), ..Limits::default() };
    let house = house(limits).await;
    let (tenant, queued_tenant) = (acme(), acme());
    let mut running = std::pin::pin!(house.query.sql(&tenant, HEAVY));
    let mut queued = std::pin::pin!(house.query.sql(&queued_tenant, "SELECT 1 FROM spans"));
    // one poll each: the first takes the seat, the second the queue
    assert!(futures::poll!(&mut running).is_pending());
    assert!(futures::poll!(&mut queued).is_pending());
    let error = house.query.services(&acme(), LAST_HOUR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(error.to_string(), "1 queries run and 1 wait already; try again later");
    running.set(house.query.sql(&tenant, "SELECT 1 FROM spans"));
    assert_eq!(queued.await.unwrap().batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 400);
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_is_told_so() {
    let house = house(Limits { memory_bytes: 8 << 10, spill_bytes: 0, ..Limits::default() }).await;
    let error =
        house.query.sql(&acme(), "SELECT trace_id, array_agg(name) FROM spans GROUP BY trace_id").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert_eq!(error.to_string(), "query needs more than 8192 bytes of memory; narrow the time range or add filters");
}

#[tokio::test]
async fn rows_and_bytes_of_a_result_are_bounded() {
    let few = house(Limits { sql_rows: 10, ..Limits::default() }).await;
    let found = few.query.sql(&acme(), "SELECT span_id FROM spans").await.unwrap();
    assert_eq!((found.batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), found.truncated), (10, true));
    let small = house(Limits { result_bytes: 1_000, ..Limits::default() }).await;
    let error = small.query.sql(&acme(), "SELECT span_id FROM spans").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "result is larger than 1000 bytes; ask for fewer rows or columns");
}

#[tokio::test]
async fn a_wrong_search_names_the_field() {
    let house = house(Limits::default()).await;
    let complaint = async |change: &dyn Fn(&mut SpanSearch)| {
        let mut search = SpanSearch::in_range(LAST_HOUR, 20);
        change(&mut search);
        let error = house.query.search_traces(&acme(), search).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    };
    assert_eq!(complaint(&|search| search.limit = 0).await, "limit: must be 1 to 1000, got 0");
    assert_eq!(complaint(&|search| search.limit = 1_001).await, "limit: must be 1 to 1000, got 1001");
    let many = vec![filter("a", FilterOp::Exists, ""); 33];
    assert_eq!(
        complaint(&|search| search.filters = many.clone()).await,
        "filter: at most 32 filters are allowed, got 33"
    );
    assert!(
        complaint(&|search| search.filters = vec![filter("", FilterOp::Exists, "")]).await.starts_with("filter: key")
    );
    let backwards = model::TimeRange { start: LAST_HOUR.end, end: LAST_HOUR.start };
    assert!(complaint(&|search| search.range = backwards).await.starts_with("start: "));
}
