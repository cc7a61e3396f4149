//! Services, operations and the service map, with numbers worked out by hand.

use model::time::NANOS_PER_MILLI;
use serde_json::{Value, json};

use crate::support::{EVERYWHERE, House, LAST_HOUR, Lie, acme, ago, span, spans};

/// Three visits: gateway > auth > postgres, gateway > cart > gateway's own work, and one lone call of a partner.
fn visits() -> Vec<Value> {
    let visit = |trace: u64, auth_millis: i64| {
        let start = 10_000 - trace as i64 * 100;
        spans(&[
            span(trace, 1, "gateway", "GET /", start).millis(100),
            span(trace, 2, "gateway", "call auth", start - 1).parent(1).kind(3).with("server.address", json!("auth")),
            span(trace, 3, "auth", "login", start - 2).parent(2).millis(auth_millis),
            span(trace, 4, "auth", "SELECT", start - 3)
                .parent(3)
                .kind(3)
                .millis(4)
                .with("db.system.name", json!("postgresql"))
                .with("server.address", json!("postgres")),
        ])
    };
    vec![
        visit(1, 20),
        visit(2, 40),
        visit(3, 60),
        spans(&[
            span(4, 1, "gateway", "GET /cart", 5_000),
            span(4, 2, "cart", "list", 4_999).parent(1).failed().millis(30),
            span(4, 3, "cart", "inner", 4_998).parent(2).kind(1),
            span(4, 4, "cart", "notify", 4_997)
                .parent(2)
                .kind(4)
                .with("peer.service", json!("partner"))
                .failed()
                .millis(7),
        ]),
    ]
}

#[tokio::test]
async fn services_and_operations_count_every_span_once() {
    for lie in EVERYWHERE {
        let mut requests = visits();
        requests.extend(visits()); // everything was sent twice
        let house = House::filled(lie, &requests).await;
        let services = house.query.services(&acme(), LAST_HOUR).await.unwrap();
        let told: Vec<_> = services.iter().map(|found| (found.name.as_str(), found.spans, found.errors)).collect();
        assert_eq!(told, [("gateway", 7, 0), ("auth", 6, 0), ("cart", 3, 2)], "{lie:?}");
        assert_eq!(services[0].last_seen, ago(5_000));
        assert_eq!(services[2].p50_nanos, 10 * NANOS_PER_MILLI);
        let operations = house.query.operations(&acme(), "auth", LAST_HOUR).await.unwrap();
        let told: Vec<_> =
            operations.iter().map(|found| (found.name.as_str(), found.kind, found.spans, found.p50_nanos)).collect();
        assert_eq!(told, [("SELECT", 3, 3, 4 * NANOS_PER_MILLI), ("login", 2, 3, 40 * NANOS_PER_MILLI)]);
        assert!(operations[1].p95_nanos > 40 * NANOS_PER_MILLI && operations[1].p95_nanos <= 60 * NANOS_PER_MILLI);
        assert_eq!(house.query.operations(&acme(), "nobody", LAST_HOUR).await.unwrap(), []);
    }
}

#[tokio::test]
async fn the_service_map_counts_calls_between_services_and_to_the_outside() {
    for lie in EVERYWHERE {
        let mut requests = visits();
        requests.extend(visits());
        let house = House::filled(lie, &requests).await;
        let map = house.query.service_map(&acme(), LAST_HOUR).await.unwrap();
        assert_eq!((map.truncated, map.range), (false, LAST_HOUR));
        let told: Vec<_> = map
            .edges
            .iter()
            .map(|edge| {
                (edge.caller.as_str(), edge.callee.as_str(), edge.calls, edge.errors, edge.p50_nanos / NANOS_PER_MILLI)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("auth", "postgres", 3, 0, 4),
                ("gateway", "auth", 3, 0, 40),
                ("cart", "partner", 1, 1, 7),
                ("gateway", "cart", 1, 1, 30),
            ],
            "{lie:?}"
        );
        let nodes: Vec<_> =
            map.nodes.iter().map(|node| (node.name.as_str(), node.is_outside, node.spans, node.errors)).collect();
        assert_eq!(
            nodes,
            [
                ("gateway", false, 7, 0),
                ("auth", false, 6, 0),
                ("cart", false, 3, 2),
                ("partner", true, 1, 1),
                ("postgres", true, 3, 0),
            ]
        );
    }
}

#[tokio::test]
async fn spans_that_share_an_id_make_one_call() {
    // the way Zipkin clients do it: client and server have the same span id, the server's work hangs below it
    let house = House::filled(
        Lie::Memory,
        &[spans(&[
            span(1, 1, "gateway", "GET /", 5_000),
            span(1, 2, "gateway", "call", 4_999).parent(1).kind(3),
            span(1, 2, "auth", "call", 4_998).parent(1).kind(2),
            span(1, 3, "auth", "work", 4_997).parent(2).kind(1),
        ])],
    )
    .await;
    let map = house.query.service_map(&acme(), LAST_HOUR).await.unwrap();
    let told: Vec<_> = map.edges.iter().map(|edge| (edge.caller.as_str(), edge.callee.as_str(), edge.calls)).collect();
    assert_eq!(told, [("gateway", "auth", 1)]);
}

#[tokio::test]
async fn a_parent_that_started_before_the_range_is_still_the_caller() {
    let house = House::filled(
        Lie::Files,
        &[spans(&[span(1, 1, "gateway", "GET /", 61_000), span(1, 2, "auth", "login", 59_000).parent(1)])],
    )
    .await;
    let range = model::TimeRange { start: ago(60_000), ..LAST_HOUR };
    let map = house.query.service_map(&acme(), range).await.unwrap();
    assert_eq!((map.edges.len(), map.edges[0].calls), (1, 1));
    assert_eq!(map.nodes.len(), 1, "only spans of the range are counted as nodes");
}

#[tokio::test]
async fn an_empty_lake_has_empty_answers() {
    let house = House::new().await;
    assert_eq!(house.query.services(&acme(), LAST_HOUR).await.unwrap(), []);
    let map = house.query.service_map(&acme(), LAST_HOUR).await.unwrap();
    assert_eq!((map.nodes.len(), map.edges.len(), map.truncated), (0, 0, false));
    assert_eq!(house.find(|_| {}).await, [] as [u64; 0]);
    assert_eq!(house.find_logs(|_| {}).await, [] as [&str; 0]);
}
