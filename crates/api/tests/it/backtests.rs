//! Backtests, explanations and coverage through the API.

use std::time::{Duration, Instant};

use query::BacktestLimits;
use serde_json::{Value, json};

use crate::client::Client;
use crate::house::{House, NOW, RULE};

const ID: &str = "11111111-2222-4333-8444-555555555555";
const START: i64 = NOW - 3_600_000_000_000;

/// A span a minute ago that a shipped test rule matches or not.
fn answer(house: &House, number: u64, status: i64) {
    let attributes = json!([{"key": "http.response.status_code", "value": {"intValue": status.to_string()}},
        {"key": "user.id", "value": {"stringValue": "ann"}}]);
    house.span("shop", u128::from(number), number, &json!({"attributes": attributes}));
}

async fn ended(user: &Client, id: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let job = user.get(&format!("/api/v1/rules/backtests/{id}")).await.json();
        if job["state"] == "ended" || job["state"] == "failed" {
            return job;
        }
        assert!(Instant::now() < deadline, "{job}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn started(user: &Client, body: &Value) -> String {
    let answer = user.post("/api/v1/rules/backtests", body.clone()).await;
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn request(text: &str) -> Value {
    json!({"files": [{"file": "login.yml", "text": text}], "start": START.to_string()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_tells_alerts_by_hour_samples_and_the_difference() {
    let house = House::new().await;
    let user = house.user().await;
    answer(&house, 1, 401);
    answer(&house, 2, 403);
    let id = started(&user, &request(&RULE.replace("401", "[401, 403]"))).await;
    let job = ended(&user, &id).await;
    assert_eq!(
        (&job["state"], &job["reason"], &job["files"]),
        (&json!("ended"), &json!("whole"), &json!(["login.yml"]))
    );
    assert_eq!(job["progress"]["events_done"], 2);
    let result = user.get(&format!("/api/v1/rules/backtests/{id}/result")).await.json();
    let [rule] = result["rules"].as_array().unwrap().as_slice() else { panic!("{result}") };
    assert_eq!((&rule["id"], &rule["alerts"], &rule["deployed_alerts"]), (&json!(ID), &json!(2), &json!(1)));
    assert_eq!(rule["histogram"].as_array().unwrap().len(), 1);
    assert_eq!(rule["samples"][0]["events"][0]["kind"], "span");
    let diff = &rule["diff"];
    assert_eq!((&diff["both"], &diff["only_new"], &diff["only_deployed"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(diff["new_samples"][0]["events"][0]["span_id"], format!("{:016x}", 2));
    // nothing was saved and nothing alerted
    assert_eq!(user.get("/api/v1/rules/login.yml").await.json()["text"], RULE);
    assert_eq!(user.get("/api/v1/alerts").await.json()["items"], json!([]));
    let listed = user.get("/api/v1/rules/backtests").await.json();
    assert_eq!(listed["items"][0]["id"], json!(id));
    assert_eq!(user.delete(&format!("/api/v1/rules/backtests/{id}")).await.status, 204);
    user.get(&format!("/api/v1/rules/backtests/{id}/result")).await.problem(404, "id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_that_cannot_run_is_refused_with_the_field() {
    let house = House::new().await;
    let user = house.user().await;
    let refused = |body: Value| user.post("/api/v1/rules/backtests", body);
    refused(json!({"files": [], "start": START.to_string()})).await.problem(400, "files");
    refused(json!({"files": [{"file": "none.yml"}], "start": START.to_string()})).await.problem(400, "files");
    refused(json!({"files": [{"file": "login.yml"}], "start": "soon"})).await.problem(400, "start");
    refused(json!({"files": [{"file": "login.yml"}], "start": "2020-01-01T00:00:00Z"})).await.problem(400, "start");
    refused(json!({"files": [{"file": "login.yml"}]})).await.problem(400, "start");
    let broken = refused(request("title: [\n")).await.problem(422, "text");
    assert!(!broken["diagnostics"].as_array().unwrap().is_empty());
    let large = "#".repeat(600 * 1024);
    refused(request(&large)).await.problem(413, "text");
    user.get("/api/v1/rules/backtests/0").await.problem(404, "id");
    user.delete("/api/v1/rules/backtests/0").await.problem(404, "id");
}

#[tokio::test(flavor = "multi_thread")]
async fn backtests_have_limits_and_end_at_them_with_what_they_have() {
    let limits =
        BacktestLimits { share: 1.0, events: 1, waiting: 1, concurrent: 1, kept: 2, ..BacktestLimits::default() };
    let house = House::with_backtests(api::Auth::Session, limits).await;
    let user = house.user().await;
    (1..=3).for_each(|number| answer(&house, number, 401));
    let id = started(&user, &request(RULE)).await;
    // the events of one window were read, and no more are
    let job = ended(&user, &id).await;
    assert_eq!(job["reason"], "event_limit", "{job}");
    assert_eq!(user.get(&format!("/api/v1/rules/backtests/{id}/result")).await.json()["rules"][0]["alerts"], 3);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = started(&user, &request(RULE)).await;
        ended(&user, &id).await;
        ids.push(id);
    }
    let id = started(&user, &request(RULE)).await;
    ended(&user, &id).await;
    let listed = user.get("/api/v1/rules/backtests").await.json()["items"].as_array().unwrap().len();
    assert!(listed <= 3, "{listed} results are kept");
    user.get(&format!("/api/v1/rules/backtests/{}", ids[0])).await.problem(404, "id");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_shows_what_held_and_where() {
    let house = House::new().await;
    let user = house.user().await;
    let explain = |body: Value| user.post("/api/v1/rules/explain", body);
    let body = json!({"rule": ID, "text": RULE, "event": {"http.status_code": 401}});
    let found = explain(body).await.json();
    let judgement = &found["events"][0]["judgements"][0];
    assert_eq!((&judgement["holds"], &judgement["condition"]["kind"]), (&json!(true), &json!("field")), "{found}");
    assert_eq!(judgement["condition"]["source"], "attribute http.status_code");
    assert_eq!((&found["engine"], &found["alerts"].as_array().map(Vec::len)), (&Value::Null, &Some(1)));

    answer(&house, 7, 403);
    let found = explain(json!({"rule": ID, "text": RULE, "trace_id": format!("{:032x}", 7)})).await.json();
    let condition = &found["events"][0]["judgements"][0]["condition"];
    assert_eq!((&condition["holds"], &condition["value"]), (&json!(false), &json!("403")), "{found}");
    assert_eq!(condition["source"], "column http.response.status_code");

    explain(json!({"rule": ID, "text": RULE, "trace_id": format!("{:032x}", 8)})).await.problem(404, "trace_id");
    explain(json!({"rule": ID, "text": RULE, "trace_id": "zz"})).await.problem(400, "trace_id");
    explain(json!({"rule": "none", "text": RULE, "event": {}})).await.problem(404, "rule");
    explain(json!({"rule": ID, "text": RULE, "event": {}, "alert_id": "a"})).await.problem(400, "event");
    explain(json!({"rule": ID, "text": RULE, "event": {}, "limit": 0})).await.problem(400, "limit");
    explain(json!({"rule": ID, "text": RULE, "event": {"a": "x".repeat(300_000)}})).await.problem(413, "event");
}

#[tokio::test(flavor = "multi_thread")]
async fn coverage_names_rules_that_cannot_fire_and_what_they_miss() {
    let house = House::new().await;
    let user = house.user().await;
    let blind = user.get("/api/v1/rules/coverage").await.json();
    assert_eq!((&blind["events"], &blind["rules"][0]["can_fire"]), (&json!(0), &json!(false)), "{blind}");
    assert_eq!(blind["rules"][0]["reasons"], json!(["no events were seen"]));
    house.span("shop", 1, 1, &json!({"traceState": "ot=th:8"}));
    let blind = user.get("/api/v1/rules/coverage").await.json();
    assert_eq!(blind["rules"][0]["missing_fields"], json!(["http.response.status_code"]), "{blind}");
    assert_eq!((&blind["services"][0]["name"], &blind["services"][0]["sampled_spans"]), (&json!("shop"), &json!(1)));
    answer(&house, 2, 200);
    let found = user.get("/api/v1/rules/coverage").await.json();
    assert_eq!((&found["rules"][0]["can_fire"], &found["events_looked_at"]), (&json!(true), &json!(2)));
    assert_eq!(found["techniques"], json!([{"id": "T1110", "rules": [ID], "blind": []}]));
    user.get("/api/v1/rules/coverage?rows=0").await.problem(400, "rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_open_to_all() {
    let house = House::new().await;
    let schema = house.stranger().get("/schemas/rule.json").await.json();
    assert_eq!((&schema["title"], &schema["else"]["required"]), (&json!("Tracehound rule"), &json!(["title"])));
}
