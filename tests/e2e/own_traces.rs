//! The server traces itself, into itself, and that does not feed on itself.

use std::collections::BTreeSet;
use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use tests::{Ports, Server, wait_for};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[test]
fn own_requests_join_the_callers_trace_and_taking_them_in_makes_no_more() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // the server must know its own port before it starts
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = folder.path().join("tracehound.toml");
    std::fs::write(&config, format!("[trace]\nendpoint = \"http://127.0.0.1:{port}\"\n"))?;
    let ports = Ports { grpc: port, ..Ports::default() };
    let flags = ["--no-auth", "--config", &config.to_string_lossy()];
    let server = Server::start_on(&folder.path().join("data"), ports, &flags)?;

    let request = tests::client().build()?.get(format!("{}/api/v1/services", server.base));
    let answer = request.header("traceparent", format!("00-{TRACE}-{PARENT}-01")).send()?;
    ensure!(answer.status().is_success(), "{}", answer.status());

    let trace = wait_for("the request's own span", || server.get(&format!("/api/v1/traces/{TRACE}")))?;
    let span = &trace["spans"][0];
    ensure!(span["service"] == "tracehound" && span["kind"] == "server", "{span}");
    ensure!(span["parent_span_id"] == PARENT, "the caller's span is the parent: {span}");

    // the looks above were requests too, and by now some of them are stored: each is a route of the API, none is an export
    let found = server.items("/api/v1/services/tracehound/operations")?;
    let names: BTreeSet<_> = found.iter().filter_map(|one| one["name"].as_str()).collect();
    let own = names.iter().next().context("operations of the server itself")?;
    ensure!(names.iter().all(|name| name.contains("/api/v1/") || name.contains("/readyz")), "{names:?}, first {own}");
    Ok(())
}
