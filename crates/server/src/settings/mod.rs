//! What a person may write: a file, environment variables, flags; read once, checked once.

mod backtest;
mod limits;
pub mod object_store;
pub mod redaction;
mod resolved;
pub mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub use limits::KeyLimits;
pub use resolved::{Resolved, SettingsError, resolve};

use crate::cli::ServeArgs;

/// Prefix of environment variables; sections and keys are joined by two underscores.
const ENV_PREFIX: &str = "TRACEHOUND__";

/// Every setting, with its unit in its name. Keys that are not here are errors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The process and its data.
    pub server: Server,
    /// The OTLP listeners.
    pub otlp: Otlp,
    /// What is taken out of requests before they are kept.
    pub redaction: redaction::Redaction,
    /// The write-ahead log.
    pub wal: Wal,
    /// Files and memory of stored events.
    pub lake: Lake,
    /// What lies on disk encrypted.
    pub encryption: Encryption,
    /// Limits of reading.
    pub query: Query,
    /// Rules and their engine.
    pub rules: Rules,
    /// Where addresses are.
    pub geo: Geo,
    /// Alerts and where they go.
    pub alerts: Alerts,
    /// Log lines of the process.
    pub log: Log,
    /// Spans of the process itself.
    pub trace: Trace,
}

/// The process and its data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Address of API and web UI.
    pub listen: SocketAddr,
    /// How people reach the web UI, for links in alerts; `http://<listen>` when absent.
    pub public_url: Option<String>,
    /// No login and no ingest key; refused unless every listener is loopback.
    pub no_auth: bool,
    /// Demo data, live demo traffic and an attack.
    pub demo: bool,
    /// How long a stop may take before tasks are cut off, 1 to 30.
    pub stop_secs: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("tracehound-data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            no_auth: false,
            demo: false,
            stop_secs: 30,
        }
    }
}

/// The OTLP listeners.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// Address of OTLP/gRPC.
    pub grpc: SocketAddr,
    /// Address of OTLP/HTTP.
    pub http: SocketAddr,
    /// Largest request after inflating, 1 KiB to 256 MiB.
    pub max_inflated_bytes: u64,
    /// Requests being worked on, all together, after inflating.
    pub max_in_flight_bytes: u64,
    /// Networks, as CIDR, of proxies whose `x-forwarded-for` or `forwarded` header names the client; at most 64.
    pub trusted_proxies: Vec<String>,
    /// Limits of ingest keys that have none of their own.
    pub limits: KeyLimits,
    /// Requests that come again.
    pub resends: Resends,
    /// Whether a listener that others can reach may do without TLS.
    pub allow_plaintext: bool,
    /// TLS of both listeners.
    pub tls: tls::Tls,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            grpc: SocketAddr::from(([127, 0, 0, 1], 4317)),
            http: SocketAddr::from(([127, 0, 0, 1], 4318)),
            max_inflated_bytes: 64 << 20,
            max_in_flight_bytes: 320 << 20,
            trusted_proxies: Vec::new(),
            limits: KeyLimits::default(),
            resends: Resends::default(),
            allow_plaintext: false,
            tls: tls::Tls::default(),
        }
    }
}

/// What is done so that a request which a client sends again, because no answer came, is stored once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resends {
    /// How long a request is remembered, 0 to 3,600; 0 stores whatever comes.
    pub window_secs: u64,
    /// Requests remembered at once, 1 to 1,000,000, of some 250 bytes each.
    pub max_requests: usize,
}

impl Default for Resends {
    fn default() -> Self {
        Self { window_secs: 600, max_requests: 65_536 }
    }
}

/// The write-ahead log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wal {
    /// Size of one segment file, up to 4 GiB; must hold the largest request.
    pub segment_bytes: u64,
    /// All segments together; past it the collector answers "come back later". At least four segments.
    pub budget_bytes: u64,
    /// Bytes that must stay free on the disk; below it the collector answers "come back later".
    pub reserve_bytes: u64,
    /// Frames waiting for an fsync, all together.
    pub queue_bytes: u64,
    /// `always`: acknowledge after fsync. `interval`: fsync every `sync_interval_ms`, and lose up to that much in a power cut.
    pub sync: Sync,
    /// Used with `sync = "interval"`, 1 to 10,000.
    pub sync_interval_ms: u64,
}

impl Default for Wal {
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
            budget_bytes: 4 << 30,
            reserve_bytes: 1 << 30,
            queue_bytes: 128 << 20,
            sync: Sync::Always,
            sync_interval_ms: 100,
        }
    }
}

/// When the log is put on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// Before each acknowledgement.
    Always,
    /// At intervals.
    Interval,
}

/// Files and memory of stored events.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lake {
    /// Events in memory that are in no file yet; past it the collector answers "come back later".
    pub memtable_bytes: u64,
    /// Events in memory are moved to files past this size...
    pub flush_bytes: u64,
    /// ...or after this time.
    pub flush_secs: u64,
    /// Events older than this are deleted, by whole hours.
    pub retention_hours: u64,
    /// Percent of one core that merging files may take; 0 turns it off.
    pub compaction_percent: u64,
    /// Where sealed files go.
    pub object_store: object_store::ObjectStore,
}

impl Default for Lake {
    fn default() -> Self {
        Self {
            memtable_bytes: 256 << 20,
            flush_bytes: 64 << 20,
            flush_secs: 10,
            retention_hours: 24 * 7,
            compaction_percent: 35,
            object_store: object_store::ObjectStore::default(),
        }
    }
}

/// What lies on disk encrypted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Encryption {
    /// File with the keys that seal the keys of tenants, readable by its owner alone; log, files and indexes are encrypted
    /// once it is set. One key a line: a name, a space, 64 hexadecimal digits; the last one is the newest.
    pub key_file: Option<PathBuf>,
}

/// Limits of reading.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Longest time of one query.
    pub timeout_secs: u64,
    /// Memory of one query.
    pub memory_bytes: u64,
    /// Queries at the same time; more wait, and too many waiting are refused.
    pub concurrent: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self { timeout_secs: 20, memory_bytes: 128 << 20, concurrent: 4 }
    }
}

/// Rules and their engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Folder of rule files; `rules` in the data directory when absent.
    pub dir: Option<PathBuf>,
    /// Batches waiting for the engine, all together; past it the engine reads from the log.
    pub queue_bytes: u64,
    /// CPU that one rule may take for an event on average, in microseconds; one that takes more is disabled, and an alert
    /// says so. 0 measures nothing.
    pub cpu_limit_micros: u64,
    /// Rules over stored events.
    pub backtest: backtest::Backtest,
}

impl Default for Rules {
    fn default() -> Self {
        Self { dir: None, queue_bytes: 64 << 20, cpu_limit_micros: 20, backtest: backtest::Backtest::default() }
    }
}

/// Where addresses are, for rules of type `geo`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Geo {
    /// MaxMind file with places, as GeoLite2-City.mmdb; read again when it is replaced. Without one, or while it is not
    /// there, such rules see events only that say their place themselves.
    pub database: Option<PathBuf>,
}

/// Alerts and where they go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// Where alerts are sent. An address written here as a number, or `localhost`, is allowed even when it is private.
    pub webhooks: Vec<String>,
    /// File with the secret that signs webhooks.
    pub webhook_secret_file: Option<PathBuf>,
    /// Private networks that webhooks may reach, as CIDR.
    pub allow_cidrs: Vec<String>,
    /// Whether webhooks may leave the machine over plain HTTP.
    pub allow_http: bool,
    /// Detections of one rule and group join one incident when at most this far apart in event time.
    pub group_secs: u64,
    /// A delivery is given up after this many attempts.
    pub max_attempts: u32,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            webhooks: Vec::new(),
            webhook_secret_file: None,
            allow_cidrs: Vec::new(),
            allow_http: false,
            group_secs: 3_600,
            max_attempts: 40,
        }
    }
}

/// Log lines of the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Which lines, as in `info` or `warn,pipeline=debug`.
    pub filter: String,
    /// One JSON object per line.
    pub json: bool,
}

impl Default for Log {
    fn default() -> Self {
        // h2 writes a line for each connection that resets its streams, and whoever may connect could fill the disk with them
        Self { filter: "info,h2=error".to_owned(), json: false }
    }
}

/// Spans of the process itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trace {
    /// Where to send them over OTLP/gRPC; absent sends none. May be this very server.
    pub endpoint: Option<String>,
    /// File with the ingest key for that endpoint.
    pub key_file: Option<PathBuf>,
    /// Share of own requests that are traced, 0.0 to 1.0.
    pub ratio: f64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { endpoint: None, key_file: None, ratio: 1.0 }
    }
}

/// Reads file, then environment, then flags; later ones win.
///
/// # Errors
/// Names the file or variable, the key, and what is wrong with it.
pub fn read(args: &ServeArgs) -> Result<Settings, SettingsError> {
    let mut figment = Figment::from(Serialized::defaults(Settings::default()));
    if let Some(file) = &args.config {
        if !file.is_file() {
            return Err(SettingsError::NoFile(file.clone()));
        }
        figment = figment.merge(Toml::file_exact(file));
    }
    figment = figment.merge(Env::prefixed(ENV_PREFIX).split("__"));
    for (key, value) in flags(args) {
        figment = figment.merge(Serialized::default(key, value));
    }
    figment.extract().map_err(|error| SettingsError::Parse(Box::new(error)))
}

/// The flags that were given, by the key they set.
fn flags(args: &ServeArgs) -> Vec<(&'static str, toml::Value)> {
    let path = |path: &Path| toml::Value::String(path.to_string_lossy().into_owned());
    let mut set = Vec::new();
    if let Some(folder) = &args.data_dir {
        set.push(("server.data_dir", path(folder)));
    }
    for (key, address) in [("server.listen", args.listen), ("otlp.grpc", args.otlp_grpc), ("otlp.http", args.otlp_http)]
    {
        set.extend(address.map(|address| (key, toml::Value::String(address.to_string()))));
    }
    if let Some(folder) = &args.rules {
        set.push(("rules.dir", path(folder)));
    }
    if !args.webhook.is_empty() {
        let urls = args.webhook.iter().cloned().map(toml::Value::String);
        set.push(("alerts.webhooks", toml::Value::Array(urls.collect())));
    }
    if let Some(file) = &args.webhook_secret_file {
        set.push(("alerts.webhook_secret_file", path(file)));
    }
    for (key, given) in [("server.demo", args.demo), ("server.no_auth", args.no_auth)] {
        if given {
            set.push((key, toml::Value::Boolean(true)));
        }
    }
    set
}

#[cfg(test)]
mod tests;
