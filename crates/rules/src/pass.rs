//! One pass of the rules over a batch: single events first, then correlations, inputs before those that build on them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{Detection, EventId, Signal, TenantId, UnixNanos};

use crate::baseline;
use crate::budget::{self, Meter, Stopped};
use crate::column::{Columns, Interned};
use crate::correlate::{self, Firing, Losses, Memory};
use crate::engine::{RuleCounters, Settings, Tenant, memory_key};
use crate::events::Events;
use crate::expression::Rows;
use crate::geo::{self, Places};
use crate::index::answers::Answers;
use crate::inherited::REACH_NANOS;
use crate::inherited::deal::Dealt;
use crate::inherited::facts::Facts;
use crate::kinds::Kept;
use crate::mute::Mute;
use crate::reason;
use crate::set::{Compiled, CompiledBody, CompiledCorrelation, CompiledEvent, Feed, RuleSet, TracePlan};
use crate::trace::beside::Told;
use crate::trace::links::{self, LINKS_PER_SPAN};
use crate::trace::tree::Span;
use crate::trace::{Mark, sampling};

/// The rows of a batch that each rule matches.
pub(crate) struct Matches<'b> {
    pub events: &'b Events<'b>,
    pub columns: Columns<'b>,
    pub rows: HashMap<usize, Vec<usize>>,
    /// For each rule whose rows wait, the rows that satisfy each of its plain atoms.
    pub plain: HashMap<usize, Vec<Rows>>,
}

impl<'b> Matches<'b> {
    /// Evaluates every rule on single events.
    pub fn new(set: &'b RuleSet, events: &'b Events<'b>) -> Self {
        Self::among(set, events, |_| true)
    }

    /// Evaluates the rules on single events whose numbers are wanted.
    pub fn among(set: &'b RuleSet, events: &'b Events<'b>, is_wanted: impl Fn(usize) -> bool) -> Self {
        Self::asked(set, events, is_wanted, &mut None)
    }

    /// Evaluates the rules on single events that were not stopped, and measures them.
    pub fn measured(set: &'b RuleSet, events: &'b Events<'b>, stopped: &Stopped, meter: &mut Option<Meter>) -> Self {
        let goes_on = |number: usize| set.rules.get(number).is_some_and(|rule| !budget::is_stopped(stopped, rule));
        Self::asked(set, events, goes_on, meter)
    }

    fn asked(
        set: &'b RuleSet,
        events: &'b Events<'b>,
        is_wanted: impl Fn(usize) -> bool,
        meter: &mut Option<Meter>,
    ) -> Self {
        let index = set.index(events.signal);
        let mut columns = Columns::new(events.records, &set.plan, index.looks_everywhere());
        let mut answers = Answers::new(set, index, &mut columns, meter);
        let (mut rows, mut plain) = (HashMap::new(), HashMap::new());
        for number in answers.candidates() {
            let Some(rule) = set.rules.get(number).filter(|_| is_wanted(number)) else { continue };
            let CompiledBody::Event(event) = &rule.body else { continue };
            let started = meter.as_ref().map(Meter::read);
            let rows_in_all = columns.len();
            let mut answer = |atom| answers.rows(atom, &mut columns);
            let mut found = event.expression.rows(rows_in_all, &mut answer);
            if let (Some(within), Some(_)) = (&event.within, events.signal) {
                found = found.and_then(|found| found.and(&within.rows(rows_in_all, &mut answer)?).some());
            }
            if let Some(found) = found {
                rows.insert(number, found.rows().filter(|row| *row < events.len()).collect());
                if let Some(waiting) = &event.waiting {
                    let mut answer = |atom: &usize| answers.rows(*atom, &mut columns);
                    plain.insert(number, waiting.plain.iter().map(&mut answer).collect());
                }
            }
            charge(meter, number, started);
        }
        Self { events, columns, rows, plain }
    }
}

/// An event as a rule on single events shows it.
pub(crate) struct Seen<'s> {
    pub at: i64,
    pub id: EventId,
    /// Texts of fields, by number.
    pub text: &'s dyn Fn(usize) -> Option<&'s str>,
}

/// One evaluation for one tenant.
pub(crate) struct Pass<'r> {
    pub set: &'r RuleSet,
    pub settings: Settings,
    pub name: &'r TenantId,
    pub places: &'r dyn Places,
    pub counters: &'r mut BTreeMap<String, RuleCounters>,
    /// Rules that take no part.
    pub stopped: &'r Stopped,
    pub meter: Option<Meter>,
    /// Rules and how many events their windows forgot because they take too many bytes.
    pub forgotten: Vec<(usize, u64)>,
    /// What was found.
    pub detections: Vec<Detection>,
}

/// Charges a rule with the time since its work began.
pub(crate) fn charge(meter: &mut Option<Meter>, rule: usize, started: Option<u64>) {
    if let (Some(meter), Some(started)) = (meter, started) {
        meter.charge_since(rule, started);
    }
}

impl Pass<'_> {
    pub(crate) fn counters(&mut self, rule: &Compiled) -> &mut RuleCounters {
        self.counters.entry(rule.info.id.clone()).or_default()
    }

    /// Detections of rules on single events.
    pub fn singles(&mut self, tenant: &mut Tenant, matches: &mut Matches<'_>) {
        let set = self.set;
        let mut matched: Vec<usize> = matches.rows.keys().copied().collect();
        matched.sort_unstable();
        for number in matched {
            let rule = &set.rules[number];
            let CompiledBody::Event(event) = &rule.body else { continue };
            if rule.asks_of_others() {
                continue;
            }
            let rows = matches.rows[&number].clone();
            let started = self.meter.as_ref().map(Meter::read);
            self.counters(rule).matched += rows.len() as u64;
            if rule.silent || event.waiting.as_deref().is_some_and(|waiting| waiting.alerts) {
                continue;
            }
            for (_, field) in event.shown.iter().chain(&event.by) {
                matches.columns.field(*field);
            }
            matches.columns.field(set.service);
            let limit = self.settings.detections_per_batch;
            let (told, limited) = (rows.len().min(limit) as u64, rows.len().saturating_sub(limit) as u64);
            let before = self.detections.len();
            let columns = &matches.columns;
            for row in rows.into_iter().take(limit) {
                let text = |field: usize| columns.ready(field).and_then(|field| field.text(row));
                let seen = Seen { at: matches.events.time(row), id: matches.events.id(row), text: &text };
                self.single(&mut tenant.mute, rule, event, &seen);
            }
            let detections = (self.detections.len() - before) as u64;
            let counters = self.counters(rule);
            counters.limited += limited;
            counters.detections += detections;
            counters.suppressed += told - detections;
            charge(&mut self.meter, number, started);
        }
    }

    /// Raises a detection of a rule on single events, unless it is a repeat.
    pub(crate) fn single(&mut self, mute: &mut Mute, rule: &Compiled, event: &CompiledEvent, seen: &Seen<'_>) {
        let (at, id, text) = (seen.at, &seen.id, seen.text);
        let service = text(self.set.service);
        let mut group: Vec<(String, String)> =
            event.by.iter().filter_map(|(name, field)| Some((name.clone(), text(*field)?.to_owned()))).collect();
        if group.is_empty() {
            group.extend(service.map(|service| ("service.name".to_owned(), service.to_owned())));
        }
        if let Some(suppress) = rule.suppress.as_ref().filter(|_| self.settings.suppress)
            && mute.is_repeat(mute_key(rule, group.iter().map(|(_, value)| value.as_str())), at, suppress.for_nanos)
        {
            return;
        }
        self.detections.push(Detection {
            id: Detection::derive_id(self.name, &rule.info, &group, &id.to_string()),
            tenant: self.name.clone(),
            rule: Arc::clone(&rule.info),
            group,
            at: UnixNanos(at),
            window_start: UnixNanos(at),
            metric: None,
            events: vec![id.clone()],
            events_omitted: 0,
            reason: reason::of_event(event, service, text),
        });
    }

    /// Feeds and settles every correlation, inputs before those that build on them. Traces are settled up to a floor of
    /// their own, because the end of a file closes them.
    pub fn correlations(
        &mut self,
        tenant: &mut Tenant,
        mut matches: Option<&mut Matches<'_>>,
        floor: i64,
        trace_floor: i64,
    ) {
        let set = self.set;
        let mut fired: HashMap<usize, Vec<Firing>> = HashMap::new();
        fired.extend(self.policies(tenant, matches.as_deref_mut(), trace_floor));
        let mut unheld = match (set.traces, matches.as_deref_mut()) {
            (Some(plan), Some(matches)) => self.follow(tenant, plan, matches),
            _ => 0,
        };
        let dealt = self.deal(tenant, matches.as_deref_mut(), trace_floor);
        // rows that waited come late: who is fed by them lags behind, until the file ends
        let lag = |nanos: i64| if trace_floor == i64::MAX { 0 } else { nanos };
        for number in &set.order {
            let rule = &set.rules[*number];
            let CompiledBody::Correlation(correlation) = &rule.body else { continue };
            if budget::is_stopped(self.stopped, rule) {
                continue;
            }
            let behind = if correlation.lags { REACH_NANOS } else { 0 };
            let floors = |floor: i64| Floors {
                late: tenant.floor.saturating_sub(behind),
                settled: floor.saturating_sub(lag(behind)),
            };
            let inputs = Inputs { fired: &fired, dealt: &dealt };
            let (wide, deep) = (floors(floor), floors(trace_floor));
            let started = self.meter.as_ref().map(Meter::read);
            let firings = match (&correlation.trace, &correlation.baseline) {
                (Some(_), _) => self.traced(tenant, rule, correlation, matches.as_deref_mut(), &inputs, deep),
                (None, Some(_)) => self.learned(tenant, rule, correlation, matches.as_deref_mut(), &inputs, wide),
                (None, None) => self.windowed(tenant, *number, correlation, matches.as_deref_mut(), &inputs, wide),
            };
            charge(&mut self.meter, *number, started);
            if rule.referred {
                fired.insert(*number, firings);
            }
        }
        if let Some(plan) = set.traces {
            let settled = trace_floor.saturating_sub(lag(plan.lag_nanos));
            unheld += tenant.traces.forget(self.settings.trace_bounds(), plan.span_nanos, settled);
            for rule in set.rules.iter().filter(|rule| unheld > 0 && rule.needs_traces()) {
                self.counters(rule).evicted += unheld;
            }
        }
        self.make_room(tenant);
        tenant.floor = tenant.floor.max(floor);
        tenant.mute.prune(set.behind(tenant.floor));
    }

    /// Lets the correlations that hold most forget, until the windows of the tenant fit together; then a tenth is free, so
    /// that this is not done for every batch.
    fn make_room(&mut self, tenant: &mut Tenant) {
        let limit = self.settings.state_bytes;
        let held: usize = tenant.memories.values().map(Memory::bytes).sum();
        let mut surplus = if held > limit { held - limit + limit / 10 } else { 0 };
        while surplus > 0 {
            let most = tenant.memories.iter_mut().max_by_key(|(key, memory)| (memory.bytes(), *key));
            let Some((key, memory)) = most.filter(|(_, memory)| memory.bytes() > 0) else { return };
            let before = memory.bytes();
            let evicted = memory.shrink(before.saturating_sub(surplus.min(before / 2 + 1)));
            surplus = surplus.saturating_sub(before - memory.bytes());
            self.counters.entry(key.0.clone()).or_default().evicted += evicted;
        }
    }

    fn lost(&mut self, rule: &Compiled, losses: Losses) {
        let counters = self.counters(rule);
        counters.late += losses.late;
        counters.evicted += losses.evicted;
        counters.limited += losses.limited;
    }

    /// Feeds and settles a correlation over windows. Evidence is gathered of what is told to somebody: an alert that is
    /// not held back, or another correlation.
    fn windowed(
        &mut self,
        tenant: &mut Tenant,
        number: usize,
        correlation: &CompiledCorrelation,
        mut matches: Option<&mut Matches<'_>>,
        inputs: &Inputs<'_>,
        floors: Floors,
    ) -> Vec<Firing> {
        let rule = &self.set.rules[number];
        let bounds = self.settings.bounds();
        let mut memory = tenant.memories.remove(&memory_key(rule)).unwrap_or_default();
        let mut losses = Losses::default();
        let is_placed = correlation.condition.distance_km.is_some();
        for (position, feed) in correlation.feeds.iter().enumerate() {
            let mut insert = |group: (&str, &[&str]), event: Kept| {
                memory.insert(correlation, bounds, group, event, floors.late, &mut losses);
            };
            match (&self.set.rules[feed.rule].body, matches.as_deref_mut()) {
                (CompiledBody::Event(_), _) if feed.inherits && is_placed => {
                    geo::feed_told(feed, position, &inputs.dealt.rows(self.set, feed), self.places, &mut insert);
                }
                (CompiledBody::Event(_), _) if feed.inherits => {
                    inputs.dealt.feed(self.set, feed, position, &mut insert)
                }
                (CompiledBody::Event(_), Some(matches)) if is_placed => {
                    geo::feed_places(feed, position, matches, self.places, &mut insert);
                }
                (CompiledBody::Event(_), Some(matches)) => feed_rows(feed, position, matches, &mut insert),
                (CompiledBody::Event(_), None) => {}
                (CompiledBody::Correlation(_) | CompiledBody::Policy(_), _) => {
                    let firings = inputs.fired.get(&feed.rule).map(Vec::as_slice).unwrap_or_default();
                    feed_firings(feed, position, firings, &mut insert);
                }
            }
        }
        let found = memory.settle(correlation, floors.settled);
        self.counters(rule).matched += found.len() as u64;
        let mut firings = Vec::new();
        for found in &found {
            let is_told = !rule.silent
                && !self.is_held_back(&mut tenant.mute, rule, correlation, found.at(), memory.group(found));
            if !is_told && !rule.referred {
                continue;
            }
            let firing = memory.fire(correlation, bounds, found);
            if is_told {
                self.alert(rule, correlation, &firing);
            }
            if rule.referred {
                firings.push(firing);
            }
        }
        memory.end(correlation, bounds, floors.settled, &mut losses);
        self.lost(rule, losses);
        self.forgotten.push((number, losses.crowded));
        tenant.memories.insert(memory_key(rule), memory);
        firings
    }

    /// Takes the spans of a batch into their traces; how many were left out.
    pub(crate) fn follow(&self, tenant: &mut Tenant, plan: TracePlan, matches: &mut Matches<'_>) -> u64 {
        if matches.events.signal == Some(Signal::Logs) {
            return 0;
        }
        let bounds = self.settings.trace_bounds();
        plan.lineage.prepare(matches.events, &mut matches.columns);
        matches.columns.field(self.set.service);
        if let Some(plan) = &self.set.inherited {
            Facts::prepare(plan, &mut matches.columns);
        }
        let mut unheld = 0;
        let mut known: Arc<str> = tenant.traces.service("");
        for row in 0..matches.events.len() {
            let Some(place) = plan.lineage.of(matches.events, &matches.columns, row) else { continue };
            let service = matches.columns.ready(self.set.service).and_then(|field| field.text(row)).unwrap_or_default();
            if *known != *service {
                known = tenant.traces.service(service);
            }
            let span = Span {
                at: matches.events.time(row),
                id: place.span,
                parent: place.parent,
                service: Arc::clone(&known),
                sampling: match plan.sampling {
                    true => sampling::of(matches.events, &matches.columns, plan.lineage.sampling, row),
                    false => sampling::UNKNOWN,
                },
            };
            let facts = self.set.inherited.as_ref();
            let facts = facts.and_then(|plan| Facts::of(plan, &matches.columns, row, place.parent.is_none()));
            let mut told = Told { facts, links: Vec::new() };
            if plan.links {
                told.links = links::of(matches.events, &matches.columns, plan.lineage.links, row);
                unheld += told.links.len().saturating_sub(LINKS_PER_SPAN) as u64;
                told.links.truncate(LINKS_PER_SPAN);
            }
            unheld += tenant.traces.take(place.trace, span, told, bounds, tenant.floor);
        }
        unheld
    }

    /// Marks the steps of a pattern in the traces of a batch, and judges what can be judged.
    fn traced(
        &mut self,
        tenant: &mut Tenant,
        rule: &Compiled,
        correlation: &CompiledCorrelation,
        matches: Option<&mut Matches<'_>>,
        inputs: &Inputs<'_>,
        floors: Floors,
    ) -> Vec<Firing> {
        let mut losses = Losses::default();
        let key = memory_key(rule);
        let matches = matches.filter(|matches| matches.events.signal != Some(Signal::Logs));
        if let (Some(plan), Some(matches)) = (self.set.traces, matches) {
            for (step, feed) in correlation.feeds.iter().enumerate().filter(|(_, feed)| !feed.inherits) {
                let Some(rows) = matches.rows.get(&feed.rule) else { continue };
                feed.values.iter().for_each(|field| {
                    matches.columns.field(*field);
                });
                for row in rows {
                    let Some(place) = plan.lineage.of(matches.events, &matches.columns, *row) else { continue };
                    let value = |field: &usize| matches.columns.ready(*field)?.text(*row).map(Arc::from);
                    let mark = Mark {
                        at: matches.events.time(*row),
                        order: matches.events.order(*row),
                        span: place.span,
                        step,
                        event: matches.events.id(*row),
                        values: feed.values.iter().map(value).collect(),
                    };
                    tenant.traces.mark(&key, place.trace, mark, floors.late, &mut losses);
                }
            }
        }
        for (step, feed) in correlation.feeds.iter().enumerate().filter(|(_, feed)| feed.inherits) {
            for (trace, mark) in inputs.dealt.marks(self.set, feed, step) {
                tenant.traces.mark(&key, trace, mark, floors.late, &mut losses);
            }
        }
        let bounds = self.settings.trace_bounds();
        let firings = tenant.traces.settle(&key, correlation, bounds, floors.settled, &mut losses);
        self.told(tenant, rule, correlation, &firings, losses);
        firings
    }

    /// Feeds and settles a correlation that learns what is usual.
    fn learned(
        &mut self,
        tenant: &mut Tenant,
        rule: &Compiled,
        correlation: &CompiledCorrelation,
        matches: Option<&mut Matches<'_>>,
        inputs: &Inputs<'_>,
        floors: Floors,
    ) -> Vec<Firing> {
        let Some((baseline, key)) = &correlation.baseline else { return Vec::new() };
        // events before it are late for a tenant that is known
        let since = if tenant.floor == i64::MIN { floors.settled } else { floors.late };
        let memory = tenant.baselines.entry(key.clone());
        let memory = memory.or_insert_with(|| baseline::Memory::new(baseline, since));
        let bounds = self.settings.baseline_bounds();
        let (firings, losses) =
            baseline::run((self.set, bounds), memory, (correlation, baseline), matches, inputs, floors);
        self.told(tenant, rule, correlation, &firings, losses);
        firings
    }

    /// Counts what came of a rule, and raises the alerts that are not held back.
    fn told(
        &mut self,
        tenant: &mut Tenant,
        rule: &Compiled,
        correlation: &CompiledCorrelation,
        firings: &[Firing],
        losses: Losses,
    ) {
        self.lost(rule, losses);
        self.counters(rule).matched += firings.len() as u64;
        for firing in firings.iter().filter(|_| !rule.silent) {
            if !self.is_held_back(&mut tenant.mute, rule, correlation, firing.at, &firing.group) {
                self.alert(rule, correlation, firing);
            }
        }
    }

    /// Whether an alert repeats one that was raised lately; it is remembered when it does not.
    fn is_held_back(
        &mut self,
        mute: &mut Mute,
        rule: &Compiled,
        correlation: &CompiledCorrelation,
        at: i64,
        group: &[Arc<str>],
    ) -> bool {
        if !self.settings.suppress {
            return false;
        }
        let for_nanos = rule.suppress.as_ref().map_or(correlation.span_nanos, |suppress| suppress.for_nanos);
        let all: Vec<usize> = (0..group.len()).collect();
        let by = if correlation.by.is_empty() { &all } else { &correlation.by };
        let key = mute_key(rule, by.iter().filter_map(|position| group.get(*position).map(|value| &**value)));
        let is_repeat = mute.is_repeat(key, at, for_nanos);
        self.counters(rule).suppressed += u64::from(is_repeat);
        is_repeat
    }

    fn alert(&mut self, rule: &Compiled, correlation: &CompiledCorrelation, firing: &Firing) {
        self.counters(rule).detections += 1;
        let named = |fold: fn(&str) -> String| -> Vec<(String, String)> {
            correlation.group_by.iter().zip(&firing.group).map(|(name, value)| (name.clone(), fold(value))).collect()
        };
        // a trace fires once for a rule, whatever is found in it first
        let id = match &correlation.trace {
            Some(_) => Detection::derive_id(self.name, &rule.info, &[], &firing.key),
            None => {
                let moment = firing.at.to_string();
                Detection::derive_id(self.name, &rule.info, &named(str::to_ascii_lowercase), &moment)
            }
        };
        self.detections.push(Detection {
            id,
            tenant: self.name.clone(),
            rule: Arc::clone(&rule.info),
            group: named(str::to_owned),
            at: UnixNanos(firing.at),
            window_start: UnixNanos(firing.since),
            metric: Some(firing.metric),
            events: firing.events.to_vec(),
            events_omitted: firing.omitted,
            reason: firing.note.clone().unwrap_or_else(|| reason::of_firing(correlation, firing)),
        });
    }
}

/// Takes an event of a group, which is named by its identity and the values of its keys.
pub(crate) type Insert<'i> = dyn FnMut((&str, &[&str]), Kept) + 'i;

/// What a correlation is fed with besides the rows of the batch.
pub(crate) struct Inputs<'i> {
    /// Firings of other correlations.
    pub fired: &'i HashMap<usize, Vec<Firing>>,
    /// Rows that waited.
    pub dealt: &'i Dealt,
}

/// The watermark as one correlation sees it.
#[derive(Clone, Copy)]
pub(crate) struct Floors {
    /// What is before it comes too late.
    pub late: i64,
    /// What is before it can be judged.
    pub settled: i64,
}

/// Hands the rows of a rule to a correlation. A row without one of the keys is not counted.
fn feed_rows(feed: &Feed, position: usize, matches: &mut Matches<'_>, insert: &mut Insert<'_>) {
    let Some(rows) = matches.rows.get(&feed.rule) else { return };
    for field in feed.keys.iter().chain(&feed.values) {
        matches.columns.field(*field);
    }
    let columns = &matches.columns;
    let fields = |numbers: &[usize]| -> Option<Vec<&Interned<'_>>> {
        numbers.iter().map(|number| columns.ready(*number)).collect()
    };
    let (Some(keys), Some(values)) = (fields(&feed.keys), fields(&feed.values)) else { return };
    let mut known = Values::default();
    let (mut key, mut group): (String, Vec<&str>) = (String::new(), Vec::new());
    for row in rows {
        group.clear();
        group.extend(keys.iter().filter_map(|field| field.text(*row)));
        if group.len() < keys.len() {
            continue;
        }
        correlate::fold_into(&mut key, &group);
        let value = known.of(&values, *row);
        let events = Arc::from([matches.events.id(*row)]);
        insert((&key, &group), Kept { at: matches.events.time(*row), rule: position, value, events });
    }
}

/// The values of a batch that are remembered, each text once.
#[derive(Default)]
struct Values {
    by_cell: Vec<Option<Arc<str>>>,
}

impl Values {
    /// The value of a row: those of several fields together.
    fn of(&mut self, fields: &[&Interned<'_>], row: usize) -> Option<Arc<str>> {
        if let [field] = fields {
            let cell = field.key(row)?;
            if self.by_cell.len() <= cell {
                self.by_cell.resize(field.cells().len().max(cell + 1), None);
            }
            let known = &mut self.by_cell[cell];
            if known.is_none() {
                *known = field.text(row).map(Arc::from);
            }
            return known.clone();
        }
        let texts: Option<Vec<&str>> = fields.iter().map(|field| field.text(row)).collect();
        texts.filter(|texts| !texts.is_empty()).map(|texts| Arc::from(texts.join("\u{1f}")))
    }
}

/// Hands the firings of one correlation to another.
fn feed_firings(feed: &Feed, position: usize, firings: &[Firing], insert: &mut Insert<'_>) {
    for firing in firings {
        let pick = |fields: &[usize]| -> Vec<&str> {
            fields.iter().filter_map(|field| firing.group.get(*field).map(|value| &**value)).collect()
        };
        let (group, values) = (pick(&feed.keys), pick(&feed.values));
        let value = (!values.is_empty()).then(|| Arc::from(values.join("\u{1f}")));
        let events = Arc::clone(&firing.events);
        let key = correlate::key_of(&group);
        insert((&key, &group), Kept { at: firing.at, rule: position, value, events });
    }
}

pub(crate) fn mute_key<'a>(rule: &Compiled, values: impl Iterator<Item = &'a str>) -> String {
    let mut key = rule.info.id.clone();
    for value in values {
        key.push('\u{1f}');
        key.push_str(&value.to_ascii_lowercase());
    }
    key
}
