//! Settings after every check: addresses parsed, secrets read, limits enforced.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use runtime::keyring::KeyFile;
use url::{Host, Url};

use super::{Settings, Sync, backtest, limits, object_store, redaction, tls};

/// Most networks in one list.
const MAX_NETWORKS: usize = 64;

/// What is wrong with the settings. Every message names the key and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings file is not there.
    #[error("settings file {} does not exist", .0.display())]
    NoFile(PathBuf),
    /// File, environment or flags do not parse, or have a key that does not exist.
    #[error("settings: {0}")]
    Parse(Box<figment::Error>),
    /// A value is outside what is allowed.
    #[error("{key} {problem}")]
    Value {
        /// Section and key.
        key: &'static str,
        /// What is allowed, and what was given.
        problem: String,
    },
    /// The certificate files cannot be used.
    #[error(transparent)]
    Tls(#[from] collect::tls::TlsError),
}

/// Settings that can be acted upon.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// As they were written.
    pub settings: Settings,
    /// Folder of rules.
    pub rules_dir: PathBuf,
    /// Whether the folder of rules is ours to fill at first start.
    pub rules_are_ours: bool,
    /// How people reach the web UI, without a slash at the end.
    pub public_url: Url,
    /// Where alerts are sent.
    pub webhooks: Vec<Url>,
    /// What signs them; `None` sends them unsigned only when there is no webhook at all.
    pub webhook_secret: Option<String>,
    /// Private addresses that webhooks may reach.
    pub allow: Vec<IpNet>,
    /// Key for the endpoint of our own spans.
    pub trace_key: Option<String>,
    /// Proxies that may say who the client is.
    pub trusted_proxies: Arc<[IpNet]>,
    /// What is taken out of requests; `None` keeps everything.
    pub redaction: Option<redaction::Plan>,
    /// TLS of the OTLP listeners; `None` is plaintext.
    pub otlp_tls: Option<collect::tls::TlsSettings>,
    /// Where sealed files go; `None` is the local disk alone.
    pub object_store: Option<lake::ObjectStore>,
    /// Keys that seal the keys of tenants; `None` encrypts nothing.
    pub encryption: Option<KeyFile>,
}

/// Checks what parsing alone cannot.
///
/// # Errors
/// The first key that is wrong.
pub fn resolve(settings: Settings) -> Result<Resolved, SettingsError> {
    check_numbers(&settings)?;
    limits::check(&settings.otlp.limits)?;
    backtest::check(&settings.rules.backtest)?;
    check_listeners(&settings)?;
    let otlp_tls = tls::resolve(&settings)?;
    let encryption = key_file(settings.encryption.key_file.as_deref())?;
    let object_store = object_store::resolve(&settings.lake.object_store)?;
    let server = &settings.server;
    let rules_are_ours = settings.rules.dir.is_none();
    let rules_dir = settings.rules.dir.clone().unwrap_or_else(|| server.data_dir.join("rules"));
    if !rules_are_ours && !rules_dir.is_dir() {
        return wrong("rules.dir", format!("must be an existing folder, got {}", rules_dir.display()));
    }
    let public = server.public_url.clone().unwrap_or_else(|| format!("http://{}", server.listen));
    let public_url = web_url("server.public_url", public.trim_end_matches('/'))?;
    let webhooks = settings.alerts.webhooks.iter().map(|text| web_url("alerts.webhooks", text));
    let webhooks = webhooks.collect::<Result<Vec<_>, _>>()?;
    let secret_file = settings.alerts.webhook_secret_file.as_deref();
    let webhook_secret = secret_file.map(|file| secret("alerts.webhook_secret_file", file)).transpose()?;
    let key_file = settings.trace.key_file.as_deref();
    let trace_key = key_file.map(|file| secret("trace.key_file", file)).transpose()?;
    let allow = allowed(&settings, &webhooks)?;
    let trusted_proxies = networks("otlp.trusted_proxies", &settings.otlp.trusted_proxies)?.into();
    let redaction = settings.redaction.plan()?;
    Ok(Resolved {
        rules_dir,
        rules_are_ours,
        public_url,
        webhooks,
        webhook_secret,
        allow,
        trace_key,
        trusted_proxies,
        redaction,
        otlp_tls,
        object_store,
        encryption,
        settings,
    })
}

impl Resolved {
    /// How long a stop may take.
    pub fn stop_limit(&self) -> Duration {
        Duration::from_secs(self.settings.server.stop_secs)
    }

    /// When the log is synced.
    pub fn sync(&self) -> wal::SyncMode {
        match self.settings.wal.sync {
            Sync::Always => wal::SyncMode::Always,
            Sync::Interval => wal::SyncMode::Interval(Duration::from_millis(self.settings.wal.sync_interval_ms)),
        }
    }
}

fn check_numbers(settings: &Settings) -> Result<(), SettingsError> {
    let (otlp, wal, lake, query) = (&settings.otlp, &settings.wal, &settings.lake, &settings.query);
    let memtable_most = lake::Settings::MAX_MEMTABLE_LIMIT_BYTES;
    let ranges: [(&'static str, u64, u64, u64); 17] = [
        ("server.stop_secs", settings.server.stop_secs, 1, 30),
        ("otlp.max_inflated_bytes", otlp.max_inflated_bytes, 1 << 10, 256 << 20),
        ("otlp.max_in_flight_bytes", otlp.max_in_flight_bytes, otlp.max_inflated_bytes, 16 << 30),
        ("otlp.resends.window_secs", otlp.resends.window_secs, 0, 3_600),
        ("otlp.resends.max_requests", otlp.resends.max_requests as u64, 1, 1_000_000),
        ("wal.segment_bytes", wal.segment_bytes, otlp.max_inflated_bytes.saturating_add(4096), 4 << 30),
        ("wal.budget_bytes", wal.budget_bytes, wal.segment_bytes.saturating_mul(4), 1 << 44),
        ("wal.reserve_bytes", wal.reserve_bytes, 0, 1 << 44),
        ("wal.queue_bytes", wal.queue_bytes, otlp.max_inflated_bytes, 16 << 30),
        ("wal.sync_interval_ms", wal.sync_interval_ms, 1, 10_000),
        ("lake.memtable_bytes", lake.memtable_bytes, lake.flush_bytes, memtable_most),
        ("lake.flush_bytes", lake.flush_bytes, 1 << 20, 4 << 30),
        ("lake.flush_secs", lake.flush_secs, 1, 300),
        ("lake.retention_hours", lake.retention_hours, 1, 24 * 3_650),
        ("lake.compaction_percent", lake.compaction_percent, 0, 100),
        ("query.timeout_secs", query.timeout_secs, 1, 600),
        ("query.memory_bytes", query.memory_bytes, 16 << 20, 64 << 30),
    ];
    for (key, value, least, most) in ranges {
        if value < least || value > most {
            return wrong(key, format!("must be {least} to {most}, got {value}"));
        }
    }
    if !(1..=256).contains(&query.concurrent) {
        return wrong("query.concurrent", format!("must be 1 to 256, got {}", query.concurrent));
    }
    if !(1..=100).contains(&settings.alerts.max_attempts) {
        return wrong("alerts.max_attempts", format!("must be 1 to 100, got {}", settings.alerts.max_attempts));
    }
    if !(1..=7 * 86_400).contains(&settings.alerts.group_secs) {
        return wrong("alerts.group_secs", format!("must be 1 to 604800, got {}", settings.alerts.group_secs));
    }
    if !(0.0..=1.0).contains(&settings.trace.ratio) {
        return wrong("trace.ratio", format!("must be 0.0 to 1.0, got {}", settings.trace.ratio));
    }
    Ok(())
}

fn check_listeners(settings: &Settings) -> Result<(), SettingsError> {
    let listeners = [
        ("server.listen", settings.server.listen),
        ("otlp.grpc", settings.otlp.grpc),
        ("otlp.http", settings.otlp.http),
    ];
    if !settings.server.no_auth {
        return Ok(());
    }
    for (key, address) in listeners {
        if !address.ip().is_loopback() {
            return wrong(key, format!("must be a loopback address with --no-auth, got {address}"));
        }
    }
    Ok(())
}

/// CIDRs that were written down, and the very addresses that webhook URLs were written with.
fn allowed(settings: &Settings, webhooks: &[Url]) -> Result<Vec<IpNet>, SettingsError> {
    let mut allow = networks("alerts.allow_cidrs", &settings.alerts.allow_cidrs)?;
    for url in webhooks {
        match url.host() {
            Some(Host::Ipv4(address)) => allow.push(IpNet::from(std::net::IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => allow.push(IpNet::from(std::net::IpAddr::V6(address))),
            Some(Host::Domain("localhost")) => {
                allow.push(IpNet::from(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)));
                allow.push(IpNet::from(std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)));
            }
            _ => {}
        }
    }
    Ok(allow)
}

fn networks(key: &'static str, texts: &[String]) -> Result<Vec<IpNet>, SettingsError> {
    if texts.len() > MAX_NETWORKS {
        return wrong(key, format!("must hold at most {MAX_NETWORKS} CIDRs, got {}", texts.len()));
    }
    let parse = |text: &String| match text.parse() {
        Ok(net) => Ok(net),
        Err(_) => wrong(key, format!("must hold CIDRs like 10.1.0.0/16, got {text:?}")),
    };
    texts.iter().map(parse).collect()
}

fn web_url(key: &'static str, text: &str) -> Result<Url, SettingsError> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        // the text may hold a secret path or token: only its beginning is shown
        _ => wrong(key, format!("must be an http or https URL, got {:?}", text.chars().take(12).collect::<String>())),
    }
}

fn key_file(file: Option<&Path>) -> Result<Option<KeyFile>, SettingsError> {
    match file.map(KeyFile::read).transpose() {
        Ok(file) => Ok(file),
        Err(error) => wrong("encryption.key_file", error.to_string()),
    }
}

pub(super) fn secret(key: &'static str, file: &Path) -> Result<String, SettingsError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text.trim().to_owned(),
        Err(error) => return wrong(key, format!("cannot be read from {}: {error}", file.display())),
    };
    if text.is_empty() {
        return wrong(key, format!("is empty: {}", file.display()));
    }
    Ok(text)
}

pub(super) fn wrong<T>(key: &'static str, problem: String) -> Result<T, SettingsError> {
    Err(SettingsError::Value { key, problem })
}
