//! A policy is learned, read through, deployed and refused through the API.

use serde_json::json;

use crate::house::{House, NOW};

/// A gateway that calls a shop.
fn call(house: &House) {
    let route = json!([
        {"key": "http.request.method", "value": {"stringValue": "GET"}},
        {"key": "http.route", "value": {"stringValue": "/items/{id}"}},
    ]);
    house.span("gateway", 0xabc, 1, &json!({"kind": 3}));
    let parent = format!("{:016x}", 1);
    house.span("shop", 0xabc, 2, &json!({"kind": 2, "parentSpanId": parent, "attributes": route}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_learned_can_be_deployed_and_is_then_in_force() {
    let house = House::new().await;
    let user = house.user().await;
    call(&house);
    user.get("/api/v1/policy").await.problem(404, "");

    let learned = user.post("/api/v1/policy/learn", json!({})).await;
    assert_eq!((learned.status, learned.header("content-type")), (200, "application/yaml"));
    let text = String::from_utf8(learned.body.to_vec()).unwrap();
    for line in
        ["    shop:", "        gateway: # 1 call, ", "          - \"GET /items/{id}\" # 1 call, ", "  tenant: default"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }

    let before = house.access.verify_audit().await.unwrap();
    let mut in_force = house.shelf.subscribe();
    in_force.mark_unchanged();
    let saved = user.put("/api/v1/policy", &[], json!({"text": text})).await;
    assert_eq!(saved.status, 200, "{:?}", saved.body);
    assert_eq!(saved.json()["rules"][0]["kind"], "service_policy");
    assert!(in_force.has_changed().unwrap());
    let stored = house.rules_dir().join("policies/default.yml");
    assert_eq!(std::fs::read_to_string(stored).unwrap(), text);
    let deployed = user.get("/api/v1/policy").await;
    assert_eq!((deployed.json()["text"].as_str(), deployed.header("etag")), (Some(&*text), saved.header("etag")));

    let etag = saved.header("etag").to_owned();
    let edited = text.replace("level: high", "level: low");
    let late = user.put("/api/v1/policy", &[("if-match", "\"old\"")], json!({"text": edited})).await;
    late.problem(412, "if-match");
    assert_eq!(user.put("/api/v1/policy", &[("if-match", &etag)], json!({"text": edited})).await.status, 200);
    assert_eq!(house.access.verify_audit().await.unwrap(), before + 2, "each that was saved is in the audit trail");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_policy_of_the_tenant_is_refused() {
    let house = House::new().await;
    let user = house.user().await;
    let policy =
        |tenant: &str| format!("title: t\nservice_policy: {{version: 1, tenant: {tenant}, services: {{shop: }}}}\n");
    let put = async |text: &str| user.put("/api/v1/policy", &[], json!({"text": text})).await;
    put(&policy("acme")).await.problem(400, "text");
    put(crate::house::RULE).await.problem(400, "text");
    put(&format!("{}---\n{}", policy("default"), crate::house::RULE)).await.problem(400, "text");
    let faults = put("title: t\nservice_policy: {version: 2, tenant: default, services: {}}\n").await;
    let problem = faults.problem(422, "text");
    let fault = &problem["diagnostics"][0];
    assert_eq!((&fault["line"], &fault["column"], &fault["code"]), (&json!(2), &json!(27), &json!("bad-value")));
    user.get("/api/v1/policy").await.problem(404, "");
    assert_eq!(put(&policy("default")).await.status, 200);
    user.post("/api/v1/policy/learn", json!({"start": "soon"})).await.problem(400, "start");
    user.post("/api/v1/policy/learn", json!({"from": NOW.to_string()})).await.problem(400, "from");
}
