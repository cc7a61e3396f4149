//! Indexes are not walked for somebody who has given up.

use lake::{Lake, Settings};
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, UnixNanos};
use otlp::{Arrival, Format};
use runtime::{Clock, Database};
use serde_json::json;

use super::*;
use crate::{Limits, Query};

#[tokio::test(flavor = "multi_thread")]
async fn past_the_deadline_no_further_index_is_read() {
    let now = UnixNanos(1_795_357_800_000_000_000);
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(now.0));
    let database = Database::open(&dir.path().join("catalog.db")).await.unwrap();
    let lake = Lake::open(Settings::new(dir.path().join("lake")), database, clock.clone()).await.unwrap();
    let span = json!({
        "traceId": "0123456789abcdef0123456789abcdef", "spanId": "0123456789abcdef", "name": "pay",
        "startTimeUnixNano": now.0.to_string(), "endTimeUnixNano": now.0.to_string(),
    });
    let request = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string();
    let arrival = Arrival { received_at: now, ..Arrival::default() };
    let decoded = otlp::decode(Signal::Spans, Format::Json, request.as_bytes(), &arrival).unwrap();
    let tenant: TenantId = "acme".parse().unwrap();
    let (signal, records) = (Signal::Spans, decoded.records);
    let batch = EventBatch { tenant: tenant.clone(), signal, received_at: now, lsn: Lsn(0), records };
    lake.insert(batch.placed(Lsn(1)).unwrap());
    lake.flush().await.unwrap();
    let query = Query::new(lake, clock, Limits::default()).unwrap();
    for (is_late, files) in [(false, Some(1)), (true, None)] {
        let tenant = tenant.clone();
        let narrowed = query.run("test", move |inner, deadline| async move {
            let snapshot = inner.snapshot(&tenant, Signal::Spans, TimeRange::ALL);
            let needs = Needs { values: vec![vec![7]], ..Needs::default() };
            let deadline = if is_late { Instant::now() } else { deadline };
            Ok(narrow(&inner, snapshot, needs, deadline).await?.0.files.len())
        });
        let narrowed = narrowed.await;
        assert_eq!(narrowed.as_ref().ok().copied(), files, "{narrowed:?}");
        assert_eq!(is_late, matches!(narrowed, Err(QueryError::Timeout { .. })));
    }
}
