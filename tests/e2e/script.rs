//! Senders and receivers in other languages: the real OpenTelemetry SDKs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{Server, root};

/// Folder of the scripts.
pub fn folder() -> PathBuf {
    root().join("tests/e2e")
}

/// The Python with the packages that `setup.sh` installed.
pub fn python() -> PathBuf {
    folder().join(".venv/bin/python")
}

/// Sends `traces` traces of three spans and a joined log each, with the Python SDK; what it says it sent.
///
/// # Errors
/// When the script fails; the message has what it said.
pub fn send(server: &Server, protocol: &str, traces: usize, key: Option<&str>) -> Result<Value> {
    let mut command = Command::new(python());
    command.arg(folder().join("senders/python/send.py"));
    command.args(["--endpoint-grpc", &server.grpc, "--endpoint-http", &server.http]);
    command.args(["--traces", &traces.to_string(), "--protocol", protocol]);
    if let Some(key) = key {
        command.args(["--key", key]);
    }
    let output = command.output().context("sender does not start; run tests/e2e/setup.sh")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "sender: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    let last = text.lines().last().context("sender says what it sent")?;
    Ok(serde_json::from_str(last)?)
}
