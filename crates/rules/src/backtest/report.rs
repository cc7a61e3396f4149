//! What a backtest tells.

use model::UnixNanos;
use model::detection::RuleInfo;

use crate::RuleCounters;

/// The outcome of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestReport {
    /// Each rule that the files decide, those with the most alerts first.
    pub rules: Vec<RuleReport>,
}

/// The outcome of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleReport {
    /// The rule as it is tried; as it is in force when it is gone from what is tried.
    pub info: RuleInfo,
    /// Whether it is among what is tried.
    pub is_tried: bool,
    /// Whether there is a version in force.
    pub is_deployed: bool,
    /// Alerts it would have raised.
    pub alerts: u64,
    /// Alerts the version in force would have raised.
    pub deployed_alerts: u64,
    /// How its baseline began, for a rule that learns.
    pub baseline: Option<BaselineStart>,
    /// What happened to it, the lead-in included.
    pub counters: RuleCounters,
    /// Alerts by hour, hours without any left out.
    pub histogram: Vec<HourCount>,
    /// The first alerts.
    pub samples: Vec<Sample>,
    /// The two versions side by side; `None` when there is no version in force.
    pub diff: Option<Diff>,
}

/// How the baseline of a rule that learns began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaselineStart {
    /// The first moment it learned of.
    pub from: UnixNanos,
    /// It began with nothing there, as the rule does when it is put in force: its first alerts, or their absence, come of
    /// that. Otherwise it learned from stored events before any was judged.
    pub is_empty: bool,
}

/// Alerts of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourCount {
    /// When it begins.
    pub start: UnixNanos,
    /// Alerts of the version that is tried.
    pub alerts: u64,
    /// Alerts of the version in force.
    pub deployed: u64,
}

/// An alert with its evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Event time.
    pub at: UnixNanos,
    /// Group-by fields with their values.
    pub group: Vec<(String, String)>,
    /// What was seen.
    pub reason: String,
    /// The events, at most so many as the engine names.
    pub events: Vec<model::EventId>,
    /// How many more there are.
    pub events_omitted: u64,
}

/// Two versions side by side, by rule, time and group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diff {
    /// Alerts that both raise.
    pub both: u64,
    /// Alerts of the version that is tried alone.
    pub only_new: u64,
    /// Alerts of the version in force alone.
    pub only_deployed: u64,
    /// The first of those, by time.
    pub new_samples: Vec<Sample>,
    /// The first of those, by time.
    pub deployed_samples: Vec<Sample>,
    /// Alerts that were counted and not compared, because there are too many.
    pub not_compared: u64,
}
