//! Each condition of a trace search, over memory and files alike.

use model::time::NANOS_PER_MILLI;
use model::{TimeRange, UnixNanos};
use query::FilterOp::{Eq, Exists, Ne, NotExists};
use serde_json::{Value, json};

use crate::support::{EVERYWHERE, House, ago, filter, span, spans};

fn requests() -> Vec<Value> {
    vec![
        spans(&[
            span(1, 1, "gateway", "GET /login", 9_000)
                .with("http.response.status_code", json!(401))
                .failed()
                .millis(50),
            span(1, 2, "auth", "verify", 8_990).parent(1).kind(1).resource("host.name", json!("node-1")),
        ]),
        spans(&[
            span(2, 1, "gateway", "GET /login", 8_000).with("http.status_code", json!(200)).millis(5),
            span(2, 2, "auth", "verify", 7_990).parent(1).with("retry", json!(true)).with("ratio", json!(1.5)),
        ]),
        spans(&[
            span(3, 1, "cart", "GET /cart", 7_000)
                .with("http.response.status_code", json!("401"))
                .with("user.id", json!("u%_1")),
            span(3, 2, "cart", "query", 6_990).parent(1).kind(3).with("db.system", json!("postgresql")),
        ]),
        spans(&[span(4, 1, "cart", "GET /cart", 6_000)
            .resource("host.name", json!("node-2"))
            .with("host.name", json!("mine"))
            .with("tags", json!(["a", "b"]))
            .millis(500)]),
    ]
}

#[tokio::test]
async fn every_condition_finds_its_traces_newest_first() {
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests()).await;
        assert_eq!(house.find(|_| {}).await, [4, 3, 2, 1], "{lie:?}");
        assert_eq!(house.find(|search| search.service = Some("auth".into())).await, [2, 1]);
        assert_eq!(house.find(|search| search.service = Some("nobody".into())).await, [] as [u64; 0]);
        assert_eq!(house.find(|search| search.operation = Some("GET /cart".into())).await, [4, 3]);
        assert_eq!(house.find(|search| search.status = Some(2)).await, [1]);
        assert_eq!(house.find(|search| search.kind = Some(3)).await, [3]);
        assert_eq!(house.find(|search| search.min_duration_nanos = Some(50 * NANOS_PER_MILLI)).await, [4, 1]);
        assert_eq!(house.find(|search| search.max_duration_nanos = Some(5 * NANOS_PER_MILLI)).await, [2]);
        let range = TimeRange { start: ago(8_000), end: ago(7_000) };
        assert_eq!(house.find(|search| search.range = range).await, [2], "the start is in, the end is not");
        let both = |search: &mut query::SpanSearch| {
            search.service = Some("gateway".into());
            search.filters = vec![filter("http.response.status_code", Eq, "401")];
        };
        assert_eq!(house.find(both).await, [1], "one span meets all conditions");
    }
}

#[tokio::test]
async fn attributes_are_found_by_column_alias_residual_entry_and_resource() {
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests()).await;
        let found =
            async |key: &str, op, value: &str| house.find(|search| search.filters = vec![filter(key, op, value)]).await;
        assert_eq!(found("http.response.status_code", Eq, "401").await, [3, 1], "integer and text, {lie:?}");
        assert_eq!(found("http.status_code", Eq, "401").await, [3, 1], "by the old name");
        assert_eq!(found("http.response.status_code", Eq, "200").await, [2], "sent under the old name");
        assert_eq!(found("http.response.status_code", Ne, "401").await, [2], "there, with another value");
        assert_eq!(found("http.response.status_code", Exists, "").await, [3, 2, 1]);
        assert_eq!(found("retry", Eq, "true").await, [2]);
        assert_eq!(found("ratio", Eq, "1.5").await, [2]);
        assert_eq!(found("ratio", Exists, "").await, [2]);
        assert_eq!(found("tags", Eq, r#"["a","b"]"#).await, [4]);
        assert_eq!(found("user.id", Eq, "u%_1").await, [3], "the value is no pattern");
        assert_eq!(found("user.id", Eq, "u").await, [] as [u64; 0]);
        assert_eq!(found("db.system.name", Eq, "postgresql").await, [3]);
        assert_eq!(found("host.name", Eq, "node-1").await, [1], "falls back to the resource");
        assert_eq!(found("host.name", Eq, "mine").await, [4]);
        assert_eq!(found("resource.host.name", Eq, "mine").await, [] as [u64; 0]);
        assert_eq!(found("resource.host.name", Eq, "node-2").await, [4]);
        assert_eq!(found("resource.host.name", Exists, "").await, [4, 1]);
        assert_eq!(found("service.name", Eq, "auth").await, [2, 1]);
        assert_eq!(found("auth.key_id", Eq, "key-1").await, [4, 3, 2, 1], "what the server wrote");
        assert_eq!(found("auth.service_verified", Eq, "false").await, [4, 3, 2, 1], "the key lists none of these");
        assert_eq!(found("auth.service_verified", Eq, "true").await, [] as [u64; 0]);
        assert_eq!(found("auth.service_verified", Ne, "true").await, [4, 3, 2, 1]);
        assert_eq!(found("auth.service_verified", NotExists, "").await, [] as [u64; 0]);
        assert_eq!(found("host.name", NotExists, "").await, [3, 2, 1]);
        assert_eq!(found("no.such", Exists, "").await, [] as [u64; 0]);
        assert_eq!(found("o'clock\" OR 1=1 --", Eq, "'; DROP TABLE spans").await, [] as [u64; 0]);
    }
}

#[tokio::test]
async fn a_hit_tells_of_the_whole_trace_and_of_what_matched() {
    for lie in EVERYWHERE {
        // everything was sent twice and counts once
        let house = House::filled(lie, &[requests(), requests()].concat()).await;
        let mut search = query::SpanSearch::in_range(crate::support::LAST_HOUR, 10);
        search.filters = vec![filter("host.name", Eq, "node-1")];
        let page = house.query.search_traces(&crate::support::acme(), search).await.unwrap();
        let [hit] = page.items.as_slice() else { panic!("{lie:?}: {} hits", page.items.len()) };
        assert_eq!((hit.root_service.as_str(), hit.root_name.as_str()), ("gateway", "GET /login"));
        assert_eq!((hit.start, hit.duration_nanos), (ago(9_000), 50 * NANOS_PER_MILLI));
        assert_eq!((hit.span_count, hit.error_count, hit.matched_count, hit.truncated), (2, 1, 1, false));
        let services: Vec<_> =
            hit.services.iter().map(|share| (share.name.as_str(), share.spans, share.errors)).collect();
        assert_eq!(services, [("gateway", 1, 1), ("auth", 1, 0)]);
        let [matched] = hit.matched_spans.as_slice() else { panic!("{:?}", hit.matched_spans) };
        assert_eq!((matched.service.as_str(), matched.name.as_str(), matched.kind), ("auth", "verify", 1));
        assert_eq!((matched.start, matched.duration_nanos), (UnixNanos(ago(8_990).0), 10 * NANOS_PER_MILLI));
    }
}
