//! The command line.

mod rules;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use rules::{
    BacktestArgs, ConvertArgs, ConvertTarget, CoverageArgs, ExplainArgs, Report, RulesCommand, StoreArgs, Table,
};

/// Detects failures and attacks along a request: takes OpenTelemetry in, keeps it, judges it by Sigma rules, alerts.
#[derive(Debug, Parser)]
#[command(name = "tracehound", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: collector, store, rules, API and web UI.
    Serve(ServeArgs),
    /// Run the server on a temporary data directory with live demo traffic and an attack; same as `serve --demo --no-auth`.
    Demo(ServeArgs),
    /// Check, test, run and explain rules. Exit code 0: well; 1: there are findings; 2: wrong usage, or it cannot run.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Service-call policies: learn one from stored spans, write one for Istio or Kubernetes.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Run one SQL query over a data directory that no server is using.
    Query(QueryArgs),
    /// Look for what would keep the server from working well.
    Doctor(ServeArgs),
    /// Look at stored events, or check them, beside a running server or without one.
    #[command(subcommand)]
    Lake(LakeCommand),
    /// Tenants, without a server.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Check or print the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the version.
    Version,
}

/// Settings that have a flag; each overrides environment and file.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Settings file (TOML). Environment variables `TRACEHOUND__SECTION__KEY` override it, flags override both.
    #[arg(long, value_name = "FILE", env = "TRACEHOUND_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of API and web UI [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address of OTLP/gRPC [default: 127.0.0.1:4317].
    #[arg(long, value_name = "ADDR")]
    pub otlp_grpc: Option<SocketAddr>,
    /// Address of OTLP/HTTP [default: 127.0.0.1:4318].
    #[arg(long, value_name = "ADDR")]
    pub otlp_http: Option<SocketAddr>,
    /// Folder of rule files [default: `rules` in the data directory, filled with the shipped rules at first start].
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// Where alerts are sent; may be given several times.
    #[arg(long, value_name = "URL")]
    pub webhook: Vec<String>,
    /// File with the secret that signs webhooks: `whsec_` and base64, or any text.
    #[arg(long, value_name = "FILE")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Back-fill two hours of a demo shop, keep live traffic on, and play an attack.
    #[arg(long)]
    pub demo: bool,
    /// No login and no ingest key; refused unless every listener is loopback.
    #[arg(long)]
    pub no_auth: bool,
}

/// Service-call policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Print the policy that allows what services called in a range of time, to review. The data directory must not be in
    /// use; a running server learns through its API.
    Learn(LearnArgs),
    /// Print a policy for another enforcer; what it cannot say is told on standard error.
    #[command(group = clap::ArgGroup::new("target").required(true))]
    Export {
        /// The policy: a rule file with `service_policy`.
        #[arg(value_name = "FILE")]
        policy: PathBuf,
        /// As `AuthorizationPolicy` of `security.istio.io/v1`.
        #[arg(long, group = "target")]
        istio: bool,
        /// As `NetworkPolicy` of `networking.k8s.io/v1`.
        #[arg(long, group = "target")]
        network_policy: bool,
        /// Trust domain of the mesh, for Istio.
        #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
        trust_domain: String,
    },
}

/// What to learn from.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// First moment, RFC 3339; the beginning of what is stored by default.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// First moment outside, RFC 3339; the end of what is stored by default.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Read this many spans, the newest; of what lies before, counts are read.
    #[arg(long, value_name = "N", default_value_t = 20_000_000)]
    pub max_spans: u64,
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE", env = "TRACEHOUND_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Whose spans.
    #[arg(long, default_value = "default")]
    pub tenant: String,
}

/// How a command prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line each, for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// One SQL query.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// SELECT over the tables `spans` and `logs`.
    pub sql: String,
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE", env = "TRACEHOUND_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Whose events.
    #[arg(long, default_value = "default")]
    pub tenant: String,
    /// How to print rows.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Stored events as files.
#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// Print how many files, events and bytes there are.
    Stats(LakeArgs),
    /// Read every file and index and compare with their checksums. Exit code 1 when one is damaged.
    Verify(LakeArgs),
    /// Build the index beside every file anew from its events. Exit code 1 when one could not be.
    RebuildIndex(LakeArgs),
}

/// Tenants without a server.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Destroy the key of a tenant's events, for ever: nobody can read them afterwards, also not from copies of the files.
    Erase {
        /// Whose events.
        name: String,
        /// Settings file (TOML).
        #[arg(long, value_name = "FILE", env = "TRACEHOUND_CONFIG")]
        config: Option<PathBuf>,
        /// Where everything is kept.
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

/// Where the events are.
#[derive(Debug, Args)]
pub struct LakeArgs {
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE", env = "TRACEHOUND_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Settings without a server.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the settings are valid; exit code 1 when not.
    Check(ServeArgs),
    /// Print the settings in force as TOML, secrets redacted.
    Print(ServeArgs),
}
