//! The engine: batches in, detections out.
//!
//! Per batch it answers every distinct atom at most once, combines the answers per rule, turns matching rows into
//! detections, and hands matching rows (and firings of other correlations) to the correlations that asked for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::{Detection, EventBatch, TenantId, UnixNanos};

use crate::baseline::{self, Baselines};
use crate::budget::{self, Budget, Limits, Stopped, Stopwatch};
use crate::correlate::{Bounds, Memory};
use crate::edge;
use crate::events::Events;
use crate::geo::{NoPlaces, Places};
use crate::inherited::held::{self, Held};
use crate::inherited::saved;
use crate::mute::Mute;
use crate::pass::{Matches, Pass};
use crate::set::{Compiled, RuleSet};
use crate::trace::memory::{self, Traces};

/// How the engine behaves. The defaults are for live use.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How much later than the newest event an event may be and still count. Spans are judged by their ends.
    pub lateness: Duration,
    /// Groups one correlation remembers per tenant.
    pub groups_per_rule: usize,
    /// Events one group remembers.
    pub events_per_group: usize,
    /// Memory that the groups of one correlation may take per tenant, in bytes; beyond, groups are forgotten, the least
    /// recently seen first.
    pub state_bytes_per_rule: usize,
    /// Memory that the groups of all correlations may take together per tenant, in bytes; beyond, the correlation that
    /// takes most forgets groups, the least recently seen first.
    pub state_bytes: usize,
    /// Events named as evidence in a detection.
    pub evidence: usize,
    /// Detections one rule on single events may make of one batch; further matches are counted only.
    pub detections_per_batch: usize,
    /// Traces remembered per tenant, for the rules that look at them.
    pub traces: usize,
    /// Spans remembered of one trace.
    pub spans_per_trace: usize,
    /// Memory that the traces of one tenant may take, in bytes.
    pub trace_bytes: usize,
    /// Rows that wait, per tenant, for what they inherit from other spans of their trace.
    pub held_rows: usize,
    /// Memory that these rows may take, in bytes.
    pub held_bytes: usize,
    /// Values one `first_seen` remembers per tenant, over all groups.
    pub values_per_rule: usize,
    /// Events one `first_seen` or `deviation` holds per tenant until the watermark has passed them.
    pub waiting_per_rule: usize,
    /// Buckets one `deviation` remembers per tenant, over all groups.
    pub buckets_per_rule: usize,
    /// Spans remembered per tenant for policies, until the other side of their calls has come: about 64 bytes each.
    pub call_spans: usize,
    /// How far apart the two sides of a call may end.
    pub call_wait: Duration,
    /// Hold repeats of an alert back, for the rule's `suppress` or its timespan.
    pub suppress: bool,
    /// Judge on arrival where late events can only confirm; otherwise wait for the watermark always.
    pub eager: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lateness: Duration::from_secs(60),
            groups_per_rule: 100_000,
            events_per_group: 10_000,
            state_bytes_per_rule: 128 * 1024 * 1024,
            state_bytes: 256 * 1024 * 1024,
            evidence: 100,
            detections_per_batch: 1_000,
            traces: 100_000,
            spans_per_trace: 10_000,
            trace_bytes: 64 * 1024 * 1024,
            held_rows: 100_000,
            held_bytes: 32 * 1024 * 1024,
            values_per_rule: 100_000,
            waiting_per_rule: 500_000,
            buckets_per_rule: 1_000_000,
            call_spans: 1_000_000,
            call_wait: Duration::from_secs(60),
            suppress: true,
            eager: true,
        }
    }
}

impl Settings {
    /// For files that are read in order of time: exact, nothing held back, nothing left out.
    pub(crate) fn offline() -> Self {
        Self {
            lateness: Duration::ZERO,
            groups_per_rule: usize::MAX,
            events_per_group: usize::MAX,
            state_bytes_per_rule: usize::MAX,
            state_bytes: usize::MAX,
            evidence: usize::MAX,
            detections_per_batch: usize::MAX,
            traces: usize::MAX,
            spans_per_trace: usize::MAX,
            trace_bytes: usize::MAX,
            held_rows: usize::MAX,
            held_bytes: usize::MAX,
            values_per_rule: usize::MAX,
            waiting_per_rule: usize::MAX,
            buckets_per_rule: usize::MAX,
            call_spans: usize::MAX,
            suppress: false,
            eager: false,
            ..Self::default()
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            groups: self.groups_per_rule,
            events_per_group: self.events_per_group,
            bytes: self.state_bytes_per_rule,
            evidence: self.evidence,
            eager: self.eager,
        }
    }

    pub(crate) fn baseline_bounds(&self) -> baseline::Bounds {
        baseline::Bounds {
            groups: self.groups_per_rule,
            values: self.values_per_rule,
            waiting: self.waiting_per_rule,
            buckets: self.buckets_per_rule,
            evidence: self.evidence,
        }
    }

    pub(crate) fn call_bounds(&self) -> edge::memory::Bounds {
        let wait_nanos = i64::try_from(self.call_wait.as_nanos()).unwrap_or(i64::MAX);
        edge::memory::Bounds { spans: self.call_spans, wait_nanos }
    }

    pub(crate) fn trace_bounds(&self) -> memory::Bounds {
        memory::Bounds { traces: self.traces, spans_per_trace: self.spans_per_trace, bytes: self.trace_bytes }
    }

    pub(crate) fn held_bounds(&self) -> held::Bounds {
        held::Bounds { rows: self.held_rows, bytes: self.held_bytes }
    }
}

/// What happened to one rule since the engine was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCounters {
    /// Events that matched, or moments that fired.
    pub matched: u64,
    /// Detections handed out.
    pub detections: u64,
    /// Detections held back as repeats.
    pub suppressed: u64,
    /// Events that came later than allowed.
    pub late: u64,
    /// Events forgotten because a bound on memory was met.
    pub evicted: u64,
    /// Matches without a detection because a batch had too many, and traces of which nothing was said: their steps have
    /// too many matches to compare, they link to too many others, or their spans were sampled and the rule asks for all.
    pub limited: u64,
}

/// What the engine remembers of one tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// The newest event time seen, never after the clock.
    pub newest: i64,
    /// The watermark: moments before it are settled.
    pub floor: i64,
    /// One memory per correlation, by rule id and version, so that editing one rule leaves the others alone.
    pub memories: HashMap<MemoryKey, Memory>,
    pub mute: Mute,
    pub traces: Traces,
    /// Rows that wait for what they inherit.
    pub held: Held,
    pub baselines: Baselines,
    pub calls: edge::memory::Memory,
}

/// Rule id and version.
pub(crate) type MemoryKey = (String, String);

impl Tenant {
    pub(crate) fn new() -> Self {
        Self {
            newest: i64::MIN,
            floor: i64::MIN,
            memories: HashMap::new(),
            mute: Mute::default(),
            traces: Traces::default(),
            held: Held::default(),
            baselines: Baselines::default(),
            calls: edge::memory::Memory::default(),
        }
    }
}

/// Evaluates rules over batches of events. Pure: holds no thread, clock or file; state changes only when called.
#[derive(Debug)]
pub struct Engine {
    pub(crate) set: Arc<RuleSet>,
    pub(crate) settings: Settings,
    pub(crate) tenants: BTreeMap<TenantId, Tenant>,
    pub(crate) counters: BTreeMap<String, RuleCounters>,
    /// Rules that cost too much, and why; they take no part until they are edited or enabled again.
    pub(crate) stopped: Stopped,
    budget: Option<Budget>,
    places: Arc<dyn Places>,
}

impl Engine {
    /// An engine without memory, for live use.
    pub fn new(set: Arc<RuleSet>) -> Self {
        Self::with_settings(set, Settings::default())
    }

    /// An engine without memory.
    pub fn with_settings(set: Arc<RuleSet>, settings: Settings) -> Self {
        Self {
            set,
            settings,
            tenants: BTreeMap::new(),
            counters: BTreeMap::new(),
            stopped: Stopped::new(),
            budget: None,
            places: Arc::new(NoPlaces),
        }
    }

    /// Tells where addresses are from now on. Without it, only events that say so themselves have a place.
    #[must_use]
    pub fn with_places(self, places: Arc<dyn Places>) -> Self {
        Self { places, ..self }
    }

    /// Takes new rules. Memory of rules whose version did not change survives, and so do baselines of rules that learn from
    /// the same as before; the rest is forgotten.
    pub fn replace(&mut self, set: Arc<RuleSet>) {
        let known: std::collections::HashSet<MemoryKey> = set.rules.iter().map(memory_key).collect();
        let learning: std::collections::HashSet<&baseline::Key> = set.baseline_keys().collect();
        for tenant in self.tenants.values_mut() {
            tenant.baselines.retain(|key, _| learning.contains(key));
            tenant.memories.retain(|key, _| known.contains(key));
            tenant.traces.patterns.retain(|key, _| known.contains(key));
            tenant.held = saved::carry_over(std::mem::take(&mut tenant.held), &self.set, &set);
            tenant.traces.renumber(&self.set.facts(), &set.facts());
            if set.traces.is_none() {
                tenant.traces = Traces::default();
            }
            if set.policies.is_empty() {
                tenant.calls = edge::memory::Memory::default();
            }
        }
        let ids: std::collections::HashSet<&str> = set.infos().map(|info| info.id.as_str()).collect();
        self.counters.retain(|id, _| ids.contains(id.as_str()));
        let known = set.rules.iter().map(memory_key).collect::<std::collections::HashSet<_>>();
        self.stopped.retain(|key, _| known.contains(key));
        self.budget.iter_mut().for_each(Budget::reset);
        self.set = set;
    }

    /// Measures rules from now on, and stops those that cost too much: one detection says so, of the rule
    /// [`crate::budget::RULE_STOPPED`].
    pub fn limit(&mut self, stopwatch: Stopwatch, limits: Limits) {
        self.budget = Some(Budget::new(stopwatch, limits));
    }

    /// The rules that were stopped, by id, and why.
    pub fn stopped(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stopped.iter().map(|((id, _), why)| (id.as_str(), why.as_str()))
    }

    /// Lets a rule take part again; whether it was stopped.
    pub fn enable(&mut self, rule_id: &str) -> bool {
        let before = self.stopped.len();
        self.stopped.retain(|(id, _), _| id != rule_id);
        self.stopped.len() < before
    }

    /// What the windows of each rule hold: its id, groups, and bytes.
    pub fn held(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        let memories = self.tenants.values().flat_map(|tenant| &tenant.memories);
        memories.map(|((id, _), memory)| (id.as_str(), memory.count(), memory.bytes()))
    }

    /// The rules in use.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// Evaluates one batch. `now` bounds event time, so that an event from the future cannot make all others late; for
    /// replays that give the same detections, pass the time of reception.
    pub fn evaluate(&mut self, batch: &EventBatch, now: UnixNanos) -> Vec<Detection> {
        let Some(events) = Events::stored(batch) else { return Vec::new() };
        self.run(&batch.tenant, &events, now)
    }

    /// Moves the watermark of every tenant on although no event came, so that what is missing can be noticed. Call it
    /// only while the log is read to its end: it makes events older than twice the lateness late.
    pub fn tick(&mut self, now: UnixNanos) -> Vec<Detection> {
        let idle = self.lateness_nanos().saturating_mul(2);
        self.settle_all(now.0.saturating_sub(idle), false)
    }

    /// The newest event time it has seen, as far as `now` allowed; `None` before the first event.
    pub fn newest(&self) -> Option<UnixNanos> {
        let newest = self.tenants.values().map(|tenant| tenant.newest).max();
        newest.filter(|newest| *newest > i64::MIN).map(UnixNanos)
    }

    /// What happened to each rule, by id.
    pub fn counters(&self) -> impl Iterator<Item = (&str, RuleCounters)> {
        self.counters.iter().map(|(id, counters)| (id.as_str(), *counters))
    }

    /// Judges every moment up to and including `horizon`, and every trace: the file has ended.
    pub(crate) fn finish(&mut self, horizon: i64) -> Vec<Detection> {
        self.settle_all(horizon.saturating_add(1), true)
    }

    fn lateness_nanos(&self) -> i64 {
        i64::try_from(self.settings.lateness.as_nanos()).unwrap_or(i64::MAX)
    }

    fn settle_all(&mut self, floor: i64, has_ended: bool) -> Vec<Detection> {
        let set = Arc::clone(&self.set);
        let settings = self.settings;
        let mut detections = Vec::new();
        for (name, tenant) in &mut self.tenants {
            if tenant.newest == i64::MIN || floor <= tenant.floor {
                continue;
            }
            let mut pass = Pass {
                set: &set,
                settings,
                name,
                places: &*self.places,
                counters: &mut self.counters,
                stopped: &self.stopped,
                meter: None,
                forgotten: Vec::new(),
                detections: Vec::new(),
            };
            pass.correlations(tenant, None, floor, if has_ended { i64::MAX } else { floor });
            detections.append(&mut pass.detections);
        }
        detections
    }

    pub(crate) fn run(&mut self, name: &TenantId, events: &Events<'_>, now: UnixNanos) -> Vec<Detection> {
        let Some(newest) = events.newest() else { return Vec::new() };
        let lateness = self.lateness_nanos();
        let set = Arc::clone(&self.set);
        let tenant = self.tenants.entry(name.clone()).or_insert_with(Tenant::new);
        tenant.newest = tenant.newest.max(newest.min(now.0));
        let floor = tenant.floor.max(tenant.newest.saturating_sub(lateness));
        let mut meter = self.budget.as_mut().and_then(|budget| budget.meter(events.len()));
        let mut matches = Matches::measured(&set, events, &self.stopped, &mut meter);
        let mut pass = Pass {
            set: &set,
            settings: self.settings,
            name,
            places: &*self.places,
            counters: &mut self.counters,
            stopped: &self.stopped,
            meter,
            forgotten: Vec::new(),
            detections: Vec::new(),
        };
        pass.singles(tenant, &mut matches);
        pass.correlations(tenant, Some(&mut matches), floor, floor);
        let Pass { meter, forgotten, mut detections, .. } = pass;
        let Some(budget) = &mut self.budget else { return detections };
        forgotten.into_iter().for_each(|(rule, events)| budget.forgot(rule, events));
        for (rule, why) in budget.judge(meter) {
            let Some(rule) = set.rules.get(rule) else { continue };
            tenant.memories.remove(&memory_key(rule));
            tenant.traces.patterns.remove(&memory_key(rule));
            detections.push(budget::detection(name, &rule.info, &why, tenant.newest));
            self.stopped.insert(memory_key(rule), why);
        }
        detections
    }
}

pub(crate) fn memory_key(rule: &Compiled) -> MemoryKey {
    (rule.info.id.clone(), rule.info.version.clone())
}
