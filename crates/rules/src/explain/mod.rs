//! Why a rule matches an event or does not, and what a correlation remembers.
//!
//! | file | what it answers |
//! |---|---|
//! | `ancestry.rs` | what an event inherits from other spans of its trace |
//! | `judgement.rs` | which parts of a condition hold for an event, and what was found where |
//! | `state.rs` | what an engine remembers for a rule: its groups, their counts and deadlines, its traces |

mod ancestry;
mod judgement;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;

use model::detection::RuleInfo;
use model::{Detection, EventBatch, TenantId, UnixNanos};

use crate::engine::{Engine, Settings};
use crate::events::Events;
use crate::offline::{self, OfflineError};
use crate::set::{CompiledBody, RuleSet};
use ancestry::Ancestry;
pub use judgement::{AtomJudgement, Judgement, Part};
pub use state::{GroupState, LearnedState, RuleState, TraceState};

/// Why a rule fired or did not, over some events.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The rule.
    pub rule: RuleInfo,
    /// Each event in order of time, with what the rule, or the rules that it builds on, make of it.
    pub events: Vec<ExplainedEvent>,
    /// Events that were judged and are not listed.
    pub events_omitted: usize,
    /// What the rule raised; nothing is held back as a repeat.
    pub detections: Vec<Detection>,
    /// What a correlation remembers after the last event; `None` for a rule on single events.
    pub state: Option<RuleState>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedEvent {
    /// Its identity, or its 0-based line.
    pub event: String,
    /// When it happened.
    pub at: UnixNanos,
    /// One for each rule on single events.
    pub judgements: Vec<Judgement>,
}

/// How much an explanation may say.
#[derive(Debug, Clone, Copy)]
pub struct ExplainLimits {
    /// Events listed.
    pub events: usize,
    /// Groups and traces listed.
    pub groups: usize,
}

impl Default for ExplainLimits {
    fn default() -> Self {
        Self { events: 100, groups: 20 }
    }
}

/// Explains stored events, which are in order of time; `None` when there is no such rule.
pub fn stored(set: &Arc<RuleSet>, rule: &str, batches: &[EventBatch], limits: ExplainLimits) -> Option<Explanation> {
    let mut story = Story::new(set, rule, limits)?;
    for batch in batches {
        if let Some(events) = Events::stored(batch) {
            story.tell(&batch.tenant, &events, &[]);
        }
    }
    Some(story.end())
}

/// Explains events that are lines of JSON; those without the time field happen at the same moment.
///
/// # Errors
/// Names the first line that is not a JSON object, or whose time cannot be read.
pub fn lines<'l>(
    set: &Arc<RuleSet>,
    rule: &str,
    lines: impl IntoIterator<Item = &'l str>,
    time_field: &str,
    limits: ExplainLimits,
) -> Result<Option<Explanation>, OfflineError> {
    let Some(mut story) = Story::new(set, rule, limits) else { return Ok(None) };
    let tenant = TenantId::default_tenant();
    offline::in_batches(lines, time_field, |events, lines| story.tell(&tenant, events, lines))?;
    Ok(Some(story.end()))
}

/// An explanation in the making.
struct Story<'s> {
    set: &'s Arc<RuleSet>,
    limits: ExplainLimits,
    /// Numbers of the rules on single events that decide the rule.
    inputs: BTreeSet<usize>,
    ancestry: Ancestry<'s>,
    tenant: TenantId,
    engine: Engine,
    explanation: Explanation,
}

impl<'s> Story<'s> {
    fn new(set: &'s Arc<RuleSet>, rule: &str, limits: ExplainLimits) -> Option<Self> {
        let number = set.rules.iter().position(|known| known.info.id == rule)?;
        let mut inputs = BTreeSet::new();
        events_of(set, number, &mut inputs);
        let settings = Settings { suppress: false, ..Settings::default() };
        let explanation = Explanation {
            rule: (*set.rules[number].info).clone(),
            events: Vec::new(),
            events_omitted: 0,
            detections: Vec::new(),
            state: None,
        };
        let engine = Engine::with_settings(Arc::clone(set), settings);
        let (tenant, ancestry) = (TenantId::default_tenant(), Ancestry::new(set));
        Some(Self { set, limits, inputs, ancestry, tenant, engine, explanation })
    }

    /// Takes events, with the lines they stand at when they come from a file.
    fn tell(&mut self, tenant: &TenantId, events: &Events<'_>, lines: &[usize]) {
        self.tenant = tenant.clone();
        let room = self.limits.events.saturating_sub(self.explanation.events.len());
        let shown = judgement::judge(self.set, &self.inputs, events, lines, room);
        self.ancestry.take(events, &self.inputs, (self.explanation.events.len(), shown.len()));
        self.explanation.events_omitted += events.len() - shown.len();
        self.explanation.events.extend(shown);
        let found = self.engine.run(tenant, events, UnixNanos(i64::MAX));
        let id = &self.explanation.rule.id;
        self.explanation.detections.extend(found.into_iter().filter(|detection| detection.rule.id == *id));
    }

    fn end(mut self) -> Explanation {
        let id = self.explanation.rule.id.clone();
        self.ancestry.tell(&mut self.explanation.events);
        self.explanation.events.sort_by_key(|event| event.at);
        self.explanation.state = self.engine.state(&self.tenant, &id, &[], self.limits.groups);
        self.explanation
    }
}

/// The rules on single events that a rule is, or builds on.
fn events_of(set: &RuleSet, number: usize, found: &mut BTreeSet<usize>) {
    match &set.rules[number].body {
        CompiledBody::Event(_) => drop(found.insert(number)),
        CompiledBody::Policy(_) => {}
        // correlations refer to rules with smaller numbers only
        CompiledBody::Correlation(correlation) => {
            let inputs: BTreeSet<usize> = correlation.feeds.iter().map(|feed| feed.rule).collect();
            inputs.into_iter().for_each(|input| events_of(set, input, found));
        }
    }
}
