//! What becomes of each rule, for the rules page and for metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Detection;
use rules::{Engine, RuleCounters};
use runtime::metric;

/// Counts and states by rule id since the start. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    detections: BTreeMap<String, u64>,
    stopped: BTreeMap<String, String>,
    to_enable: BTreeSet<String>,
    /// Rules of which a gauge is shown: one that holds nothing any more shows zero.
    held: BTreeSet<String>,
}

impl Tally {
    /// Detections of one rule.
    pub fn of(&self, rule_id: &str) -> u64 {
        self.board().detections.get(rule_id).copied().unwrap_or(0)
    }

    /// Why a rule was disabled, if it was: it costs more than it may.
    pub fn stopped(&self, rule_id: &str) -> Option<String> {
        self.board().stopped.get(rule_id).cloned()
    }

    /// Lets a disabled rule take part again, within a second; whether it was disabled.
    pub fn enable(&self, rule_id: &str) -> bool {
        let mut board = self.board();
        let was_stopped = board.stopped.remove(rule_id).is_some();
        if was_stopped {
            board.to_enable.insert(rule_id.to_owned());
        }
        was_stopped
    }

    /// The rules that were enabled since this was asked last.
    pub(crate) fn take_enabled(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.board().to_enable)
    }

    pub(crate) fn count(&self, detections: &[Detection]) {
        let mut board = self.board();
        for detection in detections {
            metrics::counter!(metric::DETECT_DETECTIONS, "rule" => detection.rule.id.clone()).increment(1);
            *board.detections.entry(detection.rule.id.clone()).or_default() += 1;
        }
    }

    /// Shows what the engines of all tenants say of each rule.
    pub(crate) fn show<'e>(&self, engines: impl Iterator<Item = &'e Engine>) {
        let mut counters: BTreeMap<&str, RuleCounters> = BTreeMap::new();
        let mut held: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        let mut stopped = BTreeMap::new();
        for engine in engines {
            for (rule, of_tenant) in engine.counters() {
                add(counters.entry(rule).or_default(), of_tenant);
            }
            for (rule, groups, bytes) in engine.held() {
                let all = held.entry(rule).or_default();
                *all = (all.0 + groups, all.1 + bytes);
            }
            stopped.extend(engine.stopped().map(|(rule, why)| (rule.to_owned(), why.to_owned())));
        }
        for (rule, counters) in counters {
            let shown = [
                (metric::DETECT_MATCHED, counters.matched),
                (metric::DETECT_SUPPRESSED, counters.suppressed),
                (metric::DETECT_LATE, counters.late),
                (metric::DETECT_EVICTED, counters.evicted),
                (metric::DETECT_LIMITED, counters.limited),
            ];
            // a series for each of thousands of rules that never match would be noise
            for (name, count) in shown.into_iter().filter(|(_, count)| *count > 0) {
                metrics::counter!(name, "rule" => rule.to_owned()).absolute(count);
            }
        }
        let mut board = self.board();
        let shown_before = std::mem::take(&mut board.held);
        for rule in shown_before.iter().filter(|rule| !held.contains_key(rule.as_str())) {
            metrics::gauge!(metric::DETECT_STATE_GROUPS, "rule" => rule.clone()).set(0.0);
            metrics::gauge!(metric::DETECT_STATE_BYTES, "rule" => rule.clone()).set(0.0);
        }
        for (rule, (groups, bytes)) in held {
            metrics::gauge!(metric::DETECT_STATE_GROUPS, "rule" => rule.to_owned()).set(groups as f64);
            metrics::gauge!(metric::DETECT_STATE_BYTES, "rule" => rule.to_owned()).set(bytes as f64);
            board.held.insert(rule.to_owned());
        }
        metrics::gauge!(metric::DETECT_STOPPED).set(stopped.len() as f64);
        board.stopped = stopped;
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(all: &mut RuleCounters, one: RuleCounters) {
    all.matched += one.matched;
    all.detections += one.detections;
    all.suppressed += one.suppressed;
    all.late += one.late;
    all.evicted += one.evicted;
    all.limited += one.limited;
}
