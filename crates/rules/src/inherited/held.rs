//! The rows that wait for the spans they inherit from.

use std::collections::{BTreeMap, BTreeSet};

use model::TraceId;

use super::plan::{Inheritance, Waiting};
use super::row::{Known, Row};
use crate::set::{CompiledBody, RuleSet};
use crate::trace::memory::{Trace, Traces};
use crate::trace::pattern::Map;

/// Rows of one trace that wait; further ones are let go.
pub const ROWS_PER_TRACE: usize = 1_024;

/// Bounds on what waits for one tenant.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub rows: usize,
    pub bytes: usize,
}

/// Rows that wait, for one tenant.
#[derive(Debug, Default)]
pub struct Held {
    /// In order of arrival within their trace.
    rows: Map<Vec<Row>>,
    /// When a row of a trace is waited for no longer.
    due: BTreeSet<(i64, TraceId)>,
    count: usize,
    bytes: usize,
}

/// How many rows of each rule were let go because a bound was met.
pub type LetGo = BTreeMap<usize, u64>;

impl Held {
    /// Takes a row in and gives it back when nothing is to be waited for. The rows that wait longest go when there are
    /// too many.
    pub fn offer(
        &mut self,
        mut row: Row,
        set: &RuleSet,
        traces: &mut Traces,
        bounds: Bounds,
        gone: &mut LetGo,
    ) -> Option<Known> {
        row.trace.into_iter().for_each(|id| traces.index(id));
        let trace = row.trace.and_then(|id| traces.traces.get(&id));
        let (waiting, plan) = asked(&row, set)?;
        if row.settle(waiting, plan, trace) {
            return inherit(row, set, trace);
        }
        let id = row.trace?;
        let rows = self.rows.entry(id).or_default();
        if rows.len() >= ROWS_PER_TRACE {
            *gone.entry(row.rule).or_default() += 1;
            return None;
        }
        self.count += 1;
        self.bytes += row.bytes();
        self.due.insert((row.deadline(), id));
        rows.push(row);
        while self.count > bounds.rows || self.bytes > bounds.bytes {
            let Some((deadline, trace)) = self.due.pop_first() else { break };
            for row in self.remove(trace, |row| row.deadline() == deadline) {
                *gone.entry(row.rule).or_default() += 1;
            }
        }
        None
    }

    /// The rows for which the spans of this batch were what they waited for.
    pub fn settle(&mut self, set: &RuleSet, traces: &mut Traces) -> Vec<Known> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let news: Vec<TraceId> = traces.news().filter(|id| self.rows.contains_key(id)).collect();
        let mut known = Vec::new();
        for id in news {
            traces.index(id);
            let trace = traces.traces.get(&id);
            let mut settled = false;
            for row in self.rows.get_mut(&id).into_iter().flatten() {
                let Some((waiting, plan)) = asked(row, set) else { continue };
                settled |= row.settle(waiting, plan, trace);
            }
            if settled {
                let rows = self.remove(id, |row| row.is_settled);
                known.extend(rows.into_iter().filter_map(|row| inherit(row, set, trace)));
            }
        }
        known
    }

    /// The rows that are waited for no longer because the watermark has passed, with what is known by now.
    pub fn expire(&mut self, floor: i64, set: &RuleSet, traces: &mut Traces) -> Vec<Known> {
        let mut known = Vec::new();
        while self.due.first().is_some_and(|(deadline, _)| *deadline < floor) {
            let Some((deadline, id)) = self.due.pop_first() else { break };
            traces.index(id);
            let rows = self.remove(id, |row| row.deadline() == deadline);
            let trace = traces.traces.get(&id);
            for mut row in rows {
                let Some((waiting, plan)) = asked(&row, set) else { continue };
                row.settle(waiting, plan, trace);
                known.push(row.inherit(waiting, plan, trace));
            }
        }
        known
    }

    /// The rows by trace, in order.
    pub fn by_trace(&self) -> BTreeMap<TraceId, &[Row]> {
        self.rows.iter().map(|(id, rows)| (*id, rows.as_slice())).collect()
    }

    /// Takes back a row that waited.
    pub fn put_back(&mut self, row: Row) {
        let Some(trace) = row.trace else { return };
        self.count += 1;
        self.bytes += row.bytes();
        self.due.insert((row.deadline(), trace));
        self.rows.entry(trace).or_default().push(row);
    }

    fn remove(&mut self, trace: TraceId, is_gone: impl Fn(&Row) -> bool) -> Vec<Row> {
        let Some(rows) = self.rows.remove(&trace) else { return Vec::new() };
        let (gone, kept): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(is_gone);
        self.count = self.count.saturating_sub(gone.len());
        self.bytes = self.bytes.saturating_sub(gone.iter().map(Row::bytes).sum());
        for row in &gone {
            self.due.remove(&(row.deadline(), trace));
        }
        self.due.extend(kept.iter().map(|row| (row.deadline(), trace)));
        if !kept.is_empty() {
            self.rows.insert(trace, kept);
        }
        gone
    }
}

/// What the rule of a row asks; `None` when it holds no rows.
fn asked<'s>(row: &Row, set: &'s RuleSet) -> Option<(&'s Waiting, &'s Inheritance)> {
    let CompiledBody::Event(event) = &set.rules.get(row.rule)?.body else { return None };
    event.waiting.as_deref().zip(set.inherited.as_ref())
}

fn inherit(row: Row, set: &RuleSet, trace: Option<&Trace>) -> Option<Known> {
    let (waiting, plan) = asked(&row, set)?;
    Some(row.inherit(waiting, plan, trace))
}
