//! Limits of backtests: the section `[rules.backtest]`.

use query::BacktestLimits;
use serde::{Deserialize, Serialize};

use super::SettingsError;

/// How much rules over stored events may take.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backtest {
    /// Percent of one core that a backtest may take, 1 to 100; less while others want that core.
    pub percent: u64,
    /// Events in memory at once, 4 MiB to 4 GiB.
    pub memory_bytes: u64,
    /// Events read, 1 to 1e12; then it ends and tells what it has.
    pub max_events: u64,
    /// Longest time, 1 to 604,800; then it ends and tells what it has.
    pub timeout_secs: u64,
    /// Alerts compared between two versions of rules, 1 to 10,000,000; further ones are counted only.
    pub max_compared_alerts: usize,
    /// Backtests at the same time, 1 to 64; more wait.
    pub concurrent: usize,
    /// Backtests that wait, 1 to 1,000; more are refused.
    pub max_waiting: usize,
    /// Results kept in memory, 1 to 1,000; the oldest go first.
    pub keep_results: usize,
}

impl Default for Backtest {
    fn default() -> Self {
        let limits = BacktestLimits::default();
        Self {
            percent: 50,
            memory_bytes: limits.memory_bytes,
            max_events: limits.events,
            timeout_secs: limits.time.as_secs(),
            max_compared_alerts: limits.compared,
            concurrent: limits.concurrent,
            max_waiting: limits.waiting,
            keep_results: limits.kept,
        }
    }
}

/// Checks the ranges.
pub(super) fn check(given: &Backtest) -> Result<(), SettingsError> {
    let ranges: [(&'static str, u64, u64, u64); 8] = [
        ("rules.backtest.percent", given.percent, 1, 100),
        ("rules.backtest.memory_bytes", given.memory_bytes, 4 << 20, 4 << 30),
        ("rules.backtest.max_events", given.max_events, 1, 1_000_000_000_000),
        ("rules.backtest.timeout_secs", given.timeout_secs, 1, 7 * 86_400),
        ("rules.backtest.max_compared_alerts", given.max_compared_alerts as u64, 1, 10_000_000),
        ("rules.backtest.concurrent", given.concurrent as u64, 1, 64),
        ("rules.backtest.max_waiting", given.max_waiting as u64, 1, 1_000),
        ("rules.backtest.keep_results", given.keep_results as u64, 1, 1_000),
    ];
    for (key, value, least, most) in ranges {
        if !(least..=most).contains(&value) {
            return Err(SettingsError::Value { key, problem: format!("must be {least} to {most}, got {value}") });
        }
    }
    Ok(())
}
