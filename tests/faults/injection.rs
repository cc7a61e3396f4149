//! A disk that refuses one kind of call on some files of a running server, until it is mended.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::{PATIENCE, read_lines};

/// While it lives, the calls fail with EIO.
pub struct Injection(Child);

impl Injection {
    /// Has `calls`, as in `fsync,fdatasync`, fail on these files from now on. Their paths must be those the server gives.
    ///
    /// # Errors
    /// When strace does not attach.
    pub fn begin(pid: u32, calls: &str, files: &[&Path]) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:error=EIO")]);
        command.args(["-e", "signal=none", "-o", "/dev/null", "-p", &pid.to_string()]);
        files.iter().for_each(|file| {
            command.arg("-P").arg(file);
        });
        let mut injection = Self(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?);
        let said = read_lines(injection.0.stderr.take().context("has a stderr")?);
        loop {
            let line = said.recv_timeout(PATIENCE).context("strace does not attach")?;
            if line.contains("attached") {
                return Ok(injection);
            }
            // it warns of files that are not there yet
            ensure!(!line.contains("Operation not permitted"), "{line}");
        }
    }

    /// The calls succeed again.
    ///
    /// # Errors
    /// When strace does not let go.
    pub fn end(mut self) -> Result<()> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<()> {
        // asked to end, it lets go of the server first; killed, it might take it along
        ensure!(Command::new("kill").args(["-INT", &self.0.id().to_string()]).status()?.success(), "strace is gone");
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // the test has failed already
            let _ = self.let_go();
        }
    }
}
