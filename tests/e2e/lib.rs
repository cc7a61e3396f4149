//! What end-to-end tests need: the real binary on ports of its own, its API, and waiting for facts.

pub mod dice;
pub mod held;
pub mod receiver;
pub mod script;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::blocking::{Client, ClientBuilder, Response};
use serde_json::Value;

/// How long anything may take that is not measured: generous, because it is only reached when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at a fact.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long something may take in this build: figures are promised for release builds and measured by `make bench`; a
/// development build on a busy machine gets six times as long, so that tests fail for faults and not for weather.
pub fn at_most(released: Duration) -> Duration {
    released * if is_released() { 1 } else { 6 }
}

/// Whether the binary under test is a released one.
pub fn is_released() -> bool {
    binary().parent().is_some_and(|folder| folder.ends_with("release"))
}

/// The Parquet files below a folder; none where there is no such folder.
///
/// # Errors
/// The disk's.
pub fn parquet_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !dir.is_dir() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(parquet_files(&path)?),
            false => found.extend(Some(path).filter(|path| path.extension().is_some_and(|end| end == "parquet"))),
        }
    }
    Ok(found)
}

/// Nanoseconds since 1970, for events that happen now.
pub fn unix_nanos() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}

/// A blocking HTTP client. TLS has to be there for a client to be made, also where it is not used.
pub fn client() -> ClientBuilder {
    // an error says that a provider is installed already
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(PATIENCE)
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

/// The binary under test: of the same profile as this program, built by `cargo test --workspace`.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("a program has a path");
    // test binaries lie in target/<profile>/deps, the bench program in target/<profile>
    let mut folders = own.ancestors().skip(1).take(2).map(|folder| folder.join("tracehound"));
    let binary = folders.find(|path| path.is_file()).unwrap_or_else(|| own.with_file_name("tracehound"));
    assert!(binary.is_file(), "{} is missing: run `cargo test --workspace --no-run` first", binary.display());
    binary
}

/// Looks until the fact is there.
///
/// # Errors
/// The last reason why it is not, after [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > deadline => return Err(error.context(format!("waited in vain for {what}"))),
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// A running server with a data directory that outlives it.
pub struct Server {
    process: Child,
    /// Base of API and UI, without a slash at the end.
    pub base: String,
    /// Where a browser logs in; the base itself with `--no-auth`.
    pub open: String,
    /// Base of OTLP/gRPC.
    pub grpc: String,
    /// Base of OTLP/HTTP.
    pub http: String,
    /// The ingest key, at the first start with authentication.
    pub key: Option<String>,
    /// From exec to `/readyz`.
    pub ready_after: Duration,
    client: Client,
}

impl Server {
    /// Starts on free ports without authentication; waits until it is ready.
    ///
    /// # Errors
    /// When the process ends early or never becomes ready; the message has what it said.
    pub fn start(data_dir: &Path, flags: &[&str]) -> Result<Self> {
        let mut all = vec!["--no-auth"];
        all.extend(flags);
        Self::start_bare(data_dir, &all)
    }

    /// Starts on free ports with just these flags.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_bare(data_dir: &Path, flags: &[&str]) -> Result<Self> {
        let mut command = serve_command(data_dir);
        command.args(flags);
        Self::start_command(command)
    }

    /// Starts on these ports with just these flags, to come back where clients look for it.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_on(data_dir: &Path, ports: Ports, flags: &[&str]) -> Result<Self> {
        let mut command = serve_command_on(data_dir, ports);
        command.args(flags);
        Self::start_command(command)
    }

    /// Starts as [`Server::start`] with every log line, into a file.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_talking(data_dir: &Path, flags: &[&str], stderr: &Path) -> Result<Self> {
        let mut command = serve_command(data_dir);
        command.arg("--no-auth").env("TRACEHOUND__LOG__FILTER", "debug").stderr(File::create(stderr)?);
        command.args(flags);
        Self::start_command(command)
    }

    /// Starts what a command says, made by [`serve_command`] or around one; waits until it is ready.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_command(mut command: Command) -> Result<Self> {
        let client = client().build()?;
        let has_key = !command.get_args().any(|flag| flag == "--no-auth");
        let started = Instant::now();
        let mut process = command.stdout(Stdio::piped()).spawn().context("binary does not start")?;
        let lines = read_lines(process.stdout.take().context("has a stdout")?);
        let mut server = Self {
            process,
            base: String::new(),
            open: String::new(),
            grpc: String::new(),
            http: String::new(),
            key: None,
            ready_after: Duration::ZERO,
            client,
        };
        server.read_greeting(&lines, has_key)?;
        wait_for("readiness", || server.get("/readyz").map(drop))?;
        server.ready_after = started.elapsed();
        Ok(server)
    }

    fn read_greeting(&mut self, lines: &mpsc::Receiver<String>, has_key: bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.http.is_empty() || self.base.is_empty() || self.grpc.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = lines.recv_timeout(left).map_err(|_| anyhow!("the server did not say where it listens"))?;
            self.read_greeting_line(&line);
        }
        // the key comes right after the addresses, or not at all
        while has_key && self.key.is_none() {
            let Ok(line) = lines.recv_timeout(Duration::from_millis(500)) else { break };
            self.read_greeting_line(&line);
        }
        Ok(())
    }

    fn read_greeting_line(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("open"), Some(url), _) => {
                self.open = url.to_owned();
                self.base = url.split("/login").next().unwrap_or(url).trim_end_matches('/').to_owned();
            }
            (Some("OTLP/gRPC"), Some(url), _) => self.grpc = url.to_owned(),
            (Some("OTLP/HTTP"), Some(url), _) => self.http = url.to_owned(),
            (Some("ingest"), Some("key"), Some(key)) => self.key = Some(key.to_owned()),
            _ => {}
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// GET; anything but 2xx is an error with the body.
    ///
    /// # Errors
    /// Transport errors and other statuses.
    pub fn get(&self, path: &str) -> Result<Value> {
        let response = self.client.get(format!("{}{path}", self.base)).send()?;
        let status = response.status();
        let text = response.text()?;
        ensure!(status.is_success(), "GET {path}: {status}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The whole answer to a request with a JSON body, whatever its status.
    ///
    /// # Errors
    /// Transport errors.
    pub fn send(&self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Result<Response> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Ok(request.send()?)
    }

    /// Sends OTLP protobuf over HTTP; the status says whether it was acknowledged.
    ///
    /// # Errors
    /// Transport errors: no acknowledgement came.
    pub fn export(&self, signal: &str, body: Vec<u8>) -> Result<Response> {
        let request = self.client.post(format!("{}/v1/{signal}", self.http));
        Ok(request.header("content-type", "application/x-protobuf").body(body).send()?)
    }

    /// All pages of a list.
    ///
    /// # Errors
    /// As [`Server::get`].
    pub fn items(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                Some(cursor) => self.get(&format!("{path}{join}cursor={cursor}"))?,
                None => self.get(path)?,
            };
            items.extend(page["items"].as_array().context("a list has items")?.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }

    /// Sum of a metric over its labels; 0 while there is none.
    ///
    /// # Errors
    /// As [`Server::get`].
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics")?;
        let lines = text.as_str().context("metrics are text")?.lines();
        let values = lines.filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Ok(values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When the process is gone already.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Waits for the end of a process that was told to end in another way.
    ///
    /// # Errors
    /// When it does not end within [`PATIENCE`].
    pub fn wait(mut self) -> Result<ExitStatus> {
        wait_for("the end of the server", || self.process.try_wait()?.context("the server runs"))
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// When it does not end within [`PATIENCE`].
    pub fn stop(self) -> Result<ExitStatus> {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        ensure!(sent.success(), "SIGTERM could not be sent");
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // already gone after `kill` and `stop`
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The ports of a server; 0 is any free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// API and UI.
    pub api: u16,
    /// OTLP/gRPC.
    pub grpc: u16,
    /// OTLP/HTTP.
    pub http: u16,
}

/// `tracehound serve` on free ports; standard error goes to the test's.
pub fn serve_command(data_dir: &Path) -> Command {
    serve_command_on(data_dir, Ports::default())
}

/// `tracehound serve` on these ports; standard error goes to the test's.
pub fn serve_command_on(data_dir: &Path, ports: Ports) -> Command {
    let mut command = Command::new(binary());
    command.arg("serve").arg("--data-dir").arg(data_dir);
    for (flag, port) in [("--listen", ports.api), ("--otlp-grpc", ports.grpc), ("--otlp-http", ports.http)] {
        command.args([flag, &format!("127.0.0.1:{port}")]);
    }
    command.env("TRACEHOUND__LOG__FILTER", "warn");
    command
}

/// Lines of a pipe, read by a thread so that waiting for one can have a deadline.
pub fn read_lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                // keep the pipe open: the writer must not die of our lack of interest
                continue;
            }
        }
    });
    receiver
}
