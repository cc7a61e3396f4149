//! Backtests and what they found.

use model::EventId;
use query::{BacktestJob, BacktestOutcome, BacktestState, ReplayProgress};
use rules::backtest::{Diff as FoundDiff, RuleReport, Sample as FoundSample};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;

use super::value::Attributes;

/// Rules to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacktestRequest {
    /// Files to try, at most 100. What they refer to in other files in force is used as it is.
    pub files: Vec<TriedFile>,
    /// First moment that counts, RFC 3339 or integer nanoseconds since 1970.
    pub start: String,
    /// First moment outside; now by default.
    pub end: Option<String>,
    /// Run the version in force as well and compare; true by default.
    #[serde(default = "yes")]
    pub compare: bool,
}

fn yes() -> bool {
    true
}

/// A file to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TriedFile {
    /// Its name; that of a file in force is tried in its place.
    pub file: String,
    /// YAML, at most 512 KiB; absent for the file as it is in force.
    pub text: Option<String>,
}

/// A backtest that was taken in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestStarted {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
}

/// A backtest.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Backtest {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// `waiting`, `running`, `ended` or `failed`.
    pub state: &'static str,
    /// Why it ended: `whole`, `cancelled`, `event_limit` or `time_limit`; why it failed, in words.
    pub reason: Option<String>,
    /// Who asked for it.
    pub actor: String,
    /// The files that are tried.
    pub files: Vec<String>,
    /// First moment that counts, RFC 3339.
    pub start_time: String,
    /// First moment outside, RFC 3339.
    pub end_time: String,
    /// When it was asked for, RFC 3339.
    pub created_time: String,
    /// How far it is.
    pub progress: Progress,
}

/// How far a backtest is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// Files with events of the range, and of the history that rules learn from.
    pub files: u64,
    /// Those that lie behind.
    pub files_done: u64,
    /// Events that may lie in the range.
    pub events: u64,
    /// Events read, those of the history that rules learn from among them.
    pub events_done: u64,
    /// Everything before was judged, RFC 3339; null before it begins.
    pub at_time: Option<String>,
}

impl From<ReplayProgress> for Progress {
    fn from(progress: ReplayProgress) -> Self {
        let ReplayProgress { files, files_done, rows, rows_done, at } = progress;
        let has_begun = progress != ReplayProgress::default();
        let at_time = has_begun.then(|| at.to_string());
        Self { files, files_done, events: rows, events_done: rows_done, at_time }
    }
}

impl From<&BacktestJob> for Backtest {
    fn from(job: &BacktestJob) -> Self {
        let (state, reason) = match &job.state {
            BacktestState::Waiting => ("waiting", None),
            BacktestState::Running => ("running", None),
            BacktestState::Ended(outcome) => ("ended", Some(outcome.ended.as_str().to_owned())),
            BacktestState::Failed(reason) => ("failed", Some(reason.clone())),
        };
        Self {
            id: job.id.clone(),
            state,
            reason,
            actor: job.actor.clone(),
            files: job.files.clone(),
            start_time: job.range.start.to_string(),
            end_time: job.range.end.to_string(),
            created_time: job.created.to_string(),
            progress: job.watch.progress().into(),
        }
    }
}

/// What a backtest found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestResult {
    /// The backtest.
    #[serde(flatten)]
    pub backtest: Backtest,
    /// The rules that the files decide, those with the most alerts first.
    pub rules: Vec<BacktestRule>,
    /// Files of stored events that are damaged or gone: what is in them was not judged.
    pub missing_files: Vec<String>,
}

/// What a backtest found of one rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestRule {
    /// Sigma id or name.
    pub id: String,
    /// Title.
    pub title: String,
    /// Level.
    pub level: String,
    /// Whether it is among what was tried; false for a rule that is in force and would be gone.
    pub tried: bool,
    /// Whether a version of it is in force.
    pub deployed: bool,
    /// Alerts it would have raised, repeats held back.
    pub alerts: u64,
    /// Alerts that the version in force would have raised.
    pub deployed_alerts: u64,
    /// How its baseline began; null for a rule that does not learn.
    pub baseline: Option<BaselineStart>,
    /// Events that matched, or moments that fired; the time before the range that fills windows counts as well.
    pub matched: u64,
    /// Alerts held back as repeats.
    pub suppressed: u64,
    /// Events forgotten because a bound on memory was met: some alerts may be missing.
    pub evicted: u64,
    /// Matches without an alert because a batch had too many.
    pub limited: u64,
    /// Alerts by hour, hours without any left out.
    pub histogram: Vec<HourBar>,
    /// The first alerts.
    pub samples: Vec<Sample>,
    /// The two versions side by side; null when nothing was compared.
    pub diff: Option<Diff>,
}

/// How the baseline of a rule that learns what is usual began.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BaselineStart {
    /// The first moment it learned of, RFC 3339.
    pub from_time: String,
    /// It began with nothing there, as the rule does when it is put in force without `warm_start: history`, or when what it
    /// looks at is inherited: its first alerts, or their absence, come of that. Otherwise it learned from stored events
    /// before any was judged.
    pub empty: bool,
}

/// Alerts of one hour.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HourBar {
    /// When it begins, RFC 3339.
    pub start_time: String,
    /// Alerts of what was tried.
    pub alerts: u64,
    /// Alerts of the version in force.
    pub deployed: u64,
}

/// An alert with its evidence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sample {
    /// Event time, RFC 3339.
    pub time: String,
    /// Group-by fields with their values.
    #[schema(value_type = Object)]
    pub group: Attributes,
    /// What was seen, in one sentence.
    pub reason: String,
    /// The events, at most 20.
    pub events: Vec<EvidenceId>,
    /// How many more there are.
    pub events_omitted: u64,
}

/// One event that is evidence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidenceId {
    /// `span`, `log`, or `external` for an event from outside the store.
    pub kind: &'static str,
    /// Its trace.
    pub trace_id: Option<String>,
    /// Its span.
    pub span_id: Option<String>,
    /// Its log record; the name of an external event.
    pub log_id: Option<String>,
}

/// Two versions of a rule by rule, time and group of their alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Diff {
    /// Alerts that both raise.
    pub both: u64,
    /// Alerts of what was tried alone.
    pub only_new: u64,
    /// Alerts of the version in force alone.
    pub only_deployed: u64,
    /// The first of those that only what was tried raises.
    pub new_samples: Vec<Sample>,
    /// The first of those that only the version in force raises.
    pub deployed_samples: Vec<Sample>,
    /// Alerts that were counted and not compared, because there are too many.
    pub not_compared: u64,
}

impl BacktestResult {
    pub(crate) fn of(job: &BacktestJob, outcome: &BacktestOutcome) -> Self {
        Self {
            backtest: job.into(),
            rules: outcome.report.rules.iter().map(BacktestRule::from).collect(),
            missing_files: outcome.missing_files.clone(),
        }
    }
}

impl From<&RuleReport> for BacktestRule {
    fn from(rule: &RuleReport) -> Self {
        let bar = |bar: &rules::backtest::HourCount| HourBar {
            start_time: bar.start.to_string(),
            alerts: bar.alerts,
            deployed: bar.deployed,
        };
        Self {
            id: rule.info.id.clone(),
            title: rule.info.title.clone(),
            level: rule.info.level.to_string(),
            tried: rule.is_tried,
            deployed: rule.is_deployed,
            alerts: rule.alerts,
            deployed_alerts: rule.deployed_alerts,
            baseline: rule
                .baseline
                .map(|start| BaselineStart { from_time: start.from.to_string(), empty: start.is_empty }),
            matched: rule.counters.matched,
            suppressed: rule.counters.suppressed,
            evicted: rule.counters.evicted,
            limited: rule.counters.limited,
            histogram: rule.histogram.iter().map(bar).collect(),
            samples: rule.samples.iter().map(Sample::from).collect(),
            diff: rule.diff.as_ref().map(Diff::from),
        }
    }
}

impl From<&FoundDiff> for Diff {
    fn from(diff: &FoundDiff) -> Self {
        Self {
            both: diff.both,
            only_new: diff.only_new,
            only_deployed: diff.only_deployed,
            new_samples: diff.new_samples.iter().map(Sample::from).collect(),
            deployed_samples: diff.deployed_samples.iter().map(Sample::from).collect(),
            not_compared: diff.not_compared,
        }
    }
}

impl From<&FoundSample> for Sample {
    fn from(sample: &FoundSample) -> Self {
        let group: Map<_, _> = sample.group.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        Self {
            time: sample.at.to_string(),
            group,
            reason: sample.reason.clone(),
            events: sample.events.iter().map(EvidenceId::from).collect(),
            events_omitted: sample.events_omitted,
        }
    }
}

impl From<&EventId> for EvidenceId {
    fn from(event: &EventId) -> Self {
        match event {
            EventId::Span(trace, span) => {
                Self { kind: "span", trace_id: Some(trace.to_string()), span_id: Some(span.to_string()), log_id: None }
            }
            EventId::Log(log, trace) => Self {
                kind: "log",
                trace_id: trace.map(|trace| trace.to_string()),
                span_id: None,
                log_id: Some(log.to_string()),
            },
            EventId::External(name) => {
                Self { kind: "external", trace_id: None, span_id: None, log_id: Some(name.clone()) }
            }
        }
    }
}
