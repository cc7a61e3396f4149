//! The OpenTelemetry Collector with its queue on disk, through a restart of the server and a `kill -9` of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::{Server, wait_for};

use super::matrix::{self, FreePorts, Row, Tally};
use super::process::{Sender, built};

/// Traces per row that arrive at the Collector while the server is away.
const WHILE_AWAY: u64 = 20;

/// What the Collector is set to: protocol and encoding, and the compressions.
const EXPORTERS: [(&str, &[&str]); 3] = [
    ("grpc", &["none", "gzip", "zstd"]),
    ("http/protobuf", &["none", "gzip", "zstd"]),
    ("http/json", &["none", "gzip"]),
];

/// Settings with one pipeline per row: a receiver on a port of its own, and the exporter as a user would write it.
fn settings(queue: &Path, rows: &[(Row, u16)]) -> Result<String> {
    let (mut receivers, mut exporters, mut pipelines) = (String::new(), String::new(), String::new());
    for (number, (row, port)) in rows.iter().enumerate() {
        let kind = if row.protocol == "grpc" { "otlp" } else { "otlphttp" };
        let encoding = match row.protocol {
            "grpc" => "tls: {insecure: true}",
            "http/json" => "encoding: json",
            _ => "encoding: proto",
        };
        writeln!(receivers, "  otlp/{number}: {{protocols: {{grpc: {{endpoint: 127.0.0.1:{port}}}}}}}")?;
        writeln!(
            exporters,
            "  {kind}/{number}:
    endpoint: {}
    compression: {}
    {encoding}
    sending_queue: {{storage: file_storage}}
    retry_on_failure: {{initial_interval: 1s, max_interval: 5s, max_elapsed_time: 0}}",
            row.endpoint, row.compression
        )?;
        for signal in ["traces", "logs"] {
            writeln!(pipelines, "    {signal}/{number}: {{receivers: [otlp/{number}], exporters: [{kind}/{number}]}}")?;
        }
    }
    Ok(format!(
        "extensions:
  file_storage: {{directory: {}}}
receivers:
{receivers}exporters:
{exporters}service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  extensions: [file_storage]
  pipelines:
{pipelines}",
        queue.display()
    ))
}

/// A running Collector.
struct Collector {
    process: Child,
}

impl Collector {
    /// Starts it, and waits until it listens on every port.
    fn start(config: &Path, rows: &[(Row, u16)]) -> Result<Self> {
        let mut command = Command::new(built("go/collector"));
        command.arg("--config").arg(config);
        let process = command.stdout(Stdio::null()).spawn();
        let collector = Self { process: process.context("the Collector does not start: run tests/e2e/setup.sh")? };
        for (_, port) in rows {
            wait_for("the Collector", || Ok(std::net::TcpStream::connect(("127.0.0.1", *port)).map(drop)?))?;
        }
        Ok(collector)
    }
}

impl Drop for Collector {
    /// `kill -9`: what it had accepted is in its queue on disk.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Rows with the ports at which the Collector takes what it passes on in that way.
fn rows(ports: &mut FreePorts, server: &Server) -> Result<Vec<(Row, u16)>> {
    let mut rows = Vec::new();
    for (protocol, compressions) in EXPORTERS {
        for compression in compressions {
            let endpoint = if protocol == "grpc" { server.grpc.clone() } else { server.http.clone() };
            rows.push((Row { client: "collector", protocol, compression, endpoint }, ports.take()?));
        }
    }
    Ok(rows)
}

/// Waits until the server shows as many spans and log records as were sent.
fn wait_for_all(server: &Server, tallies: &[Tally]) -> Result<()> {
    let mut sent = BTreeMap::<&str, (u64, u64)>::new();
    for tally in tallies {
        let (spans, logs) = sent.entry(&tally.run).or_default();
        (*spans, *logs) = (*spans + tally.spans, *logs + tally.logs);
    }
    wait_for("everything that the Collector had accepted", || {
        let shown = matrix::spans_shown(server)?;
        for (run, (spans, logs)) in &sent {
            let found = shown.get(*run).copied().unwrap_or(0);
            ensure!(found >= *spans, "{run}: {found} of {spans} spans");
            let found = server.items(&format!("/api/v1/logs/search?service={run}&limit=1000"))?.len() as u64;
            ensure!(found >= *logs, "{run}: {found} of {logs} log records");
        }
        Ok(())
    })
}

#[test]
fn the_collector_loses_and_doubles_nothing_through_restarts_and_its_own_death() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, queue): (PathBuf, PathBuf) = (folder.path().join("data"), folder.path().join("queue"));
    std::fs::create_dir(&queue)?;
    let mut free = FreePorts::new();
    let ports = free.for_server()?;
    let server = Server::start_on(&data, ports, &["--no-auth"])?;
    let rows = rows(&mut free, &server)?;
    let config = folder.path().join("collector.yaml");
    std::fs::write(&config, settings(&queue, &rows)?)?;
    let collector = Collector::start(&config, &rows)?;
    let all: Vec<Row> = rows.iter().map(|(row, _)| row.clone()).collect();
    let to_collector =
        |(row, port): &(Row, u16)| matrix::order(&row.run(), "grpc", "none", &format!("http://127.0.0.1:{port}"));

    // the server restarts under a running Collector
    let sender = Sender::start("go", rows.iter().map(to_collector).collect())?;
    matrix::wait_for_more("the first spans through every exporter", &server, &all, &BTreeMap::new())?;
    ensure!(server.stop()?.success(), "the server did not stop cleanly");
    let server = Server::start_on(&data, ports, &["--no-auth"])?;
    let before = matrix::spans_shown(&server)?;
    matrix::wait_for_more("spans of every exporter after the restart", &server, &all, &before)?;
    let mut tallies = sender.finish()?;

    // the Collector accepts while the server is away, and dies before it could pass anything on
    ensure!(server.stop()?.success(), "the server did not stop cleanly");
    let mut orders: Vec<_> = rows.iter().map(to_collector).collect();
    for order in &mut orders {
        order["traces"] = WHILE_AWAY.into();
    }
    tallies.extend(Sender::start("go", orders)?.wait()?);
    drop(collector);
    let collector = Collector::start(&config, &rows)?;
    let server = Server::start_on(&data, ports, &["--no-auth"])?;
    wait_for_all(&server, &tallies)?;

    drop(collector);
    ensure!(server.stop()?.success(), "the server did not stop cleanly");
    matrix::check("Collector through two restarts and a kill -9 of its own", &data, &all, &tallies)
}
