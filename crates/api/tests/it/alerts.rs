//! Alerts: the list, one with all that belongs to it, and the stream.

use std::time::Duration;

use http_body_util::BodyExt as _;
use model::Severity;
use serde_json::{Value, json};

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_listed_filtered_and_paged() {
    let house = House::new().await;
    let user = house.user().await;
    let low = house.alert("low", Severity::Low).await;
    let high = house.alert("high", Severity::High).await;
    let ids = async |query: &str| {
        let found = user.get(&format!("/api/v1/alerts?{query}")).await.json();
        found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [high.clone(), low.clone()], "newest first");
    assert_eq!(ids("severity=high,critical").await, std::slice::from_ref(&high));
    assert_eq!(ids("rule_id=rule-low").await, std::slice::from_ref(&low));
    assert_eq!(ids("status=closed").await, Vec::<String>::new());
    let first = user.get("/api/v1/alerts?limit=1").await.json();
    let next =
        user.get(&format!("/api/v1/alerts?limit=1&cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((&next["items"][0]["id"], &next["next_cursor"]), (&json!(low), &Value::Null));
    let item = &first["items"][0];
    assert_eq!(
        (&item["rule_title"], &item["severity"], &item["status"], &item["count"]),
        (&json!("Rule high"), &json!("high"), &json!("open"), &json!(1))
    );
    assert_eq!((&item["group"], &item["reason"]), (&json!({"user.id": "mallory"}), &json!("five failed logins")));
    assert_eq!(item["trace_ids"], json!(["00000000000000000000000000000abc"]));
    assert_eq!(item["created_time"], "2025-11-24T16:00:00.000000000Z");

    user.get("/api/v1/alerts?status=odd").await.problem(400, "status");
    user.get("/api/v1/alerts?severity=odd").await.problem(400, "severity");
    user.get("/api/v1/alerts?cursor=odd!").await.problem(400, "cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_shown_with_evidence_and_goes_through_its_life() {
    let house = House::new().await;
    let user = house.user().await;
    let id = house.alert("one", Severity::Critical).await;
    let path = format!("/api/v1/alerts/{id}");
    let detail = user.get(&path).await.json();
    assert_eq!(detail["id"], id);
    let evidence = &detail["evidence"][0];
    assert_eq!(
        (&evidence["kind"], &evidence["span_id"], &evidence["log_id"]),
        (&json!("span"), &json!("00000000000000aa"), &Value::Null)
    );
    assert_eq!(detail["evidence_omitted"], 3);
    assert_eq!(detail["deliveries"], json!([]));

    let detail =
        user.post(&format!("{path}/status"), json!({"status": "acknowledged", "comment": "on it"})).await.json();
    assert_eq!(detail["status"], "acknowledged");
    let line = detail["activity"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&line["actor"], &line["kind"], &line["from"], &line["to"], &line["comment"]),
        (&json!("admin"), &json!("status"), &json!("open"), &json!("acknowledged"), &json!("on it"))
    );
    let detail = user.post(&format!("{path}/status"), json!({"status": "closed"})).await.json();
    assert_eq!(detail["status"], "closed");

    user.post(&format!("{path}/status"), json!({"status": "gone"})).await.problem(400, "status");
    let long = "x".repeat(4_001);
    let problem =
        user.post(&format!("{path}/status"), json!({"status": "open", "comment": long})).await.problem(400, "comment");
    assert_eq!(problem["limit"], 4_000);
    user.get("/api/v1/alerts/none").await.problem(404, "id");
    user.post("/api/v1/alerts/none/status", json!({"status": "open"})).await.problem(404, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_tells_of_alerts_and_ends_with_the_server() {
    let house = House::new().await;
    let user = house.user().await;
    let response = user.open("GET", "/api/v1/alerts/stream", &[], None).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut text = String::new();
    let id = house.alert("live", Severity::High).await;
    while !text.contains("event: alert") || !text.ends_with("\n\n") {
        let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.expect("an event comes");
        text.push_str(&String::from_utf8_lossy(&frame.unwrap().unwrap().into_data().unwrap()));
    }
    let event = text.split("\n\n").find(|event| event.contains("event: alert")).unwrap();
    assert!(event.contains("id: 1"), "{event}");
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let alert: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&alert["id"], &alert["status"]), (&json!(id), &json!("open")));

    house.ask_to_stop();
    let rest = tokio::time::timeout(Duration::from_secs(10), body.collect()).await;
    assert!(rest.is_ok(), "the stream ends when the server stops");
}
