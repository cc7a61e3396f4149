//! The API document, and what it promises of every route.

use serde_json::{Value, json};

use crate::house::House;

/// What needs no session, and why.
const OPEN: [(&str, &str); 5] = [
    ("get", "/schemas/rule.json"),
    ("post", "/api/v1/session"), // this is where sessions come from
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/metrics"),
];

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.clone(), path.clone(), operation.clone()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_document_refuses_strangers() {
    let house = House::new().await;
    let document = house.stranger().get("/api/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let mut checked = 0;
    for (method, path, operation) in operations(&document) {
        if OPEN.contains(&(method.as_str(), path.as_str())) {
            continue;
        }
        let concrete = path
            .replace("{trace_id}", "0abc")
            .replace("{file}", "login.yml")
            .replace("{name}", "web")
            .replace("{id}", "1");
        let body = matches!(method.as_str(), "post" | "put" | "patch").then(|| json!({}));
        let answer = house.stranger().send(&method.to_uppercase(), &concrete, &[], body).await;
        answer.problem(401, "");
        let need = operation["x-permission"].as_str().unwrap_or_default();
        assert!(need == "session" || need.contains(':'), "{method} {path} names no permission");
        assert_eq!(operation["security"], json!([{"session": []}]), "{method} {path}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked} routes were checked");
    // nothing was done by any of those requests
    assert!(house.shelf.get("login.yml").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_names_the_routes_people_were_promised() {
    let house = House::new().await;
    let document = house.stranger().get("/api/openapi.json").await.json();
    let found: Vec<_> = operations(&document).into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    for promised in [
        "get /api/v1/traces/search",
        "get /api/v1/traces/{trace_id}",
        "get /api/v1/logs/count",
        "get /api/v1/logs/search",
        "get /api/v1/services",
        "get /api/v1/services/{name}/operations",
        "get /api/v1/services/{name}/red",
        "get /api/v1/service-map",
        "get /api/v1/rules",
        "get /api/v1/rules/{file}",
        "post /api/v1/rules/validate",
        "put /api/v1/rules/{file}",
        "delete /api/v1/rules/{file}",
        "post /api/v1/rules/{file}/enable",
        "post /api/v1/rules/backtests",
        "get /api/v1/rules/backtests",
        "get /api/v1/rules/backtests/{id}",
        "delete /api/v1/rules/backtests/{id}",
        "get /api/v1/rules/backtests/{id}/result",
        "post /api/v1/rules/explain",
        "get /api/v1/rules/coverage",
        "get /schemas/rule.json",
        "get /api/v1/alerts",
        "get /api/v1/alerts/{id}",
        "post /api/v1/alerts/{id}/status",
        "get /api/v1/alerts/stream",
        "get /api/v1/session",
        "post /api/v1/session",
        "delete /api/v1/session",
        "get /api/v1/info",
        "get /api/v1/keys",
        "post /api/v1/keys",
        "patch /api/v1/keys/{id}",
        "delete /api/v1/keys/{id}",
        "get /livez",
        "get /readyz",
        "get /metrics",
    ] {
        assert!(found.iter().any(|route| route == promised), "{promised} is missing in {found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_schema_that_is_referred_to_exists() {
    let house = House::new().await;
    let document = house.stranger().get("/api/openapi.json").await.json();
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|inner| references(inner, found));
            }
            Value::Array(list) => list.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a reference inside the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_has_a_page_for_people() {
    let house = House::new().await;
    let page = house.stranger().get("/api/docs/").await;
    assert_eq!(page.status, 200);
    assert!(String::from_utf8_lossy(&page.body).contains("swagger"));
    assert_eq!(house.stranger().get("/api/docs").await.status, 303);
}
