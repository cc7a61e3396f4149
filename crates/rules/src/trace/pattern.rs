//! What one pattern remembers of the traces that matched a step of it, and when it fires.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use model::TraceId;

use super::binding::{self, Search};
use super::closing::{self, Progress, VERDICTS};
use super::memory::Trace;
use super::tree::{Span, Tree};
use super::{Mark, TracePattern, Wait, bit, links, sampling};
use crate::correlate::{Firing, Losses};
use crate::reason;
use crate::set::CompiledCorrelation;

/// Spans of one trace that are remembered as matching one step.
pub const MARKS_PER_STEP: usize = 256;
/// What looking at one trace may cost over its life. Each span that comes makes it looked at anew, so a trace that is
/// made to match much and fit nowhere would cost more and more; beyond this it is let go, and counted.
const COST_PER_TRACE: u64 = 4_000_000;
/// How long it is remembered that a trace has fired.
const FIRED_NANOS: i64 = 3_600 * 1_000_000_000;

/// A map over ids that senders choose: quick, and seeded anew in every process.
pub type Map<V> = HashMap<TraceId, V, RandomState>;

/// The memory of one pattern.
#[derive(Debug, Default)]
pub struct PatternMemory {
    /// Only traces in which a span matched a step.
    pub states: Map<State>,
    /// Traces that have fired, and when: none does so twice.
    pub fired: BTreeMap<TraceId, i64>,
    fired_by_time: BTreeSet<(i64, TraceId)>,
    /// Moments to judge when the watermark has passed them.
    due: BTreeSet<(i64, TraceId)>,
    /// Traces of which only now is known that a span of theirs matches.
    pub fresh: BTreeSet<TraceId>,
    /// Traces are looked at for the sake of others, even when they have fired.
    looks_along_links: bool,
}

/// One trace as the pattern sees it.
#[derive(Debug)]
pub struct State {
    /// Spans that match a step, in order of time, then id, then step.
    pub marks: Vec<Mark>,
    pub progress: Progress,
    /// What is to be judged next.
    pub due: Option<Progress>,
    /// What it cost to look at the trace so far: spans that were put into a tree, and pairs of them.
    pub spent: u64,
}

impl PatternMemory {
    /// Notes a span that matches a step; whether it is news.
    pub fn mark(&mut self, id: TraceId, mark: Mark, losses: &mut Losses) -> bool {
        if self.fired.contains_key(&id) && !self.looks_along_links {
            return false;
        }
        let new = || State { marks: Vec::new(), progress: Progress::NEW, due: None, spent: 0 };
        let marks = &mut self.states.entry(id).or_insert_with(new).marks;
        let place = marks.partition_point(|known| key(known) < key(&mark));
        if marks.get(place).is_some_and(|known| key(known) == key(&mark)) {
            return false;
        }
        if marks.iter().filter(|known| known.step == mark.step).count() >= MARKS_PER_STEP {
            losses.evicted += 1;
            return false;
        }
        marks.insert(place, mark);
        true
    }

    /// Judges traces with news, and those whose moment the watermark has passed.
    pub fn settle(
        &mut self,
        rule: &CompiledCorrelation,
        traces: &Map<Trace>,
        touched: &BTreeMap<TraceId, i64>,
        floor: i64,
        losses: &mut Losses,
    ) -> Vec<Firing> {
        let Some(pattern) = rule.trace.as_deref() else { return Vec::new() };
        self.looks_along_links = pattern.looks_along_links();
        let mut firings = Vec::new();
        let fresh = std::mem::take(&mut self.fresh).into_iter().map(|id| (id, None));
        for (id, earliest) in touched.iter().map(|(id, earliest)| (*id, Some(*earliest))).chain(fresh) {
            let is_open = self.states.contains_key(&id) && !self.fired.contains_key(&id);
            let Some(trace) = traces.get(&id).filter(|_| is_open) else { continue };
            match pattern.wait {
                None => {
                    let lives = closing::lives(&trace.spans, pattern.span_nanos);
                    let found = lives.into_iter().find_map(|life| self.look(rule, traces, (id, life), None, losses));
                    firings.extend(found.map(|firing| self.fire(id, firing)));
                }
                Some(wait) => self.schedule(pattern, wait, id, &trace.spans, earliest),
            }
        }
        let Some(wait) = pattern.wait else { return firings };
        while self.due.first().is_some_and(|(moment, _)| *moment < floor) {
            let Some((_, id)) = self.due.pop_first() else { break };
            let Some(trace) = traces.get(&id) else { continue };
            let Some(due) = self.states.get_mut(&id).and_then(|state| state.due.take()) else { continue };
            let end = trace.spans.partition_point(|span| span.at <= due.judged);
            let spans = &trace.spans[..end];
            let life = closing::life(spans, end, pattern.span_nanos);
            let is_whole = !wait.root || life.iter().any(|span| span.parent.is_none());
            if is_whole || pattern.absent == 0 {
                let closed = Some((due.judged, is_whole));
                if let Some(firing) = self.look(rule, traces, (id, life), closed, losses) {
                    firings.push(self.fire(id, firing));
                    continue;
                }
            }
            if let Some(state) = self.states.get_mut(&id) {
                state.progress = Progress { judged: due.judged, times: due.times.saturating_add(1) };
            }
            self.schedule(pattern, wait, id, &trace.spans, None);
        }
        firings
    }

    /// Forgets firings that are long past, and the oldest beyond a number.
    pub fn forget_fired(&mut self, limit: usize, floor: i64) {
        let before = floor.saturating_sub(FIRED_NANOS);
        while self.fired_by_time.first().is_some_and(|(at, _)| *at < before || self.fired.len() > limit) {
            if let Some((_, id)) = self.fired_by_time.pop_first() {
                self.fired.remove(&id);
            }
        }
    }

    /// Forgets a trace.
    pub fn forget(&mut self, id: TraceId) {
        if let Some(State { due: Some(due), .. }) = self.states.remove(&id) {
            self.due.remove(&(due.judged, id));
        }
    }

    /// Forgets and returns what a trace matched before a moment.
    pub fn forget_before(&mut self, id: TraceId, moment: i64) -> Vec<Mark> {
        let Some(state) = self.states.get_mut(&id) else { return Vec::new() };
        let gone = state.marks.partition_point(|mark| mark.at < moment);
        let gone: Vec<Mark> = state.marks.drain(..gone).collect();
        if state.marks.is_empty() {
            self.forget(id);
        }
        gone
    }

    /// Takes back what a checkpoint held.
    pub fn restore(states: Map<State>, fired: BTreeMap<TraceId, i64>, pattern: Option<&TracePattern>) -> Self {
        let due = states.iter().filter_map(|(id, state)| Some((state.due?.judged, *id))).collect();
        let fired_by_time = fired.iter().map(|(id, at)| (*at, *id)).collect();
        let looks_along_links = pattern.is_some_and(TracePattern::looks_along_links);
        Self { states, fired, fired_by_time, due, fresh: BTreeSet::new(), looks_along_links }
    }

    /// Works out anew what is to be judged next. News of a life that was judged once is judged once more.
    fn schedule(&mut self, pattern: &TracePattern, wait: Wait, id: TraceId, spans: &[Span], earliest: Option<i64>) {
        let Some(state) = self.states.get_mut(&id) else { return };
        if let Some(due) = state.due.take() {
            self.due.remove(&(due.judged, id));
        }
        let progress = state.progress;
        let is_late = earliest.is_some_and(|earliest| earliest <= progress.judged);
        state.due = match is_late && (1..VERDICTS).contains(&progress.times) {
            true => Some(progress),
            false => closing::next(pattern, wait, spans, progress),
        };
        if let Some(due) = state.due {
            self.due.insert((due.judged, id));
        }
    }

    /// Whether the pattern holds in one life of a trace. `closed` is the moment it is judged for and whether the root
    /// was seen.
    fn look(
        &mut self,
        rule: &CompiledCorrelation,
        traces: &Map<Trace>,
        (id, life): (TraceId, &[Span]),
        closed: Option<(i64, bool)>,
        losses: &mut Losses,
    ) -> Option<Firing> {
        let pattern = rule.trace.as_deref()?;
        let (first, last) = (life.first()?.at, life.last()?.at);
        let joined = closed.filter(|_| self.looks_along_links).map(|(moment, _)| {
            let joined = links::join(pattern, traces, &self.states, (id, life), moment);
            losses.limited += u64::from(joined.is_cut);
            joined
        });
        let state = self.states.get_mut(&id)?;
        let own = state.marks.iter().filter(|mark| (first..=last).contains(&mark.at));
        let marks: Vec<&Mark> = joined.as_ref().map_or_else(|| own.collect(), |joined| joined.marks.iter().collect());
        if state.spent > COST_PER_TRACE || !is_worth_it(pattern, &marks) {
            return None;
        }
        let spans = joined.as_ref().map_or(life, |joined| joined.spans.as_slice());
        if pattern.unsampled && pattern.absent != 0 && sampling::is_thinned(spans) {
            losses.limited += 1;
            return None;
        }
        let tree = joined.as_ref().map_or_else(|| Tree::new(life), Tree::of_joined);
        let (found, pairs) = binding::find(pattern, &tree, marks.iter().copied());
        let spent = state.spent + spans.len() as u64 + pairs;
        let firing = match found {
            Search::Found(found) => Some(firing(rule, pattern, id, &tree, &found, closed)),
            Search::Nothing => {
                losses.limited += u64::from(spent > COST_PER_TRACE);
                None
            }
            Search::GaveUp => {
                losses.limited += 1;
                None
            }
        };
        state.spent = spent;
        firing
    }

    fn fire(&mut self, id: TraceId, firing: Firing) -> Firing {
        self.fired.insert(id, firing.at);
        self.fired_by_time.insert((firing.at, id));
        if !self.looks_along_links {
            self.forget(id);
        }
        firing
    }
}

/// Whether there are as many matches as some choice of steps needs.
fn is_worth_it(pattern: &TracePattern, marks: &[&Mark]) -> bool {
    let taken = marks.iter().fold(0, |taken, mark| taken | bit(mark.step));
    let is_short = |(step, least): &(usize, usize)| {
        let seen = marks.iter().filter(|mark| mark.step == *step).take(*least).count();
        seen < *least
    };
    let short = pattern.counts.iter().filter(|count| is_short(count)).fold(0, |short, (step, _)| short | bit(*step));
    pattern.choices.iter().any(|choice| choice & taken == *choice && choice & short == 0)
}

/// What a binding says. `closed` is as above.
fn firing(
    rule: &CompiledCorrelation,
    pattern: &TracePattern,
    id: TraceId,
    tree: &Tree<'_>,
    found: &[(usize, &Mark)],
    closed: Option<(i64, bool)>,
) -> Firing {
    let mut shown: Vec<&Mark> = found.iter().map(|(_, mark)| *mark).collect();
    shown.sort_by_key(|mark| key(mark));
    shown.dedup_by(|one, other| one.event == other.event);
    let (since, ends) = (shown.first().map_or(0, |mark| mark.at), shown.last().map_or(0, |mark| mark.at));
    Firing {
        at: closed.map_or(ends, |(moment, _)| moment),
        since,
        key: id.to_string().into(),
        group: pattern.group.iter().filter_map(|pick| binding::value(pick, found).cloned()).collect(),
        metric: found.len() as f64,
        note: Some(reason::of_trace(rule, pattern, tree, found, closed.is_none_or(|(_, is_whole)| is_whole))),
        events: shown.into_iter().map(|mark| mark.event.clone()).collect(),
        omitted: 0,
    }
}

fn key(mark: &Mark) -> (i64, model::SpanId, usize) {
    (mark.at, mark.span, mark.step)
}
