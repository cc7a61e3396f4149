//! Nobody reads or writes without a credential, and the credential names the tenant.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{Server, script, serve_command};

#[test]
fn without_a_key_nothing_is_taken_in_and_without_a_session_nothing_is_shown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start_bare(folder.path(), &[])?;
    let answer = server.export("traces", Vec::new())?;
    ensure!(answer.status() == 401, "export without a key: {}", answer.status());
    let answer = server.send(reqwest::Method::GET, "/api/v1/traces/search", None)?;
    ensure!(answer.status() == 401, "search without a session: {}", answer.status());
    ensure!(answer.headers()["content-type"] == "application/problem+json", "{:?}", answer.headers());
    Ok(())
}

#[test]
fn the_printed_link_logs_in_once_and_the_printed_key_brings_traces_in() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start_bare(folder.path(), &[])?;
    let key = server.key.clone().expect("the first start prints an ingest key");
    let sent = script::send(&server, "http", 2, Some(&key))?;
    let token = server.open.split("t=").nth(1).expect("the link has a token").to_owned();
    let browser = tests::client().cookie_store(true).build()?;
    let login = |token: &str| {
        let request =
            browser.post(format!("{}/api/v1/session", server.base)).header("content-type", "application/json");
        request.body(json!({"token": token}).to_string()).send()
    };
    ensure!(login(&token)?.status().is_success(), "the link logs in");
    let trace_id = sent["trace_ids"][0].as_str().expect("sender lists its traces");
    let trace = browser.get(format!("{}/api/v1/traces/{trace_id}", server.base)).send()?;
    ensure!(trace.status().is_success(), "the session reads: {}", trace.status());
    ensure!(login(&token)?.status() == 401, "the link logs in once only");
    Ok(())
}

#[test]
fn no_auth_is_refused_when_a_listener_is_open_to_others() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = std::process::Command::new(tests::binary());
    command.arg("serve").arg("--data-dir").arg(folder.path()).args(["--no-auth", "--otlp-http", "0.0.0.0:0"]);
    let output = command.output()?;
    ensure!(!output.status.success(), "must be refused");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(said.contains("loopback") && said.contains("0.0.0.0"), "{said}");
    Ok(())
}

#[test]
fn a_data_directory_in_use_is_refused_with_the_process_that_has_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let output = serve_command(folder.path()).arg("--no-auth").output()?;
    ensure!(!output.status.success(), "the second process must not start");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(said.contains(&format!("in use by process {}", server.pid())), "{said}");
    Ok(())
}
