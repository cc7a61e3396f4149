//! Rules follow their folder; an invalid edit never replaces a valid rule.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::{Server, wait_for};

const VALID: &str = "title: slow checkout
id: 11111111-2222-4333-8444-555555555555
logsource: {product: otel, category: span}
detection:
  slow:
    http.route: /checkout
  condition: slow
level: low
";

fn titles(rules: &[Value]) -> Vec<String> {
    rules.iter().filter_map(|rule| rule["title"].as_str().map(str::to_owned)).collect()
}

#[test]
fn edits_are_taken_over_and_invalid_ones_are_reported_with_their_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    std::fs::create_dir_all(&rules)?;
    let server = Server::start(&folder.path().join("data"), &["--rules", &rules.to_string_lossy()])?;
    ensure!(server.items("/api/v1/rules")?.is_empty(), "no rule yet");

    std::fs::write(rules.join("slow.yml"), VALID)?;
    wait_for("the new rule", || {
        ensure!(titles(&server.items("/api/v1/rules")?).contains(&"slow checkout".to_owned()), "not there");
        Ok(())
    })?;

    std::fs::write(rules.join("slow.yml"), VALID.replace("condition: slow", "condition: quick"))?;
    let rule = wait_for("the report", || {
        let rule = server.items("/api/v1/rules")?.into_iter().next().ok_or_else(|| anyhow::anyhow!("rule is gone"))?;
        ensure!(rule["diagnostics"].as_array().is_some_and(|problems| !problems.is_empty()), "no report: {rule}");
        Ok(rule)
    })?;
    let problem = &rule["diagnostics"][0];
    ensure!(problem["file"] == "slow.yml" && problem["line"] == 7, "{problem}");
    ensure!(problem["column"].as_u64().is_some_and(|column| column > 0), "{problem}");
    ensure!(rule["title"] == "slow checkout", "the valid version stays in force: {rule}");
    Ok(())
}

#[test]
fn the_api_stores_valid_rules_and_refuses_invalid_ones() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let shipped = server.items("/api/v1/rules")?.len();
    ensure!(shipped >= 4, "the shipped rules are there: {shipped}");
    let put = |text: &str| server.send(reqwest::Method::PUT, "/api/v1/rules/own.yml", Some(&json!({"text": text})));
    let answer = put(VALID)?;
    ensure!(answer.status().is_success(), "{}: {}", answer.status(), answer.text()?);
    let answer = put(&VALID.replace("level: low", "level: tiny"))?;
    let (status, problem) = (answer.status().as_u16(), answer.text()?);
    ensure!(status == 422 && problem.contains("level") && problem.contains("\"line\":8"), "{status}: {problem}");
    ensure!(server.get("/api/v1/rules/own.yml")?["text"] == VALID, "the valid one stays");
    let answer = server.send(reqwest::Method::DELETE, "/api/v1/rules/own.yml", None)?;
    ensure!(answer.status() == 204, "{}", answer.status());
    ensure!(server.items("/api/v1/rules")?.len() == shipped, "deleted");
    Ok(())
}
