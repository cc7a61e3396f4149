//! The engine: batches in, detections out.
//!
//! Per batch it answers every distinct atom at most once, combines the answers per rule, turns matching rows into
//! detections, and hands matching rows (and firings of other correlations) to the correlations that asked for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::{Detection, EventBatch, TenantId, UnixNanos};

use crate::column::Columns;
use crate::correlate::{Bounds, Firing, Losses, Memory};
use crate::events::Events;
use crate::expression::Rows;
use crate::kinds::Kept;
use crate::mute::Mute;
use crate::reason;
use crate::set::{Compiled, CompiledBody, CompiledCorrelation, CompiledEvent, Feed, RuleSet};

/// How the engine behaves. The defaults are for live use.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How much later than the newest event an event may be and still count. Spans are judged by their ends.
    pub lateness: Duration,
    /// Groups one correlation remembers per tenant.
    pub groups_per_rule: usize,
    /// Events one group remembers.
    pub events_per_group: usize,
    /// Events named as evidence in a detection.
    pub evidence: usize,
    /// Detections one rule on single events may make of one batch; further matches are counted only.
    pub detections_per_batch: usize,
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
            evidence: 100,
            detections_per_batch: 1_000,
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
            evidence: usize::MAX,
            detections_per_batch: usize::MAX,
            suppress: false,
            eager: false,
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            groups: self.groups_per_rule,
            events_per_group: self.events_per_group,
            evidence: self.evidence,
            eager: self.eager,
        }
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
    /// Matches without a detection because a batch had too many.
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
}

/// Rule id and version.
pub(crate) type MemoryKey = (String, String);

impl Tenant {
    pub(crate) fn new() -> Self {
        Self { newest: i64::MIN, floor: i64::MIN, memories: HashMap::new(), mute: Mute::default() }
    }
}

/// Evaluates rules over batches of events. Pure: holds no thread, clock or file; state changes only when called.
#[derive(Debug)]
pub struct Engine {
    pub(crate) set: Arc<RuleSet>,
    pub(crate) settings: Settings,
    pub(crate) tenants: BTreeMap<TenantId, Tenant>,
    pub(crate) counters: BTreeMap<String, RuleCounters>,
}

impl Engine {
    /// An engine without memory, for live use.
    pub fn new(set: Arc<RuleSet>) -> Self {
        Self::with_settings(set, Settings::default())
    }

    /// An engine without memory.
    pub fn with_settings(set: Arc<RuleSet>, settings: Settings) -> Self {
        Self { set, settings, tenants: BTreeMap::new(), counters: BTreeMap::new() }
    }

    /// Takes new rules. Memory of rules whose version did not change survives; the rest is forgotten.
    pub fn replace(&mut self, set: Arc<RuleSet>) {
        let known: std::collections::HashSet<MemoryKey> = set.rules.iter().map(memory_key).collect();
        for tenant in self.tenants.values_mut() {
            tenant.memories.retain(|key, _| known.contains(key));
        }
        let ids: std::collections::HashSet<&str> = set.infos().map(|info| info.id.as_str()).collect();
        self.counters.retain(|id, _| ids.contains(id.as_str()));
        self.set = set;
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
        self.settle_all(now.0.saturating_sub(idle))
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

    /// Judges every moment up to and including `horizon`: the file has ended.
    pub(crate) fn finish(&mut self, horizon: i64) -> Vec<Detection> {
        self.settle_all(horizon.saturating_add(1))
    }

    fn lateness_nanos(&self) -> i64 {
        i64::try_from(self.settings.lateness.as_nanos()).unwrap_or(i64::MAX)
    }

    fn settle_all(&mut self, floor: i64) -> Vec<Detection> {
        let set = Arc::clone(&self.set);
        let settings = self.settings;
        let mut detections = Vec::new();
        for (name, tenant) in &mut self.tenants {
            if tenant.newest == i64::MIN || floor <= tenant.floor {
                continue;
            }
            let mut run = Run { set: &set, settings, name, counters: &mut self.counters, detections: Vec::new() };
            run.correlations(tenant, None, floor);
            detections.append(&mut run.detections);
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
        let mut run =
            Run { set: &set, settings: self.settings, name, counters: &mut self.counters, detections: Vec::new() };
        let mut matches = Matches::new(&set, events);
        run.singles(tenant, &mut matches);
        run.correlations(tenant, Some(&mut matches), floor);
        run.detections
    }
}

/// The rows of a batch that each rule matches.
pub(crate) struct Matches<'b> {
    pub events: &'b Events<'b>,
    pub columns: Columns<'b>,
    pub rows: HashMap<usize, Vec<usize>>,
}

impl<'b> Matches<'b> {
    /// Evaluates every rule on single events.
    pub fn new(set: &'b RuleSet, events: &'b Events<'b>) -> Self {
        let mut columns = Columns::new(events.records, &set.plan);
        let mut answers: Vec<Option<Rows>> = vec![None; set.atoms.len()];
        let mut rows = HashMap::new();
        for (number, rule) in set.rules.iter().enumerate() {
            let CompiledBody::Event(event) = &rule.body else { continue };
            let other_signal = event.signal.is_some_and(|wanted| events.signal.is_some_and(|signal| signal != wanted));
            if other_signal {
                continue;
            }
            let found = event.expression.rows(events.len(), &mut |atom| {
                answers[atom].get_or_insert_with(|| columns.rows(&set.atoms[atom])).clone()
            });
            if let Some(found) = found {
                rows.insert(number, found.set_indices().collect());
            }
        }
        Self { events, columns, rows }
    }
}

/// One evaluation for one tenant.
struct Run<'r> {
    set: &'r RuleSet,
    settings: Settings,
    name: &'r TenantId,
    counters: &'r mut BTreeMap<String, RuleCounters>,
    detections: Vec<Detection>,
}

impl Run<'_> {
    fn counters(&mut self, rule: &Compiled) -> &mut RuleCounters {
        self.counters.entry(rule.info.id.clone()).or_default()
    }

    /// Detections of rules on single events.
    fn singles(&mut self, tenant: &mut Tenant, matches: &mut Matches<'_>) {
        let set = self.set;
        let mut matched: Vec<usize> = matches.rows.keys().copied().collect();
        matched.sort_unstable();
        for number in matched {
            let rule = &set.rules[number];
            let CompiledBody::Event(event) = &rule.body else { continue };
            let rows = matches.rows[&number].clone();
            self.counters(rule).matched += rows.len() as u64;
            if rule.silent {
                continue;
            }
            for (_, field) in event.shown.iter().chain(&event.by) {
                matches.columns.field(*field);
            }
            matches.columns.field(set.service);
            let limit = self.settings.detections_per_batch;
            self.counters(rule).limited += rows.len().saturating_sub(limit) as u64;
            for row in rows.into_iter().take(limit) {
                self.single(tenant, rule, event, matches, row);
            }
        }
    }

    fn single(
        &mut self,
        tenant: &mut Tenant,
        rule: &Compiled,
        event: &CompiledEvent,
        matches: &Matches<'_>,
        row: usize,
    ) {
        let columns = &matches.columns;
        let text = |field: usize| columns.ready(field).and_then(|field| field.text(row));
        let service = text(self.set.service);
        let mut group: Vec<(String, String)> =
            event.by.iter().filter_map(|(name, field)| Some((name.clone(), text(*field)?.to_owned()))).collect();
        if group.is_empty() {
            group.extend(service.map(|service| ("service.name".to_owned(), service.to_owned())));
        }
        let at = matches.events.time(row);
        if let Some(suppress) = rule.suppress.as_ref().filter(|_| self.settings.suppress)
            && tenant.mute.is_repeat(
                mute_key(rule, group.iter().map(|(_, value)| value.as_str())),
                at,
                suppress.for_nanos,
            )
        {
            self.counters(rule).suppressed += 1;
            return;
        }
        let id = matches.events.id(row);
        self.counters(rule).detections += 1;
        self.detections.push(Detection {
            id: Detection::derive_id(self.name, &rule.info, &group, &id.to_string()),
            tenant: self.name.clone(),
            rule: (*rule.info).clone(),
            group,
            at: UnixNanos(at),
            window_start: UnixNanos(at),
            metric: None,
            events: vec![id],
            events_omitted: 0,
            reason: reason::of_event(event, service, columns, row),
        });
    }

    /// Feeds and settles every correlation, inputs before those that build on them.
    fn correlations(&mut self, tenant: &mut Tenant, mut matches: Option<&mut Matches<'_>>, floor: i64) {
        let set = self.set;
        let bounds = self.settings.bounds();
        let mut fired: HashMap<usize, Vec<Firing>> = HashMap::new();
        for number in &set.order {
            let rule = &set.rules[*number];
            let CompiledBody::Correlation(correlation) = &rule.body else { continue };
            let mut memory = tenant.memories.remove(&memory_key(rule)).unwrap_or_default();
            let mut losses = Losses::default();
            for (position, feed) in correlation.feeds.iter().enumerate() {
                let mut insert = |values: &[Arc<str>], event: Kept| {
                    memory.insert(correlation, bounds, values, event, tenant.floor, &mut losses);
                };
                match (&set.rules[feed.rule].body, matches.as_deref_mut()) {
                    (CompiledBody::Event(_), Some(matches)) => feed_rows(feed, position, matches, &mut insert),
                    (CompiledBody::Event(_), None) => {}
                    (CompiledBody::Correlation(_), _) => {
                        let firings = fired.get(&feed.rule).map(Vec::as_slice).unwrap_or_default();
                        feed_firings(feed, position, firings, &mut insert);
                    }
                }
            }
            let firings = memory.settle(correlation, bounds, floor);
            tenant.memories.insert(memory_key(rule), memory);
            let counters = self.counters(rule);
            counters.late += losses.late;
            counters.evicted += losses.evicted;
            counters.matched += firings.len() as u64;
            if !rule.silent {
                firings.iter().for_each(|firing| self.alert(&mut tenant.mute, rule, correlation, firing));
            }
            if rule.referred {
                fired.insert(*number, firings);
            }
        }
        tenant.floor = tenant.floor.max(floor);
        tenant.mute.prune(tenant.floor);
    }

    fn alert(&mut self, mute: &mut Mute, rule: &Compiled, correlation: &CompiledCorrelation, firing: &Firing) {
        if self.settings.suppress {
            let for_nanos = rule.suppress.as_ref().map_or(correlation.span_nanos, |suppress| suppress.for_nanos);
            let all: Vec<usize> = (0..firing.group.len()).collect();
            let by = if correlation.by.is_empty() { &all } else { &correlation.by };
            let key =
                mute_key(rule, by.iter().filter_map(|position| firing.group.get(*position).map(|value| &**value)));
            if mute.is_repeat(key, firing.at, for_nanos) {
                self.counters(rule).suppressed += 1;
                return;
            }
        }
        self.counters(rule).detections += 1;
        let named = |fold: fn(&str) -> String| -> Vec<(String, String)> {
            correlation.group_by.iter().zip(&firing.group).map(|(name, value)| (name.clone(), fold(value))).collect()
        };
        self.detections.push(Detection {
            id: Detection::derive_id(self.name, &rule.info, &named(str::to_ascii_lowercase), &firing.at.to_string()),
            tenant: self.name.clone(),
            rule: (*rule.info).clone(),
            group: named(str::to_owned),
            at: UnixNanos(firing.at),
            window_start: UnixNanos(firing.at.saturating_sub(correlation.span_nanos)),
            metric: Some(firing.metric),
            events: firing.events.to_vec(),
            events_omitted: firing.omitted,
            reason: reason::of_firing(correlation, firing),
        });
    }
}

/// Hands the rows of a rule to a correlation. A row without one of the keys is not counted.
fn feed_rows(feed: &Feed, position: usize, matches: &mut Matches<'_>, insert: &mut impl FnMut(&[Arc<str>], Kept)) {
    let Some(rows) = matches.rows.get(&feed.rule) else { return };
    for field in feed.keys.iter().chain(&feed.values) {
        matches.columns.field(*field);
    }
    let texts = |fields: &[usize], row: usize| -> Option<Vec<&str>> {
        fields.iter().map(|field| matches.columns.ready(*field)?.text(row)).collect()
    };
    for row in rows {
        let Some(keys) = texts(&feed.keys, *row) else { continue };
        let keys: Vec<Arc<str>> = keys.into_iter().map(Arc::from).collect();
        let value = texts(&feed.values, *row).filter(|values| !values.is_empty());
        let value = value.map(|values| Arc::from(values.join("\u{1f}")));
        let events = Arc::from([matches.events.id(*row)]);
        insert(&keys, Kept { at: matches.events.time(*row), rule: position, value, events });
    }
}

/// Hands the firings of one correlation to another.
fn feed_firings(feed: &Feed, position: usize, firings: &[Firing], insert: &mut impl FnMut(&[Arc<str>], Kept)) {
    for firing in firings {
        let pick = |fields: &[usize]| -> Vec<Arc<str>> {
            fields.iter().filter_map(|field| firing.group.get(*field).cloned()).collect()
        };
        let values = pick(&feed.values);
        let value = (!values.is_empty()).then(|| Arc::from(values.join("\u{1f}")));
        let events = Arc::clone(&firing.events);
        insert(&pick(&feed.keys), Kept { at: firing.at, rule: position, value, events });
    }
}

pub(crate) fn memory_key(rule: &Compiled) -> MemoryKey {
    (rule.info.id.clone(), rule.info.version.clone())
}

fn mute_key<'a>(rule: &Compiled, values: impl Iterator<Item = &'a str>) -> String {
    let mut key = rule.info.id.clone();
    for value in values {
        key.push('\u{1f}');
        key.push_str(&value.to_ascii_lowercase());
    }
    key
}
