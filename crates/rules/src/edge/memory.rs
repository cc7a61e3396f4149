//! Whose spans were seen lately, and which calls still wait for their caller's span.
//!
//! Of a call the called side usually arrives first, because it ends first; sometimes the caller's does. A call is found
//! when the later of the two arrives, if they ended no further apart than [`Bounds::wait_nanos`]. Both are kept until the
//! watermark has passed that, so that the order of arrival decides nothing. Where two services use one span id, as Zipkin
//! does, the one that is heard first counts.
//!
//! Spans lie in generations by their time: forgetting takes whole ones, and costs nothing per span.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{EventId, SpanId, TraceId};

use super::side::{Role, Side};
use super::{Call, Caller};

/// Names of services that are kept once; beyond, they are kept anew.
const SERVICES: usize = 4_096;
/// Calls that wait for one span; further ones are not remembered. Looking one of them up goes through all.
const WAITING_PER_SPAN: usize = 1_000;
/// Generations that a wait is long.
const PER_WAIT: i64 = 4;

pub(super) type Key = (TraceId, SpanId);
type Map<V> = HashMap<Key, V, RandomState>;

/// Bounds on what is remembered of one tenant.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Spans, of about 64 bytes each; beyond, the oldest generation goes. Also the calls that wait.
    pub spans: usize,
    /// How far apart the two sides of a call may end, in nanoseconds.
    pub wait_nanos: i64,
}

/// Everything remembered of the calls of one tenant.
#[derive(Debug, Default)]
pub struct Memory {
    /// By number of the generation.
    generations: BTreeMap<i64, Map<(i64, Arc<str>)>>,
    spans: usize,
    /// By the span that is waited for.
    waiting: Map<Vec<Waiting>>,
    /// When the wait of each is over: time, trace, parent, span.
    deadlines: BTreeSet<(i64, TraceId, SpanId, SpanId)>,
    services: HashSet<Arc<str>>,
    /// Calls that were not remembered since the last settling.
    refused: u64,
}

/// A call whose caller's span has not come.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub at: i64,
    pub span: SpanId,
    pub service: Arc<str>,
    pub operation: Option<Arc<str>>,
    pub event: EventId,
    pub is_stored: bool,
}

impl Memory {
    /// Takes a span in, and hands out the calls it completes. `operation` is asked only when the span tells of a call to
    /// a service that is `wanted`.
    pub fn take(
        &mut self,
        side: &Side<'_>,
        bounds: Bounds,
        wanted: &dyn Fn(&str) -> bool,
        operation: &dyn Fn() -> Option<String>,
        found: &mut Vec<Call>,
    ) {
        let service = self.service(side.service);
        self.answer(side, &service, bounds, found);
        self.remember((side.place.trace, side.place.span), side.at, &service, bounds);
        match side.role {
            Role::Calls(peer) if wanted(peer) => found.push(Call {
                at: side.at,
                caller: Caller::Service(service),
                callee: self.service(peer),
                operation: operation().map(Arc::from),
                is_named: true,
                events: vec![side.event.clone()],
            }),
            Role::Called if wanted(side.service) => {
                let waiting = Waiting {
                    at: side.at,
                    span: side.place.span,
                    service,
                    operation: operation().map(Arc::from),
                    event: side.event.clone(),
                    is_stored: side.above.is_some(),
                };
                self.called(side, waiting, bounds, found);
            }
            _ => {}
        }
    }

    /// Forgets what is over at the watermark. Calls whose caller's span did not come are handed out. Returns how many
    /// spans and calls were forgotten before their time.
    pub fn settle(&mut self, bounds: Bounds, floor: i64, found: &mut Vec<Call>) -> u64 {
        while self.deadlines.first().is_some_and(|(due, ..)| *due < floor) {
            let Some(waiting) = self.next_due() else { continue };
            found.push(Call {
                at: waiting.at,
                caller: Caller::Unknown,
                callee: waiting.service,
                operation: waiting.operation,
                is_named: false,
                events: vec![waiting.event],
            });
        }
        let width = width(bounds);
        let is_over = |generation: i64| {
            let end = generation.saturating_add(1).saturating_mul(width);
            end.saturating_add(bounds.wait_nanos) <= floor
        };
        let mut evicted = std::mem::take(&mut self.refused);
        while let Some(oldest) = self.generations.first_entry() {
            let over = is_over(*oldest.key());
            if !over && self.spans <= bounds.spans {
                break;
            }
            let gone = oldest.remove().len();
            self.spans = self.spans.saturating_sub(gone);
            evicted += if over { 0 } else { gone as u64 };
        }
        while self.deadlines.len() > bounds.spans {
            self.next_due();
            evicted += 1;
        }
        evicted
    }

    /// One name for equal services.
    pub(super) fn service(&mut self, name: &str) -> Arc<str> {
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

    pub(super) fn remember(&mut self, key: Key, at: i64, service: &Arc<str>, bounds: Bounds) {
        let generation = self.generations.entry(at.div_euclid(width(bounds))).or_default();
        let before = generation.len();
        generation.entry(key).or_insert_with(|| (at, Arc::clone(service)));
        self.spans += generation.len() - before;
    }

    pub(super) fn wait(&mut self, key: Key, waiting: Waiting, bounds: Bounds) {
        let due = (waiting.at.saturating_add(bounds.wait_nanos), key.0, key.1, waiting.span);
        // a span that is sent again waits once
        if self.deadlines.contains(&due) {
            return;
        }
        let all = self.waiting.entry(key).or_default();
        if all.len() >= WAITING_PER_SPAN {
            self.refused += 1;
            return;
        }
        all.push(waiting);
        self.deadlines.insert(due);
    }

    /// The spans, in order of generation, then of their ids.
    pub(super) fn spans(&self) -> Vec<(Key, i64, &Arc<str>)> {
        let mut spans = Vec::with_capacity(self.spans);
        for generation in self.generations.values() {
            let start = spans.len();
            spans.extend(generation.iter().map(|(key, (at, service))| (*key, *at, service)));
            spans[start..].sort_unstable_by_key(|(key, ..)| *key);
        }
        spans
    }

    /// The calls that wait, in order of their deadlines.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (Key, &Waiting)> {
        self.deadlines.iter().filter_map(|(_, trace, parent, span)| {
            let key = (*trace, *parent);
            self.waiting.get(&key)?.iter().find(|waiting| waiting.span == *span).map(|waiting| (key, waiting))
        })
    }

    /// The called side has come: from outside, from a span that is known, or from one that may yet come.
    fn called(&mut self, side: &Side<'_>, waiting: Waiting, bounds: Bounds, found: &mut Vec<Call>) {
        let Some(parent) = side.place.parent else {
            found.push(Call {
                at: waiting.at,
                caller: Caller::External,
                callee: waiting.service,
                operation: waiting.operation,
                is_named: false,
                events: vec![waiting.event],
            });
            return;
        };
        let key = (side.place.trace, parent);
        match self.owner(key, side.at, bounds) {
            Some(caller) => found.extend(call(caller, waiting, key)),
            None => self.wait(key, waiting, bounds),
        }
    }

    /// Completes the calls that waited for this span.
    fn answer(&mut self, side: &Side<'_>, service: &Arc<str>, bounds: Bounds, found: &mut Vec<Call>) {
        let key = (side.place.trace, side.place.span);
        let Some(all) = self.waiting.remove(&key) else { return };
        let is_near = |waiting: &Waiting| near(waiting.at, side.at, bounds);
        let (answered, rest): (Vec<Waiting>, Vec<Waiting>) = all.into_iter().partition(is_near);
        if !rest.is_empty() {
            self.waiting.insert(key, rest);
        }
        for waiting in answered {
            self.deadlines.remove(&(waiting.at.saturating_add(bounds.wait_nanos), key.0, key.1, waiting.span));
            found.extend(call(Arc::clone(service), waiting, key));
        }
    }

    /// Whose a span is that ended about then.
    fn owner(&self, key: Key, at: i64, bounds: Bounds) -> Option<Arc<str>> {
        let width = width(bounds);
        let (first, last) = (at.saturating_sub(bounds.wait_nanos), at.saturating_add(bounds.wait_nanos));
        let mut generations = self.generations.range(first.div_euclid(width)..=last.div_euclid(width));
        generations.find_map(|(_, generation)| {
            let (ended, service) = generation.get(&key)?;
            near(*ended, at, bounds).then(|| Arc::clone(service))
        })
    }

    fn next_due(&mut self) -> Option<Waiting> {
        let (_, trace, parent, span) = self.deadlines.pop_first()?;
        let all = self.waiting.get_mut(&(trace, parent))?;
        let place = all.iter().position(|waiting| waiting.span == span)?;
        let waiting = all.swap_remove(place);
        if all.is_empty() {
            self.waiting.remove(&(trace, parent));
        }
        Some(waiting)
    }
}

/// A call, unless a service calls itself.
fn call(caller: Arc<str>, waiting: Waiting, (trace, parent): Key) -> Option<Call> {
    if caller == waiting.service {
        return None;
    }
    let above = waiting.is_stored.then_some(EventId::Span(trace, parent));
    Some(Call {
        at: waiting.at,
        caller: Caller::Service(caller),
        callee: waiting.service,
        operation: waiting.operation,
        is_named: false,
        events: above.into_iter().chain([waiting.event]).collect(),
    })
}

fn near(one: i64, other: i64, bounds: Bounds) -> bool {
    one.abs_diff(other) <= bounds.wait_nanos.unsigned_abs()
}

fn width(bounds: Bounds) -> i64 {
    (bounds.wait_nanos / PER_WAIT).max(1)
}
