//! The JSON of reports for those who make them without a server: the command line says what the API says.

use model::{TimeRange, UnixNanos};
use query::{BacktestJob, BacktestOutcome, BacktestState, Sampled, Watch};
use rules::RuleSet;
use rules::explain::Explanation;
use serde::Serialize;
use serde_json::Value;

use crate::wire::backtest::BacktestResult;
use crate::wire::insight::{Coverage, ExplainAnswer};

/// What a backtest found, as `GET /api/v1/rules/backtests/{id}/result` tells it.
pub fn backtest(files: Vec<String>, range: TimeRange, outcome: BacktestOutcome) -> Value {
    let watch = Watch::at(outcome.progress);
    let outcome = std::sync::Arc::new(outcome);
    let job = BacktestJob {
        id: String::new(),
        actor: String::new(),
        files,
        range,
        created: UnixNanos::default(),
        state: BacktestState::Ended(std::sync::Arc::clone(&outcome)),
        watch,
    };
    json(&BacktestResult::of(&job, &outcome))
}

/// An explanation, as `POST /api/v1/rules/explain` tells it.
pub fn explanation(found: Explanation) -> Value {
    json(&ExplainAnswer::of(found, None))
}

/// A coverage, as `GET /api/v1/rules/coverage` tells it.
pub fn coverage(set: &RuleSet, sampled: &Sampled, range: TimeRange, silent_services: Vec<String>) -> Value {
    json(&Coverage::of(set, sampled, range, silent_services))
}

fn json(report: &impl Serialize) -> Value {
    serde_json::to_value(report).unwrap_or_default()
}
