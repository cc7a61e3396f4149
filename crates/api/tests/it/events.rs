//! Traces, logs and services, as people search them.

use model::Signal;
use serde_json::{Value, json};

use crate::house::{House, NOW};

const TRACE: u128 = 0xabc0_0000_0000_0000_0000_0000_0000_0001;

/// A gateway that calls a shop which fails, and a lone span elsewhere.
async fn shop() -> House {
    let house = House::new().await;
    house.span(
        "gateway",
        TRACE,
        1,
        &json!({
            "name": "GET /buy",
            "attributes": [
                {"key": "http.response.status_code", "value": {"intValue": "500"}},
                {"key": "big", "value": {"intValue": "9007199254740993"}},
                {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "2"}]}}},
                {"key": "<script>alert(1)</script>", "value": {"stringValue": "\u{202e}x"}},
            ],
            "traceState": "a=b", "flags": 1,
        }),
    );
    house.span("shop", TRACE, 2, &json!({
        "parentSpanId": format!("{:016x}", 1), "name": "pay", "kind": 3,
        "startTimeUnixNano": (NOW - 60_000_000_000 + 1_000_000).to_string(),
        "status": {"code": 2, "message": "card refused"},
        "events": [{"timeUnixNano": (NOW - 59_999_000_000).to_string(), "name": "exception", "attributes": [{"key": "exception.type", "value": {"stringValue": "Refused"}}]}],
        "links": [{"traceId": "00000000000000000000000000000009", "spanId": "0000000000000008", "attributes": [{"key": "why", "value": {"stringValue": "retry"}}]}],
    }));
    house.span("lonely", 0xdef, 3, &json!({"startTimeUnixNano": (NOW - 30_000_000_000).to_string(), "endTimeUnixNano": (NOW - 28_000_000_000).to_string()}));
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_found_and_shown_whole() {
    let house = shop().await;
    let user = house.user().await;
    let found = user.get("/api/v1/traces/search?service=shop&status=error").await.json();
    let [hit] = found["items"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!(found["next_cursor"], Value::Null);
    assert_eq!(hit["trace_id"], format!("{TRACE:032x}"));
    assert_eq!((&hit["root_service"], &hit["root_name"]), (&json!("gateway"), &json!("GET /buy")));
    assert_eq!((&hit["span_count"], &hit["error_count"], &hit["matched_count"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(hit["start_time"], "2025-11-24T15:59:00.000000000Z");
    assert_eq!(hit["start_unix_nanos"], (NOW - 60_000_000_000).to_string());
    assert_eq!(
        hit["services"],
        json!([{"name": "gateway", "spans": 1, "errors": 0}, {"name": "shop", "spans": 1, "errors": 1}])
    );
    let matched = &hit["matched_spans"][0];
    assert_eq!(
        (&matched["name"], &matched["kind"], &matched["status"]),
        (&json!("pay"), &json!("client"), &json!("error"))
    );

    let trace = user.get(&format!("/api/v1/traces/{TRACE:032x}")).await.json();
    assert_eq!(
        (&trace["span_count"], &trace["error_count"], &trace["truncated"]),
        (&json!(2), &json!(1), &json!(false))
    );
    assert_eq!(trace["duration_nanos"], 5_000_000);
    let root = &trace["spans"][0];
    assert_eq!((&root["span_id"], &root["parent_span_id"]), (&json!("0000000000000001"), &Value::Null));
    assert_eq!(
        (&root["kind"], &root["status"], &root["trace_state"], &root["flags"]),
        (&json!("server"), &json!("unset"), &json!("a=b"), &json!(1))
    );
    assert_eq!(
        root["attributes"],
        json!({
            "http.response.status_code": 500, "big": "9007199254740993", "list": ["a", 2],
            "<script>alert(1)</script>": "\u{202e}x",
        })
    );
    assert_eq!(root["resource"], json!({"service.name": "gateway"}));
    assert_eq!(root["scope"], json!({"name": "lib", "version": "1.2"}));
    let child = &trace["spans"][1];
    assert_eq!(
        (&child["parent_span_id"], &child["status_message"]),
        (&json!("0000000000000001"), &json!("card refused"))
    );
    assert_eq!(
        child["events"],
        json!([{"time_unix_nanos": (NOW - 59_999_000_000).to_string(), "name": "exception", "attributes": {"exception.type": "Refused"}}])
    );
    assert_eq!(
        child["links"],
        json!([{"trace_id": "00000000000000000000000000000009", "span_id": "0000000000000008", "attributes": {"why": "retry"}}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_filter_and_page() {
    let house = shop().await;
    let user = house.user().await;
    let ids = async |query: &str| {
        let found = user.get(&format!("/api/v1/traces/search?{query}")).await.json();
        let items = found["items"].as_array().unwrap_or_else(|| panic!("{found}"));
        items.iter().map(|hit| hit["trace_id"].as_str().unwrap().trim_start_matches('0').to_owned()).collect::<Vec<_>>()
    };
    let big = format!("{TRACE:x}");
    assert_eq!(ids("").await, ["def", &big], "newest first");
    assert_eq!(ids("filter=http.response.status_code=500").await, std::slice::from_ref(&big));
    assert_eq!(ids("filter=http.response.status_code&filter=big!=1").await, std::slice::from_ref(&big));
    assert_eq!(ids("filter=!http.response.status_code&service=lonely").await, ["def"]);
    assert_eq!(ids("min_duration=1.5s").await, ["def"]);
    assert_eq!(ids("max_duration=10ms").await, std::slice::from_ref(&big));
    assert_eq!(ids("kind=client").await, std::slice::from_ref(&big));
    assert_eq!(ids("operation=pay").await, std::slice::from_ref(&big));
    assert_eq!(ids("start=2025-11-24T15:59:20Z").await, ["def"]);
    assert_eq!(ids(&format!("end={}", NOW - 31_000_000_000)).await, std::slice::from_ref(&big));

    let first = user.get("/api/v1/traces/search?limit=1").await.json();
    let cursor = first["next_cursor"].as_str().expect("there is another page");
    let second = user.get(&format!("/api/v1/traces/search?limit=1&cursor={cursor}")).await.json();
    assert_eq!(second["items"][0]["trace_id"], format!("{TRACE:032x}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_told_which_field_is_wrong() {
    let house = House::new().await;
    let user = house.user().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("cursor=zzz", "cursor"),
        ("start=yesterday", "start"),
        ("start=5&end=4", "start"),
        ("min_duration=5x", "min_duration"),
        ("status=bad", "status"),
        ("kind=bad", "kind"),
        ("filter==x", "filter"),
        ("servcie=shop", "servcie"),
        ("service=a&service=b", "service"),
    ] {
        user.get(&format!("/api/v1/traces/search?{query}")).await.problem(400, field);
    }
    let problem = user.get("/api/v1/traces/search?limit=1001").await.problem(400, "limit");
    assert_eq!(problem["limit"], 1000);
    user.get("/api/v1/traces/xyz").await.problem(400, "trace_id");
    user.get("/api/v1/traces/00000000000000000000000000000001").await.problem(404, "trace_id");
    user.get("/api/v1/logs/search?min_severity=25").await.problem(400, "min_severity");
    user.get("/api/v1/logs/search?order=up").await.problem(400, "order");
    user.get("/api/v1/logs/search?regex=%28").await.problem(400, "regex");
    user.get("/api/v1/logs/count?word=two+words").await.problem(400, "word");
    user.get("/api/v1/logs/search?trace_id=q").await.problem(400, "trace_id");
    user.get("/api/v1/services?cursor=%25").await.problem(400, "cursor");
    user.get("/api/v1/nothing").await.problem(404, "");
    user.send("PATCH", "/api/v1/alerts", &[], None).await.problem(405, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_found_and_belong_to_their_trace() {
    let house = House::new().await;
    let user = house.user().await;
    let at = |secs: i64| (NOW - secs * 1_000_000_000).to_string();
    house.store(Signal::Logs, &json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "auth"}}]},
        "scopeLogs": [{"logRecords": [
            {"timeUnixNano": at(20), "severityNumber": 17, "severityText": "ERR", "body": {"stringValue": "Login refused"},
             "traceId": format!("{TRACE:032x}"), "spanId": "0000000000000001", "attributes": [{"key": "user.id", "value": {"stringValue": "eve"}}]},
            {"timeUnixNano": at(10), "severityNumber": 9, "body": {"kvlistValue": {"values": [{"key": "n", "value": {"intValue": "1"}}]}}, "eventName": "tick"},
        ]}],
    }]}));
    let found = user.get("/api/v1/logs/search").await.json();
    let [newest, oldest] = found["items"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!(
        (&newest["body"], &newest["event_name"], &newest["trace_id"]),
        (&json!({"n": 1}), &json!("tick"), &Value::Null)
    );
    assert_eq!(
        (&oldest["severity"], &oldest["severity_number"], &oldest["severity_text"]),
        (&json!("error"), &json!(17), &json!("ERR"))
    );
    assert_eq!(
        (&oldest["service"], &oldest["span_id"], &oldest["attributes"]),
        (&json!("auth"), &json!("0000000000000001"), &json!({"user.id": "eve"}))
    );
    assert_eq!((&oldest["log_id"], &oldest["time"]), (&json!("1-0"), &json!("2025-11-24T15:59:40.000000000Z")));

    for query in [
        "min_severity=warn",
        "min_severity=17",
        "text=login+REFUSED",
        "word=REFUSED",
        "regex=Log.*refused",
        "filter=user.id=eve",
        &format!("trace_id={TRACE:032x}"),
    ] {
        let found = user.get(&format!("/api/v1/logs/search?{query}")).await.json();
        assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{query}: {found}");
        assert_eq!(found["items"][0]["log_id"], "1-0");
    }
    for (query, count) in [("", 2), ("word=refused", 1), ("word=refuse", 0)] {
        let found = user.get(&format!("/api/v1/logs/count?{query}")).await.json();
        assert_eq!(found, json!({"count": count, "missing_files": []}), "{query}");
    }
    let found = user.get("/api/v1/logs/search?order=asc&limit=1").await.json();
    assert_eq!(found["items"][0]["log_id"], "1-0");
    let cursor = found["next_cursor"].as_str().unwrap();
    let found = user.get(&format!("/api/v1/logs/search?order=asc&limit=1&cursor={cursor}")).await.json();
    assert_eq!(found["items"][0]["log_id"], "1-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_operations_and_the_map_are_shown() {
    let house = shop().await;
    let user = house.user().await;
    let found = user.get("/api/v1/services").await.json();
    let names: Vec<_> = found["items"].as_array().unwrap().iter().map(|service| service["name"].clone()).collect();
    assert_eq!(names, ["gateway", "lonely", "shop"]);
    let shop = &found["items"][2];
    assert_eq!((&shop["spans"], &shop["errors"]), (&json!(1), &json!(1)));
    assert!(shop["p50_nanos"].as_i64().unwrap() > 0 && shop["p95_nanos"].is_i64());
    assert_eq!(found["items"][1]["last_seen_time"], "2025-11-24T15:59:30.000000000Z");

    let first = user.get("/api/v1/services?limit=2").await.json();
    let next =
        user.get(&format!("/api/v1/services?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!(next["items"][0]["name"], "shop");
    assert_eq!(next["next_cursor"], Value::Null);

    let operations = user.get("/api/v1/services/shop/operations").await.json();
    assert_eq!((&operations["items"][0]["name"], &operations["items"][0]["kind"]), (&json!("pay"), &json!("client")));

    let course = user.get("/api/v1/services/shop/red?points=60").await.json();
    assert_eq!(course["step_secs"], 120, "{course}");
    let points = course["points"].as_array().unwrap();
    assert!((30..=61).contains(&points.len()), "{} points", points.len());
    let busy: Vec<_> = points.iter().filter(|point| point["spans"] != 0).collect();
    assert_eq!(busy.len(), 1);
    assert_eq!((&busy[0]["spans"], &busy[0]["errors"]), (&json!(1), &json!(1)));
    assert!(busy[0]["p95_nanos"].as_i64().unwrap() > 0);
    let other = user.get("/api/v1/services/shop/red?operation=none").await.json();
    assert!(other["points"].as_array().unwrap().iter().all(|point| point["spans"] == 0));
    for wrong in ["0", "1001", "many"] {
        user.get(&format!("/api/v1/services/shop/red?points={wrong}")).await.problem(400, "points");
    }

    let map = user.get("/api/v1/service-map").await.json();
    let edge = &map["edges"][0];
    assert_eq!(
        (&edge["caller"], &edge["callee"], &edge["calls"], &edge["errors"]),
        (&json!("gateway"), &json!("shop"), &json!(1), &json!(1)),
        "{map}"
    );
    assert_eq!(map["truncated"], false);
    assert!(map["nodes"].as_array().unwrap().iter().any(|node| node["name"] == "lonely"));
    assert_eq!(user.get("/api/v1/info").await.json()["spans_seen"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_how_long_it_took_and_takes_up_the_callers_trace() {
    let house = House::new().await;
    let user = house.user().await;
    let traceparent = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
    let answer = user.send("GET", "/api/v1/traces/search?limit=0", &traceparent, None).await;
    assert_eq!(answer.problem(400, "limit")["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert!(answer.header("server-timing").starts_with("total;dur="), "{:?}", answer.headers);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_of_ten_thousand_spans_arrives_whole() {
    let house = House::new().await;
    let user = house.user().await;
    let start = u64::try_from(NOW).unwrap() - 600_000_000_000;
    let trace = simulate::big_trace(7, 10_000, start);
    for export in &trace.exports {
        house.store_protobuf(Signal::Spans, &export.body);
    }
    let path = format!("/api/v1/traces/{:032x}", u128::from_be_bytes(trace.trace_id));
    let answer = user.get(&path).await;
    let shown = answer.json();
    assert_eq!((&shown["span_count"], &shown["truncated"]), (&json!(10_000), &json!(false)));
    assert_eq!(shown["spans"].as_array().map(Vec::len), Some(10_000));
}
