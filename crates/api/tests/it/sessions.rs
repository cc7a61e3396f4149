//! Logging in and out, keys, and requests that other sites make.

use api::Auth;
use model::TenantId;
use serde_json::json;

use crate::client::Client;
use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_login_link_works_once_and_gives_a_cookie_that_scripts_cannot_read() {
    let house = House::new().await;
    let token = house.login_token();
    let stranger = house.stranger();
    stranger.post("/api/v1/session", json!({"token": "nonsense"})).await.problem(401, "token");
    let answer = stranger.post("/api/v1/session", json!({"token": token})).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let session = answer.json();
    assert_eq!(
        (&session["user"], &session["tenant"], &session["auth"]),
        (&json!("admin"), &json!("default"), &json!("session"))
    );
    assert!(session["roles"].as_array().unwrap().contains(&json!("analyst")));

    let cookie = answer.header("set-cookie").to_owned();
    for part in ["th_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    let value = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    let user = Client { cookie: Some(value), ..stranger.clone() };
    assert_eq!(user.get("/api/v1/session").await.json(), session);
    stranger.post("/api/v1/session", json!({"token": token})).await.problem(401, "token");

    let info = user.get("/api/v1/info").await.json();
    assert_eq!(
        info,
        json!({"version": "0.1.0-test", "otlp_grpc": "http://127.0.0.1:4317", "otlp_http": "http://127.0.0.1:4318", "demo": false, "spans_seen": false})
    );

    let out = user.delete("/api/v1/session").await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    user.get("/api/v1/session").await.problem(401, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_was_made_up_lets_nobody_in() {
    let house = House::new().await;
    for cookie in ["", "x", &"0".repeat(64), "../../etc"] {
        let liar = Client { cookie: Some(cookie.to_owned()), ..house.stranger() };
        liar.get("/api/v1/alerts").await.problem(401, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_cannot_act_for_whoever_is_logged_in() {
    let house = House::new().await;
    let user = house.user().await;
    let path = "/api/v1/keys";
    let body = json!({"name": "stolen"});
    let evil = [("origin", "http://evil.example")];
    user.send("POST", path, &evil, Some(body.clone())).await.problem(403, "");
    let form = [("content-type", "text/plain")];
    user.send("POST", path, &form, Some(body.clone())).await.problem(403, "");
    user.send("DELETE", "/api/v1/rules/login.yml", &evil, None).await.problem(403, "");
    let own = [("origin", &*format!("http://{}", user.addr))];
    assert_eq!(user.send("POST", path, &own, Some(body)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_shown_once_and_revoked() {
    let house = House::new().await;
    let user = house.user().await;
    let made = user.post("/api/v1/keys", json!({"name": "checkout"})).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let secret = made["secret"].as_str().unwrap();
    assert!(house.access.ingest(secret).await.is_ok());
    let listed = user.get("/api/v1/keys?limit=1000").await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(secret));
    let listed = listed.json();
    let item = listed["items"].as_array().unwrap().iter().find(|key| key["id"] == made["id"]).unwrap();
    assert_eq!(
        (&item["name"], &item["revoked_time"], &item["created_by"]),
        (&json!("checkout"), &json!(null), &json!("admin"))
    );
    let id = made["id"].as_str().unwrap();
    assert_eq!(user.delete(&format!("/api/v1/keys/{id}")).await.status, 204);
    assert!(house.access.ingest(secret).await.is_err());
    user.delete(&format!("/api/v1/keys/{id}")).await.problem(404, "");
    let problem = user.post("/api/v1/keys", json!({"name": ""})).await.problem(400, "name");
    assert_eq!(problem["limit"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_key_are_shown_changed_at_once_and_checked_by_name() {
    let house = House::new().await;
    let user = house.user().await;
    let asked = json!({"name": "cart", "services": ["cart", "basket"], "cidrs": ["10.1.0.0/16", "192.0.2.7"],
        "events_per_sec": 500, "max_trace_events": 1000, "on_other_service": "reject"});
    let made = user.post("/api/v1/keys", asked).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let made = made.json();
    let expected = json!({"services": ["basket", "cart"], "cidrs": ["10.1.0.0/16", "192.0.2.7/32"], "events_per_sec": 500,
        "bytes_per_sec": null, "max_operations": null, "max_trace_events": 1000, "on_other_service": "reject"});
    let id = made["id"].as_str().unwrap();
    let listed = user.get("/api/v1/keys?limit=1000").await.json();
    let item = listed["items"].as_array().unwrap().iter().find(|key| key["id"] == made["id"]).unwrap();
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!((&made[field], &item[field]), (value, value), "{field}");
    }

    let secret = made["secret"].as_str().unwrap();
    let path = format!("/api/v1/keys/{id}");
    let changed = user.send("PATCH", &path, &[], Some(json!({"events_per_sec": null, "max_operations": 7}))).await;
    assert_eq!(changed.status, 200, "{:?}", changed.body);
    let changed = changed.json();
    assert_eq!((&changed["events_per_sec"], &changed["max_operations"]), (&json!(null), &json!(7)));
    assert_eq!((&changed["max_trace_events"], &changed["services"]), (&json!(1000), &json!(["basket", "cart"])));
    assert!(changed.get("secret").is_none());
    let grant = house.access.ingest(secret).await.unwrap();
    assert_eq!((grant.limits.events_per_sec, grant.limits.max_operations, grant.services.unwrap().len()), (None, 7, 2));

    let wrong = [
        (json!({"services": vec!["s"; 65]}), "services", json!(64)),
        (json!({"services": ["s".repeat(256)]}), "services", json!(255)),
        (json!({"services": ["two\nlines"]}), "services", json!(255)),
        (json!({"cidrs": vec!["10.0.0.0/8"; 65]}), "cidrs", json!(64)),
        (json!({"cidrs": ["10.0.0.0/33"]}), "cidrs", json!(null)),
        (json!({"events_per_sec": 0}), "events_per_sec", json!(100_000_000)),
        (json!({"max_operations": 100_001}), "max_operations", json!(100_000)),
        (json!({"on_other_service": "ignore"}), "on_other_service", json!(null)),
        (json!({"services": []}), "on_other_service", json!(null)),
        (json!({"event_per_sec": 1}), "event_per_sec", json!(null)),
    ];
    for (change, field, limit) in wrong {
        let problem = user.send("PATCH", &path, &[], Some(change.clone())).await.problem(400, field);
        assert_eq!(problem.get("limit").unwrap_or(&json!(null)), &limit, "{change}");
    }
    user.post("/api/v1/keys", json!({"name": "x", "bytes_per_sec": 0})).await.problem(400, "bytes_per_sec");
    assert_eq!(house.access.ingest(secret).await.unwrap().limits, grant.limits, "what is wrong changes nothing");
    assert_eq!(user.delete(&path).await.status, 204);
    user.send("PATCH", &path, &[], Some(json!({"max_operations": 1}))).await.problem(404, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_login_everybody_on_this_machine_may_ask_and_nobody_else() {
    let house = House::with(Auth::None(TenantId::default_tenant())).await;
    let anybody = house.stranger();
    let session = anybody.get("/api/v1/session").await.json();
    assert_eq!((&session["auth"], &session["user"]), (&json!("none"), &json!("anonymous")));
    assert_eq!(anybody.get("/api/v1/alerts").await.status, 200);
    // a site that points its own name at this machine
    anybody.send("GET", "/api/v1/alerts", &[("host", "evil.example")], None).await.problem(403, "");
    anybody.post("/api/v1/session", json!({"token": "x"})).await.problem(409, "");
}
