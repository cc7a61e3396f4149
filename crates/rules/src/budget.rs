//! What each rule costs, and which ones cost more than they may.
//!
//! Time is measured in one batch of [`SAMPLED_EVERY`], by a stopwatch that the caller brings: without one, nothing is
//! measured and no rule is ever stopped, so a replay does not depend on the machine it runs on. What is measured of a
//! rule is its condition, its share of the regular expressions and globs it asks for, and its windows or traces.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::detection::RuleInfo;
use model::{Detection, Severity, TenantId, UnixNanos};

use crate::engine::{MemoryKey, memory_key};
use crate::set::Compiled;

/// One batch in so many is measured.
const SAMPLED_EVERY: u64 = 16;
/// Id of the rule that says that another was stopped.
pub const RULE_STOPPED: &str = "tracehound.rule_stopped";

/// Nanoseconds of CPU since some moment, never fewer than before.
#[derive(Clone)]
pub struct Stopwatch(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Stopwatch {
    /// A stopwatch that reads so.
    pub fn new(read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    fn read(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopwatch")
    }
}

/// What one rule may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// CPU for an event, in nanoseconds, on average.
    pub nanos_per_event: u64,
    /// Over how many measured events the average is taken.
    pub over_events: u64,
    /// Of a hundred events, how many its windows may forget because they take too many bytes, on average.
    pub forgotten_percent: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nanos_per_event: 20_000, over_events: 20_000, forgotten_percent: 10 }
    }
}

/// What a rule has cost in the period at hand.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    nanos: u64,
    forgotten: u64,
}

/// Measures rules and stops those that cost too much.
#[derive(Debug)]
pub(crate) struct Budget {
    stopwatch: Stopwatch,
    limits: Limits,
    costs: HashMap<usize, Cost, RandomState>,
    batches: u64,
    /// Measured events of the period at hand, and all of them.
    measured: u64,
    events: u64,
}

/// Rules that were stopped, by id and version, and why.
pub(crate) type Stopped = BTreeMap<MemoryKey, String>;

impl Budget {
    /// Nothing measured yet.
    pub fn new(stopwatch: Stopwatch, limits: Limits) -> Self {
        Self { stopwatch, limits, costs: HashMap::default(), batches: 0, measured: 0, events: 0 }
    }

    /// A meter for the next batch, if it is one that is measured.
    pub fn meter(&mut self, events: usize) -> Option<Meter> {
        let is_measured = self.batches.is_multiple_of(SAMPLED_EVERY);
        self.batches += 1;
        self.events += events as u64;
        if is_measured {
            self.measured += events as u64;
        }
        is_measured.then(|| Meter { stopwatch: self.stopwatch.clone(), nanos: HashMap::default() })
    }

    /// Notes events that the windows of a rule forgot because they take too many bytes.
    pub fn forgot(&mut self, rule: usize, events: u64) {
        if events > 0 {
            self.costs.entry(rule).or_default().forgotten += events;
        }
    }

    /// Forgets what was measured: rules have other numbers now.
    pub fn reset(&mut self) {
        (self.measured, self.events) = (0, 0);
        self.costs.clear();
    }

    /// Takes in what was measured; the rules that have used up what they may in this period, and why.
    pub fn judge(&mut self, meter: Option<Meter>) -> Vec<(usize, String)> {
        for (rule, nanos) in meter.into_iter().flat_map(|meter| meter.nanos) {
            self.costs.entry(rule).or_default().nanos += nanos;
        }
        let Limits { nanos_per_event, over_events, forgotten_percent } = self.limits;
        let mut over: Vec<(usize, String)> = Vec::new();
        for (rule, cost) in &self.costs {
            if cost.nanos > nanos_per_event.saturating_mul(over_events) {
                let spent = cost.nanos as f64 / 1e3 / self.measured.max(1) as f64;
                let allowed = nanos_per_event as f64 / 1e3;
                over.push((*rule, format!("it takes {spent:.1} us of CPU for an event, {allowed:.1} are allowed")));
            } else if cost.forgotten > over_events.saturating_mul(SAMPLED_EVERY * forgotten_percent) / 100 {
                let (forgotten, events) = (cost.forgotten, self.events);
                over.push((
                    *rule,
                    format!("its state does not fit: {forgotten} of {events} events were forgotten early"),
                ));
            }
        }
        self.costs.retain(|rule, _| over.iter().all(|(stopped, _)| stopped != rule));
        if self.measured >= over_events {
            self.reset();
        }
        over.sort();
        over
    }
}

/// Measures one batch.
#[derive(Debug)]
pub(crate) struct Meter {
    stopwatch: Stopwatch,
    nanos: HashMap<usize, u64, RandomState>,
}

impl Meter {
    /// What the stopwatch says.
    pub fn read(&self) -> u64 {
        self.stopwatch.read()
    }

    /// Charges a rule with the time since the stopwatch was read.
    pub fn charge_since(&mut self, rule: usize, started: u64) {
        self.charge(rule, self.read().saturating_sub(started));
    }

    /// Charges a rule.
    pub fn charge(&mut self, rule: usize, nanos: u64) {
        *self.nanos.entry(rule).or_default() += nanos;
    }
}

/// Whether a rule was stopped.
pub(crate) fn is_stopped(stopped: &Stopped, rule: &Compiled) -> bool {
    !stopped.is_empty() && stopped.contains_key(&memory_key(rule))
}

/// The detection that says so: one for a rule and version.
pub(crate) fn detection(tenant: &TenantId, rule: &RuleInfo, why: &str, at: i64) -> Detection {
    let info = RuleInfo {
        id: RULE_STOPPED.to_owned(),
        version: "1".to_owned(),
        title: "Rule disabled: too expensive".to_owned(),
        description: "A rule took more CPU or memory than its limits allow. It stays disabled until it is edited or enabled again; \
                      what it would have found meanwhile is not found."
            .to_owned(),
        author: "Tracehound".to_owned(),
        level: Severity::High,
        ..RuleInfo::default()
    };
    let group = vec![("rule.id".to_owned(), rule.id.clone()), ("rule.version".to_owned(), rule.version.clone())];
    Detection {
        id: Detection::derive_id(tenant, &info, &group, "stopped"),
        tenant: tenant.clone(),
        rule: Arc::new(info),
        group,
        at: UnixNanos(at),
        window_start: UnixNanos(at),
        metric: None,
        events: Vec::new(),
        events_omitted: 0,
        reason: format!("rule {:?} was disabled: {why}", rule.title),
    }
}
