//! A client in a process of its own: it sends until its standard input ends, then says what it sent.

use std::io::Read as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{root, script, wait_for};

use super::matrix::{Row, Tally};

/// Where `setup.sh` puts what it builds.
pub fn built(name: &str) -> std::path::PathBuf {
    root().join("tests/e2e/.build").join(name)
}

/// A running client.
pub struct Sender {
    name: String,
    process: Child,
    input: Option<ChildStdin>,
}

impl Sender {
    /// Starts a client that takes its orders as a JSON list.
    pub fn start(language: &str, orders: Vec<Value>) -> Result<Self> {
        let folder = script::folder().join("senders");
        let mut command = match language {
            "python" => {
                let mut command = Command::new(script::python());
                command.arg(folder.join("python/stream.py"));
                command
            }
            "node" => {
                let mut command = Command::new("node");
                command.arg(folder.join("node/stream.mjs"));
                command
            }
            _ => Command::new(built("go/sender")),
        };
        command.arg(Value::from(orders).to_string());
        Self::spawn(language, command)
    }

    /// Starts the small Java program with the javaagent, that is set up by environment alone.
    pub fn start_java(row: &Row) -> Result<Self> {
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"]);
        command.arg(format!("-javaagent:{}", built("java/opentelemetry-javaagent.jar").display()));
        command.arg("-cp").arg(format!("{}:{}/*", built("java/classes").display(), built("java/libraries").display()));
        command.args(["e2e.Sender", &row.run()]);
        command.env("OTEL_SERVICE_NAME", row.run());
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &row.endpoint);
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", row.protocol);
        command.env("OTEL_EXPORTER_OTLP_COMPRESSION", row.compression);
        // one export with all its retries
        command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "30000");
        command.env("OTEL_METRICS_EXPORTER", "none");
        // short, so that exports are under way at every moment
        command.env("OTEL_BSP_SCHEDULE_DELAY", "200");
        command.env("OTEL_BLRP_SCHEDULE_DELAY", "200");
        Self::spawn(&row.run(), command)
    }

    fn spawn(name: &str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("{name} does not start: run tests/e2e/setup.sh"))?;
        let input = process.stdin.take();
        Ok(Self { name: name.to_owned(), process, input })
    }

    /// Tells the client to end; it flushes meanwhile.
    pub fn end_input(&mut self) {
        drop(self.input.take());
    }

    /// Tells the client to end, and waits for its last word.
    pub fn finish(mut self) -> Result<Vec<Tally>> {
        self.end_input();
        self.wait()
    }

    /// Waits for the last word of a client that ends by itself.
    pub fn wait(mut self) -> Result<Vec<Tally>> {
        let status =
            wait_for(&format!("the end of {}", self.name), || self.process.try_wait()?.context("it still runs"))?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        let mut said = String::new();
        self.process.stdout.take().context("has a stdout")?.read_to_string(&mut said)?;
        serde_json::from_str(&said).with_context(|| format!("{} said {said:?}", self.name))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // already gone after `finish`
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
