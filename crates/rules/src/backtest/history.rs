//! How rules that learn begin: from stored events before those of the run, or with nothing.

use model::{EventBatch, TimeRange, UnixNanos};

use super::{Backtest, BaselineStart};
use crate::baseline::learner::Learner;

/// The baselines of both versions, being read from history.
#[derive(Debug)]
pub struct History {
    candidate: Option<Learner>,
    deployed: Option<Learner>,
}

impl History {
    /// The time it wants events of: ends of spans, times of log records.
    pub fn range(&self) -> TimeRange {
        let ranges = || self.learners().map(Learner::range);
        let start = ranges().map(|range| range.start).min().unwrap_or_default();
        TimeRange { start, end: ranges().map(|range| range.end).max().unwrap_or_default() }
    }

    /// Takes events of the time that is not settled yet, in order of time.
    pub fn take(&mut self, batch: &EventBatch) {
        self.learners_mut().for_each(|learner| learner.take(batch));
    }

    /// Every event before `floor` has been handed over.
    pub fn settle(&mut self, floor: UnixNanos) {
        self.learners_mut().for_each(|learner| learner.settle(floor));
    }

    fn learners(&self) -> impl Iterator<Item = &Learner> {
        self.candidate.iter().chain(&self.deployed)
    }

    fn learners_mut(&mut self) -> impl Iterator<Item = &mut Learner> {
        self.candidate.iter_mut().chain(&mut self.deployed)
    }
}

impl Backtest {
    /// Gets baselines ready, which know nothing of what was before the first event of the run.
    pub(super) fn begin(&mut self) {
        let start = self.reads().start;
        let tenant = &self.ask.tenant;
        for engine in [Some(&mut self.candidate), self.deployed.as_mut()].into_iter().flatten() {
            for id in engine.begin(tenant, start) {
                self.baselines.entry(id).or_insert(BaselineStart { from: start, is_empty: true });
            }
        }
    }

    /// What is to be read from history before the first event of the run; `None` when no rule wants any.
    pub fn history(&self) -> Option<History> {
        let candidate = self.candidate.learner(&self.ask.tenant);
        let deployed = self.deployed.as_ref().and_then(|engine| engine.learner(&self.ask.tenant));
        (candidate.is_some() || deployed.is_some()).then_some(History { candidate, deployed })
    }

    /// Takes over what was read from history, of which events from `from` on were handed over.
    pub fn adopt(&mut self, history: History, from: UnixNanos) {
        // what is told of a rule is told of the version that is tried
        let is_tried = |id: &str| self.candidate.rules().infos().any(|info| info.id == id);
        let deployed = history.deployed.iter().flat_map(|learner| learner.rules().map(move |id| (learner, id)));
        let tried = history.candidate.iter().flat_map(|learner| learner.rules().map(move |id| (learner, id)));
        for (learner, id) in deployed.filter(|(_, id)| !is_tried(id)).chain(tried) {
            let from = learner.range().start.max(from);
            self.baselines.insert(id.to_owned(), BaselineStart { from, is_empty: false });
        }
        history.candidate.into_iter().for_each(|learner| self.candidate.adopt(learner));
        for (engine, learner) in self.deployed.iter_mut().zip(history.deployed) {
            engine.adopt(learner);
        }
    }
}
