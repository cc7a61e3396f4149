//! What machines ask.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_its_checks_and_life_does_not() {
    let house = House::new().await;
    let machine = house.stranger();
    assert_eq!(machine.get("/readyz").await.status, 200);
    let verbose = machine.get("/readyz?verbose").await.json();
    assert_eq!(
        verbose,
        json!({"ready": true, "checks": [
            {"name": "wal", "state": "ok", "detail": "fine"}, {"name": "lake", "state": "ok", "detail": "fine"},
        ]})
    );
    house.is_well.store(false, Ordering::SeqCst);
    let answer = machine.get("/readyz").await;
    assert_eq!(
        (answer.status, answer.json()),
        (503, json!({"ready": false, "checks": [{"name": "wal", "state": "failed", "detail": ""}]}))
    );
    assert_eq!(machine.get("/readyz?verbose=1").await.json()["checks"][0]["detail"], "stopped");
    assert_eq!(machine.get("/livez").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_given_as_prometheus_reads_them() {
    let house = House::new().await;
    let answer = house.stranger().get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert_eq!(answer.body, "tracehound_up 1\n");
}
