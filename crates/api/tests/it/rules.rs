//! Rule files through the API: what is saved rules, what is invalid does not.

use serde_json::{Value, json};

use crate::house::{House, RULE};

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_listed_and_read_by_file_or_id() {
    let house = House::new().await;
    let user = house.user().await;
    let listed = user.get("/api/v1/rules").await.json();
    let [rule] = listed["items"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(
        (&rule["title"], &rule["level"], &rule["status"], &rule["file"]),
        (&json!("Failed logins"), &json!("high"), &json!("active"), &json!("login.yml"))
    );
    assert_eq!(
        (&rule["kind"], &rule["matches"], &rule["tags"]),
        (&json!("event"), &json!(0), &json!(["attack.t1110"]))
    );
    let id = rule["id"].as_str().unwrap();

    let by_file = user.get("/api/v1/rules/login.yml").await;
    let by_id = user.get(&format!("/api/v1/rules/{id}")).await;
    assert_eq!(by_file.json(), by_id.json());
    assert_eq!(by_file.json()["text"], RULE);
    assert_eq!(by_file.header("etag"), format!("\"{}\"", by_file.json()["etag"].as_str().unwrap()));
    user.get("/api/v1/rules/none.yml").await.problem(404, "file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_validated_without_being_saved() {
    let house = House::new().await;
    let user = house.user().await;
    let good = user.post("/api/v1/rules/validate", json!({"text": RULE.replace("11111111", "99999999")})).await.json();
    assert_eq!(
        (&good["valid"], good["rules"].as_array().map(Vec::len), &good["diagnostics"]),
        (&json!(true), Some(1), &json!([])),
        "{good}"
    );
    let bad = user
        .post(
            "/api/v1/rules/validate",
            json!({"file": "login.yml", "text": RULE.replace("condition: selection", "condition: selectoin")}),
        )
        .await
        .json();
    assert_eq!((&bad["valid"], &bad["rules"]), (&json!(false), &json!([])));
    let fault = &bad["diagnostics"][0];
    assert_eq!(fault["file"], "login.yml");
    assert!(fault["line"].as_u64() > Some(1) && fault["column"].as_u64() >= Some(1), "{fault}");
    assert!(!fault["code"].as_str().unwrap().is_empty() && !fault["message"].as_str().unwrap().is_empty());
    assert_eq!(user.get("/api/v1/rules/login.yml").await.json()["text"], RULE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_text_is_in_force_at_once_and_an_invalid_one_never() {
    let house = House::new().await;
    let user = house.user().await;
    let mut in_force = house.shelf.subscribe();
    in_force.mark_unchanged();
    let text = RULE.replace("11111111", "22222222").replace("Failed logins", "Second");
    let saved = user.put("/api/v1/rules/second.yml", &[], json!({"text": text})).await;
    assert_eq!(saved.status, 200, "{:?}", saved.body);
    assert_eq!(saved.json()["rules"][0]["title"], "Second");
    assert!(in_force.has_changed().unwrap());
    assert_eq!(std::fs::read_to_string(house.rules_dir().join("second.yml")).unwrap(), text);

    let broken = user.put("/api/v1/rules/second.yml", &[], json!({"text": "title: [\n"})).await;
    let problem = broken.problem(422, "text");
    assert!(problem["diagnostics"].as_array().is_some_and(|faults| !faults.is_empty()), "{problem}");
    assert_eq!(user.get("/api/v1/rules/second.yml").await.json()["text"], text);

    let etag = saved.header("etag").to_owned();
    let newer = text.replace("Second", "Third");
    user.put("/api/v1/rules/second.yml", &[("if-match", "\"old\"")], json!({"text": newer}))
        .await
        .problem(412, "if-match");
    let saved = user.put("/api/v1/rules/second.yml", &[("if-match", &etag)], json!({"text": newer})).await;
    assert_eq!(saved.status, 200);
    assert_eq!(user.delete("/api/v1/rules/second.yml").await.status, 204);
    user.delete("/api/v1/rules/second.yml").await.problem(404, "");
    assert!(!house.rules_dir().join("second.yml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cannot_be_written_outside_the_folder() {
    let house = House::new().await;
    let user = house.user().await;
    for name in ["..%2Fevil.yml", "%2Fetc%2Fevil.yml", "a%2F..%2F..%2Fevil.yml", "evil.sh", ".hidden.yml", "a%00.yml"] {
        user.put(&format!("/api/v1/rules/{name}"), &[], json!({"text": RULE})).await.problem(400, "file");
    }
    let inside =
        user.put("/api/v1/rules/web%2Fdeep.yml", &[], json!({"text": RULE.replace("11111111", "33333333")})).await;
    assert_eq!(inside.status, 200, "{:?}", inside.body);
    assert_eq!(user.get("/api/v1/rules/web%2Fdeep.yml").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_broken_on_disk_is_shown_with_its_faults_while_its_rules_stay() {
    let house = House::new().await;
    let user = house.user().await;
    std::fs::write(house.rules_dir().join("login.yml"), "title: x\nnonsense: [\n").unwrap();
    std::fs::write(house.rules_dir().join("new.yml"), "nonsense: 1\n").unwrap();
    house.shelf.look();
    let listed = user.get("/api/v1/rules").await.json();
    let [kept, broken] = listed["items"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&kept["title"], &kept["status"]), (&json!("Failed logins"), &json!("active")));
    assert!(!kept["diagnostics"].as_array().unwrap().is_empty());
    assert_eq!((&broken["id"], &broken["status"]), (&json!("new.yml"), &json!("invalid")));
    assert_eq!(broken["diagnostics"][0]["file"], "new.yml");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_limits_and_faults_are_named() {
    let house = House::new().await;
    let user = house.user().await;
    let large = "#".repeat(600 * 1024);
    let problem = user.put("/api/v1/rules/big.yml", &[], json!({"text": large})).await.problem(413, "text");
    assert_eq!(problem["limit"], 512 * 1024);
    let huge = "#".repeat(4 << 20);
    user.put("/api/v1/rules/big.yml", &[], json!({"text": huge})).await.problem(413, "body");
    user.put("/api/v1/rules/big.yml", &[], json!({"txt": "x"})).await.problem(400, "txt");
    user.put("/api/v1/rules/big.yml", &[], Value::Null).await.problem(400, "body");
    let broken = user.send_text("PUT", "/api/v1/rules/big.yml", &[], Some("{".to_owned())).await;
    broken.problem(400, "body");
    let deep = "[".repeat(100_000);
    user.send_text("POST", "/api/v1/rules/validate", &[], Some(deep)).await.problem(400, "body");
    user.put("/api/v1/rules/big.yml", &[("content-type", "text/yaml")], json!({"text": "x"}))
        .await
        .problem(400, "content-type");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_another_log_source_runs_once_a_pipeline_maps_it() {
    let house = House::new().await;
    let user = house.user().await;
    let text = "title: Whoami\nid: whoami\nlogsource: {product: windows, category: process_creation}\n\
                detection: {s: {Image|endswith: whoami.exe}, condition: s}\n";
    let check = user.post("/api/v1/rules/validate", json!({"text": text})).await.json();
    assert_eq!((&check["valid"], &check["diagnostics"]), (&json!(true), &json!([])), "{check}");
    let warning = &check["warnings"][0];
    assert_eq!((&warning["severity"], &warning["code"]), (&json!("warning"), &json!("unmapped-log-source")));
    let saved = user.put("/api/v1/rules/whoami.yml", &[], json!({"text": text})).await.json();
    assert_eq!((&saved["rules"][0]["mapped"], saved["warnings"].as_array().map(Vec::len)), (&json!(false), Some(1)));

    let pipeline = "name: hosts\ntransformations:\n- type: set_signal\n  signal: log\n  \
                    rule_conditions: [{type: logsource, product: windows}]\n";
    let path = "/api/v1/rules/pipelines%2Fhosts.yml";
    let broken = user.put(path, &[], json!({"text": pipeline.replace("set_signal", "set_signl")})).await;
    let problem = broken.problem(422, "text");
    assert_eq!(
        (&problem["diagnostics"][0]["code"], &problem["diagnostics"][0]["line"]),
        (&json!("unknown-type"), &json!(3))
    );
    assert_eq!(user.put(path, &[], json!({"text": pipeline})).await.status, 200);
    let mapped = user.get("/api/v1/rules/whoami.yml").await.json();
    assert_eq!((&mapped["rules"][0]["mapped"], &mapped["warnings"]), (&json!(true), &json!([])), "{mapped}");
    let listed = user.get("/api/v1/rules?limit=100").await.json();
    let files = listed["items"].as_array().unwrap();
    let hosts = files.iter().find(|item| item["file"] == "pipelines/hosts.yml").unwrap();
    assert_eq!(
        (&hosts["kind"], &hosts["title"], &hosts["status"]),
        (&json!("pipeline"), &json!("hosts"), &json!("active"))
    );
    assert_eq!(user.delete(path).await.status, 204);
    assert_eq!(user.get("/api/v1/rules/whoami.yml").await.json()["rules"][0]["mapped"], false);
}
