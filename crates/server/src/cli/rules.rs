//! The command line of `tracehound rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Output;

/// Rules as files: by the very engine that a server runs.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Check rule files; prints file, line, column and reason of every problem. Exit code 1 when there is one.
    Check {
        /// A rule file or a folder of them.
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// How to print problems.
        #[arg(long, value_enum, default_value_t = Report::Text)]
        output: Report,
    },
    /// Run the tests inside rule files. Exit code 1 when one fails.
    Test {
        /// A rule file or a folder of them.
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// How to print outcomes.
        #[arg(long, value_enum, default_value_t = Report::Text)]
        output: Report,
    },
    /// Print `{"rule":"<id>","event":<0-based line>}` for each event that each rule on single events matches.
    Match {
        /// A rule file or a folder of them.
        #[arg(long, value_name = "PATH")]
        rules: PathBuf,
        /// Events, one JSON object per line.
        #[arg(long, value_name = "FILE")]
        events: PathBuf,
    },
    /// Run correlations over a file of events in event time; prints one JSON line per alert.
    Replay {
        /// A rule file or a folder of them.
        #[arg(long, value_name = "FILE")]
        rules: PathBuf,
        /// Events, one JSON object per line.
        #[arg(long, value_name = "FILE")]
        events: PathBuf,
        /// Field that holds the time of an event: epoch milliseconds or RFC 3339.
        #[arg(long, value_name = "FIELD", default_value = "ts")]
        time_field: String,
        /// Field that names an event in `event_ids`; the 0-based line number when not given.
        #[arg(long, value_name = "FIELD")]
        id_field: Option<String>,
    },
    /// Try rules on stored events, beside the version in force: alerts by hour, samples, what would be new and what would
    /// be gone. Exit code 1 when a rule exceeds --max-alerts or the run ended early.
    Backtest(BacktestArgs),
    /// Say which parts of a rule hold for an event, and what a correlation remembers.
    Explain(ExplainArgs),
    /// Say which rules cannot fire on the data there is, which fields they miss, and which techniques of ATT&CK are
    /// covered. Exit code 1 when a rule that raises alerts cannot fire.
    Coverage(CoverageArgs),
    /// Turn rules on single events into searches or SQL over stored events. Exit code 1 when one cannot be converted.
    Convert(ConvertArgs),
    /// Print the JSON Schema of rule files.
    Schema,
}

/// How a command for continuous integration prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// One line each, for people.
    Text,
    /// One JSON object per line.
    Json,
    /// One JUnit XML document.
    Junit,
}

/// How coverage is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Table {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// A layer of the ATT&CK Navigator, format 4.5.
    Navigator,
}

/// Where stored events are: a data directory that no server uses, or a running server.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArgs {
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE", env = "TRACEHOUND_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data directory that no server is using.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Base URL of a running server, as in http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", conflicts_with_all = ["data_dir", "tenant"])]
    pub url: Option<String>,
    /// File with the value of a session cookie; a server without login needs none.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub session_file: Option<PathBuf>,
    /// Whose events; a running server knows it from the session.
    #[arg(long)]
    pub tenant: Option<String>,
}

/// Rules over stored events.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// A rule file or a folder of them.
    #[arg(value_name = "RULES")]
    pub rules: PathBuf,
    /// First moment that counts: RFC 3339, or how long ago, as in 24h or 7d.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// First moment outside; now when not given.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Rules to compare with; those of the data directory or of the server when not given.
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    pub deployed: Option<PathBuf>,
    /// Do not run the version in force.
    #[arg(long)]
    pub no_compare: bool,
    /// Exit code 1 when a rule raises more alerts than this.
    #[arg(long, value_name = "N")]
    pub max_alerts: Option<u64>,
    /// Where the events are.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// One rule over some events.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A rule file or a folder of them.
    #[arg(value_name = "RULES")]
    pub rules: PathBuf,
    /// Id of the rule, when there are several.
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// Events, one JSON object per line; `-` is standard input.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["trace", "detection"], conflicts_with_all = ["trace", "detection"])]
    pub event: Option<PathBuf>,
    /// A stored trace, with its log records.
    #[arg(long, value_name = "ID", conflicts_with = "detection")]
    pub trace: Option<String>,
    /// An alert, whose traces are looked at.
    #[arg(long, value_name = "ID")]
    pub detection: Option<String>,
    /// Field that holds the time of an event from a file.
    #[arg(long, value_name = "FIELD", default_value = "ts")]
    pub time_field: String,
    /// Where a trace or an alert is.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Rules against data.
#[derive(Debug, Args)]
pub struct CoverageArgs {
    /// A rule file or a folder of them; those in force when a running server is asked.
    #[arg(value_name = "RULES", required_unless_present = "url", conflicts_with = "url")]
    pub rules: Option<PathBuf>,
    /// Events, one JSON object per line, instead of stored ones.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "data_dir", "from", "to"])]
    pub events: Option<PathBuf>,
    /// First moment: RFC 3339, or how long ago, as in 24h or 7d.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub from: String,
    /// First moment outside; now when not given.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Spans and log records to look at, spread over the time.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub rows: usize,
    /// Where the events are.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Table::Text)]
    pub output: Table,
}

/// Rules as searches.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// A rule file or a folder of them.
    #[arg(value_name = "RULES")]
    pub rules: PathBuf,
    /// Id of the rule; every rule on single events when not given.
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// What to make of them.
    #[arg(long, value_enum, default_value_t = ConvertTarget::Sql)]
    pub to: ConvertTarget,
    /// First moment to look at: RFC 3339, or how long ago.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// What a rule can be turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConvertTarget {
    /// SELECT over `spans` and `logs`, for `tracehound query`.
    Sql,
    /// Requests to the search of the API.
    Search,
}
