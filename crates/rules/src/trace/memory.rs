//! The traces that are remembered: of every span its place, of those that match a step what the rules ask for.
//!
//! All patterns of a rule set share the spans. A trace is forgotten when nothing happened in it for the longest timespan
//! of the patterns; when too many are held, the one that was heard of least recently.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use model::{SpanId, TraceId};

use super::beside::{Beside, Told};
use super::links::Link;
use super::pattern::{Map, PatternMemory};
use super::tree::Span;
use super::{Mark, closing};
use crate::correlate::{Firing, Losses};
use crate::engine::MemoryKey;
use crate::inherited::facts::Facts;
use crate::inherited::saved;
use crate::set::CompiledCorrelation;

/// Names of services that are kept once; beyond, they are kept anew.
const SERVICES: usize = 4_096;
/// Roots kept of a trace beyond its other spans: without them it would never be complete.
const ROOTS_BESIDES: usize = 16;
/// What a trace takes besides its spans, and a span, in bytes; estimates that err upwards.
const TRACE_BYTES: usize = 256;
const SPAN_BYTES: usize = 48;
const MARK_BYTES: usize = 176;

/// Bounds on the traces of one tenant.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Traces; also the firings remembered of one rule.
    pub traces: usize,
    /// Spans of one trace; further ones are not looked at.
    pub spans_per_trace: usize,
    /// All of them together, in bytes.
    pub bytes: usize,
}

/// The spans of one trace, in order of time, then of their ids.
#[derive(Debug, Default)]
pub struct Trace {
    pub spans: Vec<Span>,
    /// What its spans say; `None` while nobody asks.
    pub beside: Option<Box<Beside>>,
    bytes: usize,
    used: u64,
    /// When its first life is over.
    ends: i64,
}

impl Trace {
    /// A span by its id, of several the one that ended first. [`Traces::index`] must have been called before.
    pub fn find(&self, id: SpanId) -> Option<&Span> {
        let at = self.beside.as_ref()?.ended(id)?;
        let place = self.spans.binary_search_by_key(&(at, id), |span| (span.at, span.id)).ok()?;
        self.spans.get(place)
    }

    /// What others inherit from a span.
    pub fn facts(&self, id: SpanId) -> Option<&Facts> {
        self.beside.as_ref()?.facts.get(&id)
    }

    /// The spans that a span links to.
    pub fn links(&self, id: SpanId) -> &[Link] {
        self.beside.as_ref().and_then(|beside| beside.links.get(&id)).map_or(&[], Vec::as_slice)
    }

    /// Notes where a span stands and what it says; what that takes.
    fn note(&mut self, id: SpanId, at: i64, told: Told) -> usize {
        let says_something = told.facts.is_some() || !told.links.is_empty();
        if says_something {
            self.beside.get_or_insert_default();
        }
        self.beside.as_mut().map_or(0, |beside| beside.note(id, at, told))
    }
}

/// Everything remembered of the traces of one tenant.
#[derive(Debug, Default)]
pub struct Traces {
    pub traces: Map<Trace>,
    pub patterns: BTreeMap<MemoryKey, PatternMemory>,
    /// Traces by last use.
    recency: BTreeMap<u64, TraceId>,
    ends: BTreeSet<(i64, TraceId)>,
    services: HashSet<Arc<str>>,
    uses: u64,
    bytes: usize,
    /// Traces with news in this batch, and the earliest of it.
    touched: BTreeMap<TraceId, i64>,
}

impl Traces {
    /// One name for equal services.
    pub fn service(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.services.get(name) {
            return Arc::clone(known);
        }
        if self.services.len() >= SERVICES {
            self.services.clear();
        }
        let name: Arc<str> = name.into();
        self.services.insert(Arc::clone(&name));
        name
    }

    /// Takes a span in; how many spans were left out, because its trace is full. One before `floor` is taken only when
    /// its trace is known.
    pub fn take(&mut self, id: TraceId, span: Span, told: Told, bounds: Bounds, floor: i64) -> u64 {
        if span.at < floor && !self.traces.contains_key(&id) {
            return 0;
        }
        self.touch(id);
        let Some(trace) = self.traces.get_mut(&id) else { return 0 };
        let place = trace.spans.partition_point(|known| (known.at, known.id) < (span.at, span.id));
        if trace.spans.get(place).is_some_and(|known| (known.at, known.id) == (span.at, span.id)) {
            return 0;
        }
        let room = bounds.spans_per_trace.saturating_add(if span.parent.is_none() { ROOTS_BESIDES } else { 0 });
        if trace.spans.len() >= room {
            return 1;
        }
        let earliest = self.touched.entry(id).or_insert(span.at);
        *earliest = span.at.min(*earliest);
        let bytes = SPAN_BYTES + trace.note(span.id, span.at, told);
        trace.spans.insert(place, span);
        trace.bytes += bytes;
        self.bytes += bytes;
        0
    }

    /// Traces with news in this batch.
    pub fn news(&self) -> impl Iterator<Item = TraceId> {
        self.touched.keys().copied()
    }

    /// Makes the spans of a trace findable by their ids.
    pub fn index(&mut self, id: TraceId) {
        let Some(trace) = self.traces.get_mut(&id) else { return };
        let bytes = trace.beside.get_or_insert_default().index(&trace.spans);
        trace.bytes += bytes;
        self.bytes += bytes;
    }

    /// Facts of spans under the names that another set of rules has for them.
    pub fn renumber(&mut self, from: &[String], to: &[String]) {
        if from == to {
            return;
        }
        for beside in self.traces.values_mut().filter_map(|trace| trace.beside.as_mut()) {
            saved::renumber(&mut beside.facts, from, to);
        }
    }

    /// Notes that a span matches a step of a pattern. The span must have been taken in before.
    pub fn mark(&mut self, key: &MemoryKey, id: TraceId, mark: Mark, floor: i64, losses: &mut Losses) {
        let is_held =
            |trace: &Trace| trace.spans.binary_search_by_key(&(mark.at, mark.span), |span| (span.at, span.id)).is_ok();
        let trace = self.traces.get_mut(&id).filter(|trace| is_held(trace));
        let Some(trace) = trace else {
            losses.late += u64::from(mark.at < floor);
            return;
        };
        let bytes = mark_bytes(&mark);
        if !self.patterns.contains_key(key) {
            self.patterns.insert(key.clone(), PatternMemory::default());
        }
        if let Some(pattern) = self.patterns.get_mut(key)
            && pattern.mark(id, mark, losses)
        {
            trace.bytes += bytes;
            self.bytes += bytes;
            if !self.touched.contains_key(&id) {
                pattern.fresh.insert(id);
            }
        }
    }

    /// Judges what can be judged of one pattern. Firings come in order of time, then trace.
    pub fn settle(
        &mut self,
        key: &MemoryKey,
        rule: &CompiledCorrelation,
        bounds: Bounds,
        floor: i64,
        losses: &mut Losses,
    ) -> Vec<Firing> {
        let Some(mut pattern) = self.patterns.remove(key) else { return Vec::new() };
        let mut firings = pattern.settle(rule, &self.traces, &self.touched, floor, losses);
        pattern.forget_fired(bounds.traces, floor);
        self.patterns.insert(key.clone(), pattern);
        firings.sort_by(|left, right| (left.at, &left.key).cmp(&(right.at, &right.key)));
        firings
    }

    /// Ends a batch: forgets lives that are over, and traces beyond the bounds. Says how many spans that forgot before
    /// their time.
    pub fn forget(&mut self, bounds: Bounds, span_nanos: i64, floor: i64) -> u64 {
        for id in std::mem::take(&mut self.touched).into_keys() {
            self.schedule(id, span_nanos);
        }
        while self.ends.first().is_some_and(|(end, _)| *end < floor) {
            if let Some((_, id)) = self.ends.pop_first() {
                self.end_life(id, span_nanos);
            }
        }
        let mut evicted = 0;
        while self.traces.len() > bounds.traces || self.bytes > bounds.bytes {
            let Some((_, id)) = self.recency.pop_first() else { break };
            evicted += self.traces.get(&id).map_or(0, |trace| trace.spans.len() as u64);
            self.remove(id);
        }
        evicted
    }

    /// The traces, least recently used first.
    pub fn by_recency(&self) -> impl Iterator<Item = (TraceId, &Trace)> {
        self.recency.values().filter_map(|id| Some((*id, self.traces.get(id)?)))
    }

    /// Takes a trace back from a checkpoint, least recently used first.
    pub fn restore(&mut self, id: TraceId, spans: Vec<Span>, beside: Beside, span_nanos: i64) {
        self.touch(id);
        if let Some(trace) = self.traces.get_mut(&id) {
            let bytes = spans.len() * SPAN_BYTES + beside.bytes();
            trace.spans = spans;
            let says_something = !beside.facts.is_empty() || !beside.links.is_empty();
            trace.beside = says_something.then(|| Box::new(beside));
            trace.bytes += bytes;
            self.bytes += bytes;
        }
        self.schedule(id, span_nanos);
    }

    /// Takes a pattern's memory back from a checkpoint, after the traces.
    pub fn restore_pattern(&mut self, key: MemoryKey, pattern: PatternMemory) {
        for (id, state) in &pattern.states {
            if let Some(trace) = self.traces.get_mut(id) {
                let bytes: usize = state.marks.iter().map(mark_bytes).sum();
                trace.bytes += bytes;
                self.bytes += bytes;
            }
        }
        self.patterns.insert(key, pattern);
    }

    /// Marks a trace as heard of, making it when it is new.
    fn touch(&mut self, id: TraceId) {
        let trace = self.traces.entry(id).or_default();
        if trace.used == 0 {
            trace.bytes = TRACE_BYTES;
            self.bytes += TRACE_BYTES;
        } else if self.touched.contains_key(&id) {
            return;
        }
        self.uses += 1;
        self.recency.remove(&trace.used);
        trace.used = self.uses;
        self.recency.insert(self.uses, id);
    }

    /// Works out anew when a trace's first life is over.
    fn schedule(&mut self, id: TraceId, span_nanos: i64) {
        let Some(trace) = self.traces.get_mut(&id) else { return };
        self.ends.remove(&(trace.ends, id));
        let Some(last) = closing::lives(&trace.spans, span_nanos).next().and_then(<[Span]>::last) else { return };
        trace.ends = last.at.saturating_add(span_nanos);
        self.ends.insert((trace.ends, id));
    }

    fn end_life(&mut self, id: TraceId, span_nanos: i64) {
        let Some(trace) = self.traces.get_mut(&id) else { return };
        let over = closing::lives(&trace.spans, span_nanos).next().map_or(0, <[Span]>::len);
        let Some(next) = trace.spans.get(over).map(|span| span.at) else {
            let used = trace.used;
            self.recency.remove(&used);
            return self.remove(id);
        };
        let mut freed = over * SPAN_BYTES;
        let gone: Vec<Span> = trace.spans.drain(..over).collect();
        freed += trace.beside.as_mut().map_or(0, |beside| beside.forget(&gone));
        for pattern in self.patterns.values_mut() {
            freed += pattern.forget_before(id, next).iter().map(mark_bytes).sum::<usize>();
        }
        trace.bytes = trace.bytes.saturating_sub(freed);
        self.bytes = self.bytes.saturating_sub(freed);
        self.schedule(id, span_nanos);
    }

    fn remove(&mut self, id: TraceId) {
        let Some(trace) = self.traces.remove(&id) else { return };
        self.bytes = self.bytes.saturating_sub(trace.bytes);
        self.ends.remove(&(trace.ends, id));
        self.patterns.values_mut().for_each(|pattern| pattern.forget(id));
    }
}

fn mark_bytes(mark: &Mark) -> usize {
    MARK_BYTES + mark.values.iter().map(|value| 16 + value.as_ref().map_or(0, |text| text.len() + 16)).sum::<usize>()
}
