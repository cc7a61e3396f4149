//! `telemetrygen`: its traces and its logs are two processes, each with a number given beforehand.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::wait_for;

use super::matrix::{Row, Tally};
use super::process::built;

/// Per second and process.
const RATE: u64 = 40;
/// 25 seconds of sending, in which the restart has to lie.
const EVENTS: u64 = 25 * RATE;
const SPANS_PER_TRACE: u64 = 2;

/// All processes of the rows.
pub struct Generators {
    rows: Vec<Row>,
    processes: Vec<Child>,
}

impl Generators {
    /// Starts sending.
    pub fn start(rows: &[Row]) -> Result<Self> {
        let mut generators = Self { rows: rows.to_vec(), processes: Vec::new() };
        for row in rows {
            for (signal, count) in [("traces", EVENTS / SPANS_PER_TRACE), ("logs", EVENTS)] {
                let mut command = Command::new(built("go/telemetrygen"));
                let host = row.endpoint.trim_start_matches("http://");
                command.args([signal, &format!("--{signal}"), &count.to_string(), "--rate", &RATE.to_string()]);
                command.args(["--otlp-endpoint", host, "--otlp-insecure", "--service", &row.run()]);
                command.args(["--timeout", "30s", "--batch-size", "20"]);
                if row.protocol != "grpc" {
                    command.arg("--otlp-http");
                }
                command.env("OTEL_EXPORTER_OTLP_COMPRESSION", row.compression);
                let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
                generators.processes.push(process.context("telemetrygen does not start: run tests/e2e/setup.sh")?);
            }
        }
        Ok(generators)
    }

    /// That all still send: what comes after a restart is theirs.
    pub fn ensure_running(&mut self) -> Result<()> {
        for process in &mut self.processes {
            ensure!(process.try_wait()?.is_none(), "telemetrygen ended before the restart was over");
        }
        Ok(())
    }

    /// Waits for their end.
    pub fn finish(mut self) -> Result<Vec<Tally>> {
        for process in &mut self.processes {
            let status = wait_for("the end of telemetrygen", || process.try_wait()?.context("it still runs"))?;
            ensure!(status.success(), "telemetrygen ended with {status}");
        }
        let tally = |row: &Row| Tally { run: row.run(), spans: EVENTS, logs: EVENTS };
        Ok(self.rows.iter().map(tally).collect())
    }
}

impl Drop for Generators {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // already gone after `finish`
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
