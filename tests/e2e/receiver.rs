//! A real webhook receiver that checks signatures with the official library of another language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{PATIENCE, read_lines, script};

/// The Python receiver; ends when dropped.
pub struct Receiver {
    process: Child,
    /// Where to send webhooks.
    pub url: String,
    out: PathBuf,
}

impl Receiver {
    /// Starts it on a free port, with the secret in `folder`; the first `fail_first` requests are answered 500.
    ///
    /// # Errors
    /// When the script does not start; run `tests/e2e/setup.sh` first.
    pub fn start(folder: &Path, secret: &str, fail_first: usize) -> Result<Self> {
        let (secret_file, out) = (folder.join("secret"), folder.join("received.jsonl"));
        fs::write(&secret_file, secret)?;
        let mut process = Command::new(script::python())
            .arg(script::folder().join("receivers/python/receive.py"))
            .args(["--port", "0", "--fail-first", &fail_first.to_string()])
            .arg("--secret-file")
            .arg(&secret_file)
            .arg("--out")
            .arg(&out)
            .stdout(Stdio::piped())
            .spawn()
            .context("receiver does not start; run tests/e2e/setup.sh")?;
        let lines = read_lines(process.stdout.take().context("has a stdout")?);
        let port = lines.recv_timeout(PATIENCE).context("receiver says its port first")?;
        Ok(Self { process, url: format!("http://127.0.0.1:{}/hook", port.trim()), out })
    }

    /// The file with the secret, for `--webhook-secret-file`.
    pub fn secret_file(&self) -> PathBuf {
        self.out.with_file_name("secret")
    }

    /// Every request so far: `{verified, id, body}`.
    ///
    /// # Errors
    /// When a line is not JSON.
    pub fn received(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(&self.out).unwrap_or_default();
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
