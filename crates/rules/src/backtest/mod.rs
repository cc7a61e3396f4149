//! Rules over history, beside the version that is in force: what would have been raised, when, and what would change.
//!
//! Both versions run through the very engine that runs live, with its lateness and its bounds, over the same batches in
//! order of time. Verdicts wait for the watermark, so that alerts come in order of time and a repeat is held back behind
//! the same alert whatever else is in a batch. Events before and after the range are handed in as well: what they make is not
//! counted, what they leave in windows, and what is inherited from them, is.
//!
//! A rule that learns starts as it does live: from stored events before those, when it says `warm_start: history`, and
//! with nothing when it does not, which the report says.

mod alert;
mod history;
mod report;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{EventBatch, TenantId, TimeRange, UnixNanos};

use crate::engine::{Engine, Settings};
use crate::geo::Places;
use crate::inherited::REACH_NANOS;
use crate::policy;
use crate::related::Related;
use crate::set::{CompiledBody, RuleSet};
pub use history::History;
pub use report::{BacktestReport, BaselineStart, Diff, HourCount, RuleReport, Sample};
use tally::Tally;

/// Windows that began longer than this before the range are not filled from before it.
const LEAD_IN_NANOS: i64 = 86_400 * 1_000_000_000;
/// The time of a bar of the histogram.
pub const BAR_NANOS: i64 = 3_600 * 1_000_000_000;

/// What a backtest is made with.
#[derive(Debug, Clone)]
pub struct BacktestAsk {
    /// Whose events.
    pub tenant: TenantId,
    /// Alerts of this time count.
    pub range: TimeRange,
    /// How the engine behaves, as it does live.
    pub settings: Settings,
    /// Where addresses are.
    pub places: Arc<dyn Places>,
    /// Alerts listed per rule and kind, with their evidence.
    pub samples: usize,
    /// Alerts compared between the versions, both together; past it they are counted only.
    pub compared: usize,
}

/// One run of some rules over the events of one tenant.
#[derive(Debug)]
pub struct Backtest {
    ask: BacktestAsk,
    candidate: Engine,
    deployed: Option<Engine>,
    lead_in_nanos: i64,
    lead_out_nanos: i64,
    /// How the rules that learn began, by id.
    baselines: BTreeMap<String, BaselineStart>,
    tally: Tally,
}

impl Backtest {
    /// A run of `candidate` beside `deployed`, when there is such a version. What is counted are the rules that either
    /// has as its own.
    pub fn new(candidate: &Related, deployed: Option<&Related>, ask: BacktestAsk) -> Self {
        // in order of time nothing is gained by judging early, and repeats are told apart the same way each time
        let settings = Settings { eager: false, ..ask.settings };
        let engine = |related: &Related| {
            Engine::with_settings(Arc::clone(&related.set), settings).with_places(Arc::clone(&ask.places))
        };
        let longest = |of: fn(&RuleSet, &Settings) -> i64| {
            let deployed = deployed.map_or(0, |deployed| of(&deployed.set, &settings));
            of(&candidate.set, &settings).max(deployed)
        };
        let mut test = Self {
            candidate: engine(candidate),
            deployed: deployed.map(engine),
            lead_in_nanos: longest(lead_in_nanos).min(LEAD_IN_NANOS),
            lead_out_nanos: longest(reach_nanos),
            baselines: BTreeMap::new(),
            tally: Tally::new(candidate, deployed, &ask),
            ask,
        };
        test.begin();
        test
    }

    /// The time that events are wanted of: windows are full when the range begins, and what lies apart in time is
    /// together when it ends.
    pub fn reads(&self) -> TimeRange {
        let range = self.ask.range;
        TimeRange { start: range.start.plus(-self.lead_in_nanos), end: range.end.plus(self.lead_out_nanos) }
    }

    /// Takes the next batch.
    pub fn take(&mut self, batch: &EventBatch) {
        // history has no future: the time of reception bounds nothing here
        let now = UnixNanos(i64::MAX);
        let found = self.candidate.evaluate(batch, now);
        self.tally.take(found, alert::Side::Candidate);
        if let Some(deployed) = &mut self.deployed {
            let found = deployed.evaluate(batch, now);
            self.tally.take(found, alert::Side::Deployed);
        }
    }

    /// Judges everything before the end of the range, and tells. What waits for events after it stays open.
    pub fn finish(mut self) -> BacktestReport {
        let idle = i64::try_from(self.ask.settings.lateness.as_nanos()).unwrap_or(i64::MAX).saturating_mul(2);
        let end = self.reads().end.plus(idle);
        let found = self.candidate.tick(end);
        self.tally.take(found, alert::Side::Candidate);
        if let Some(deployed) = &mut self.deployed {
            let found = deployed.tick(end);
            self.tally.take(found, alert::Side::Deployed);
        }
        self.report()
    }

    /// What was found so far.
    pub fn report(&self) -> BacktestReport {
        let counters = |engine: &Engine| -> BTreeMap<String, crate::RuleCounters> {
            engine.counters().map(|(id, counters)| (id.to_owned(), counters)).collect()
        };
        let deployed = self.deployed.as_ref().map(counters);
        self.tally.report(&counters(&self.candidate), deployed, &self.baselines)
    }
}

/// The longest chain of windows of the rules, and what rows inherit from before it.
fn lead_in_nanos(set: &RuleSet, settings: &Settings) -> i64 {
    let mut longest = vec![0_i64; set.rules.len()];
    for number in &set.order {
        let CompiledBody::Correlation(correlation) = &set.rules[*number].body else { continue };
        let inputs = correlation.feeds.iter().map(|feed| longest[feed.rule]).max().unwrap_or(0);
        longest[*number] = inputs.saturating_add(correlation.span_nanos);
    }
    let held_back = set.rules.iter().filter_map(|rule| match (&rule.suppress, &rule.body) {
        (Some(suppress), _) => Some(suppress.for_nanos),
        (None, CompiledBody::Policy(_)) => Some(policy::SUPPRESS_NANOS),
        (None, _) => None,
    });
    longest.into_iter().chain(held_back).max().unwrap_or(0).saturating_add(reach_nanos(set, settings))
}

/// How far apart events may lie that are judged together although no window holds them: a row and the span it inherits
/// from, the two sides of a call.
fn reach_nanos(set: &RuleSet, settings: &Settings) -> i64 {
    let inherits = if set.inherited.is_some() { REACH_NANOS } else { 0 };
    let calls = if set.policies.is_empty() { 0 } else { settings.call_bounds().wait_nanos };
    inherits.max(calls)
}
