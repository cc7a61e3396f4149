//! Side by side with the OpenTelemetry Collector: OTLP in, a file out, and nothing else.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tests::{root, wait_for};

use crate::corpus::Corpus;
use crate::load::Load;
use crate::step::{self, CONNECTIONS, HEADING, LASTING, STEPS};
use crate::{Cores, pin};

/// A row of each: what the load is called, spans offered per second.
const LOADS: [(&str, Option<f64>); 2] = [("20,000 spans/s offered", Some(20_000.0)), ("as fast as answered", None)];

/// Prints the rows of both over the same requests.
pub fn run(corpus: &Corpus) -> Result<()> {
    println!("## collector\n\n{CONNECTIONS} connections, medians of {STEPS} steps of {} s;", LASTING.as_secs());
    println!(
        "each alone on core 0, load on core 1. Ours redacts, judges by the shipped rules, writes Parquet, and answers"
    );
    println!(
        "after an fsync. The Collector writes what it got to a file, in one of two formats, and never calls fsync.\n"
    );
    println!("{HEADING}");
    pin(std::process::id(), Cores::ONE_EACH.load)?;
    for (what, rate) in LOADS {
        let folder = tempfile::tempdir()?;
        let server = step::server(folder.path(), "")?;
        pin(server.pid(), Cores::ONE_EACH.server)?;
        let load = Load::new(corpus, &server.http, None)?;
        println!("| Tracehound, {what} | {}", step::measure(&load, server.pid(), step::pace(rate))?);
        drop(server);
        for format in ["proto", "json"] {
            let folder = tempfile::tempdir()?;
            let collector = Collector::start(folder.path(), format)?;
            let load = Load::new(corpus, &collector.http, None)?;
            let figures = step::measure(&load, collector.process.id(), step::pace(rate))?;
            println!("| Collector to a file of {format}, {what} | {figures}");
        }
    }
    println!();
    Ok(())
}

/// A running Collector; ends when dropped.
struct Collector {
    process: Child,
    http: String,
}

impl Collector {
    /// Starts it on the server's core, with its scheduler told that there is one.
    fn start(folder: &Path, format: &str) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let config = folder.join("collector.yaml");
        std::fs::write(&config, settings(&address.to_string(), &folder.join("spans"), format))?;
        let mut command = Command::new("taskset");
        command.args(["-c", Cores::ONE_EACH.server]).arg(root().join("tests/e2e/.build/go/collector"));
        let process = command.arg("--config").arg(&config).env("GOMAXPROCS", "1").stdout(Stdio::null()).spawn();
        let process = process.context("the Collector does not start")?;
        let collector = Self { process, http: format!("http://{address}") };
        wait_for("the Collector, built by `tests/e2e/setup.sh go`", || Ok(TcpStream::connect(address).map(drop)?))?;
        Ok(collector)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // already gone when it could not start
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Its own telemetry is off, as is everything that is not asked for here.
fn settings(address: &str, file: &Path, format: &str) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{http: {{endpoint: {address}}}}}}}
exporters:
  file: {{path: {}, format: {format}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
",
        file.display()
    )
}
