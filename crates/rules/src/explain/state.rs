//! What an engine remembers for one rule.

use std::sync::Arc;

use model::{SpanId, TenantId, TraceId, UnixNanos};

use crate::baseline::{self, Learned};
use crate::correlate::Memory;
use crate::correlate::group::Group;
use crate::engine::{Engine, Tenant, memory_key};
use crate::kinds::Kept;
use crate::set::{CompiledBody, CompiledCorrelation, RuleSet};
use crate::trace::TracePattern;

/// What is remembered for a correlation of one tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleState {
    /// What the rule asks for, as in `at least 10`; empty when it asks for no number.
    pub asks: String,
    /// What it counts, as in `distinct values of user.id`.
    pub counts: String,
    /// Length of its window, in nanoseconds.
    pub window_nanos: i64,
    /// Everything before is settled; `None` before the first event.
    pub watermark: Option<UnixNanos>,
    /// The groups asked for, the one with the latest event first.
    pub groups: Vec<GroupState>,
    /// How many of those there are.
    pub groups_total: usize,
    /// Traces in which a span matched a step, the one with the latest first.
    pub traces: Vec<TraceState>,
    /// How many of those there are.
    pub traces_total: usize,
    /// What it has learned, for a rule that learns what is usual.
    pub learned: Option<LearnedState>,
}

/// What a rule that learns has learned of one tenant. Values are remembered as digests, so none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LearnedState {
    /// Groups it knows.
    pub groups: usize,
    /// Values it knows, over all groups; 0 for a rule that learns numbers.
    pub values: usize,
    /// First sightings that wait to be judged.
    pub waiting: usize,
    /// Stored events before the live ones are still to be learned from.
    pub lacks_history: bool,
}

/// A group in the memory of a correlation.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupState {
    /// Group-by fields with their values.
    pub group: Vec<(String, String)>,
    /// The rules it takes events from, with how many of each are remembered.
    pub events: Vec<(String, usize)>,
    /// Time of the earliest and of the latest of them.
    pub first: UnixNanos,
    /// The latest.
    pub last: UnixNanos,
    /// What is counted, in the window that ends with the latest event; `None` when there is nothing to measure.
    pub metric: Option<f64>,
    /// When it is judged next; `None` when nothing waits.
    pub deadline: Option<UnixNanos>,
}

/// A trace in the memory of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceState {
    /// Which.
    pub trace: TraceId,
    /// The steps that were taken: name, span, time.
    pub steps: Vec<(String, SpanId, UnixNanos)>,
    /// Steps not taken so far.
    pub missing: Vec<String>,
    /// When it is judged, unless more spans come.
    pub deadline: Option<UnixNanos>,
}

impl Engine {
    /// What it remembers for a rule of a tenant, at most `limit` groups and traces, of those that have all of these
    /// values; `None` when the rule does not exist or remembers nothing.
    pub fn state(&self, tenant: &TenantId, rule: &str, wanted: &[(String, String)], limit: usize) -> Option<RuleState> {
        let compiled = self.set.rules.iter().find(|known| known.info.id == rule)?;
        let CompiledBody::Correlation(correlation) = &compiled.body else { return None };
        let mut state = RuleState {
            asks: correlation.condition.bounds_text(),
            counts: (correlation.kind.what)(&correlation.condition),
            window_nanos: correlation.span_nanos,
            watermark: None,
            groups: Vec::new(),
            groups_total: 0,
            traces: Vec::new(),
            traces_total: 0,
            learned: correlation.baseline.as_ref().map(|_| LearnedState::default()),
        };
        let Some(remembered) = self.tenants.get(tenant) else { return Some(state) };
        state.watermark = Some(UnixNanos(remembered.floor)).filter(|floor| floor.0 > i64::MIN);
        let key = memory_key(compiled);
        if let Some(memory) = remembered.memories.get(&key) {
            (state.groups, state.groups_total) = groups(&self.set, correlation, memory, wanted, limit);
        }
        if let Some((_, key)) = &correlation.baseline {
            state.learned = remembered.baselines.get(key).map(learned).or(state.learned);
        }
        if let Some(pattern) = &correlation.trace {
            (state.traces, state.traces_total) = traces(remembered, &key, pattern, wanted, limit);
        }
        Some(state)
    }
}

fn learned(memory: &baseline::Memory) -> LearnedState {
    let lacks_history = memory.unread_before.is_some();
    match &memory.learned {
        Learned::Seen(seen) => LearnedState {
            groups: seen.groups.len(),
            values: seen.values.len(),
            waiting: seen.starts.len(),
            lacks_history,
        },
        Learned::Usual(usual) => LearnedState { groups: usual.groups.len(), values: 0, waiting: 0, lacks_history },
    }
}

fn groups(
    set: &RuleSet,
    correlation: &CompiledCorrelation,
    memory: &Memory,
    wanted: &[(String, String)],
    limit: usize,
) -> (Vec<GroupState>, usize) {
    let is_wanted = |group: &Group| {
        wanted.iter().all(|(name, value)| {
            let position = correlation.group_by.iter().position(|known| known == name);
            position.and_then(|at| group.values.get(at)).is_some_and(|found| found.eq_ignore_ascii_case(value))
        })
    };
    let mut found: Vec<&Group> = memory.by_recency().filter(|group| is_wanted(group)).collect();
    let total = found.len();
    found.sort_by_key(|group| (std::cmp::Reverse(group.kept.last().map(|kept| kept.at)), Arc::clone(&group.key)));
    let told = found.into_iter().take(limit).filter_map(|group| {
        let count = |(position, feed): (usize, &crate::set::Feed)| {
            let title = set.rules[feed.rule].info.title.clone();
            (title, group.kept.iter().filter(|kept| kept.rule == position).count())
        };
        let named = correlation.group_by.iter().zip(&group.values);
        Some(GroupState {
            group: named.map(|(name, value)| (name.clone(), value.to_string())).collect(),
            events: correlation.feeds.iter().enumerate().map(count).collect(),
            first: UnixNanos(group.kept.first()?.at),
            last: UnixNanos(group.kept.last()?.at),
            metric: metric(correlation, &group.kept),
            deadline: Some(UnixNanos(group.due)).filter(|due| due.0 < i64::MAX),
        })
    });
    (told.collect(), total)
}

/// What the window shows that ends with the latest event.
fn metric(correlation: &CompiledCorrelation, kept: &[Kept]) -> Option<f64> {
    let begins = kept.last()?.at.saturating_sub(correlation.span_nanos);
    let inside = &kept[kept.partition_point(|kept| kept.at < begins)..];
    let mut window = (correlation.kind.open)(&correlation.condition, correlation.feeds.len());
    inside.iter().for_each(|kept| window.enter(kept));
    window.look(inside).map(|finding| finding.metric)
}

fn traces(
    tenant: &Tenant,
    key: &crate::engine::MemoryKey,
    pattern: &TracePattern,
    wanted: &[(String, String)],
    limit: usize,
) -> (Vec<TraceState>, usize) {
    let Some(memory) = tenant.traces.patterns.get(key) else { return (Vec::new(), 0) };
    let is_wanted = |trace: &TraceId| {
        let asked = wanted.iter().find(|(name, _)| name == "trace_id");
        asked.is_none_or(|(_, value)| trace.to_string().eq_ignore_ascii_case(value))
    };
    let mut found: Vec<_> = memory.states.iter().filter(|(trace, _)| is_wanted(trace)).collect();
    let total = found.len();
    found.sort_by_key(|(trace, state)| (std::cmp::Reverse(state.marks.last().map(|mark| mark.at)), **trace));
    let told = found.into_iter().take(limit).map(|(trace, state)| {
        let name = |step: usize| pattern.steps.get(step).cloned().unwrap_or_default();
        let is_missing = |step: &usize| !state.marks.iter().any(|mark| mark.step == *step);
        TraceState {
            trace: *trace,
            steps: state.marks.iter().map(|mark| (name(mark.step), mark.span, UnixNanos(mark.at))).collect(),
            missing: (0..pattern.steps.len()).filter(is_missing).map(name).collect(),
            deadline: state.due.map(|due| UnixNanos(due.judged)),
        }
    });
    (told.collect(), total)
}
