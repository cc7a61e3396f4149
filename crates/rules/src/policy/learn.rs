//! Who called whom, out of stored spans: by the same reading of spans that judges calls live.
//!
//! Spans come in slices of time, in any order within a slice. What is learned is bounded: see [`EDGES`] and [`OPERATIONS`].

use std::collections::BTreeMap;
use std::time::Duration;

use model::{EventBatch, UnixNanos};

use super::verdict::ANY_CALLER;
use super::workload::{self, Sightings};
use crate::column::{Columns, Plan};
use crate::edge::memory::{Bounds, Memory};
use crate::edge::side::Fields;
use crate::edge::{Call, Caller};
use crate::events::Events;

/// Callers and callees told apart at most, the outside being a caller; further pairs are counted only.
const EDGES: usize = 20_000;
/// Operations told apart for one caller and callee; with more, everything is allowed between the two.
const OPERATIONS: usize = 200;
/// Services whose place in a cluster is noted.
const WORKLOADS: usize = 5_000;
/// Spans remembered until the other side of their call has come.
const SPANS: usize = 2_000_000;
/// How far apart the two sides of a call may end: the same as live.
const WAIT: Duration = Duration::from_secs(60);

/// Calls that were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// How many.
    pub calls: u64,
    /// When the first one ended.
    pub first: UnixNanos,
    /// When the last one ended.
    pub last: UnixNanos,
}

/// The same calls as either side tells of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides {
    /// By the side that is called.
    served: Option<Seen>,
    /// By the caller, who names the other side.
    named: Option<Seen>,
}

/// Calls from one service to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learned {
    /// All of them.
    pub all: Sides,
    /// By what they ask for.
    pub operations: BTreeMap<String, Sides>,
    /// There are more operations than are told apart, or their spans were not read.
    pub is_open: bool,
}

/// Who called whom.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// By callee, then caller.
    pub calls: BTreeMap<String, BTreeMap<String, Learned>>,
    /// Requests from outside, by callee.
    pub external: BTreeMap<String, Learned>,
    /// Calls whose caller's span did not come, by callee.
    pub unknown: BTreeMap<String, Seen>,
    /// Where services run.
    pub(crate) workloads: BTreeMap<String, Sightings>,
    /// Spans read.
    pub spans: u64,
    /// Calls between pairs past the limit.
    pub left_out: u64,
    pairs: usize,
}

/// Learns a graph from stored spans. Pure: it is given the spans.
#[derive(Debug)]
pub struct Learner {
    plan: Plan,
    fields: Fields,
    places: workload::Fields,
    memory: Memory,
    graph: Graph,
}

impl Default for Learner {
    fn default() -> Self {
        let mut plan = Plan::default();
        let (fields, places) = (Fields::new(&mut plan), workload::Fields::new(&mut plan));
        Self { plan, fields, places, memory: Memory::default(), graph: Graph::default() }
    }
}

impl Learner {
    /// Takes stored spans in.
    pub fn take(&mut self, batch: &EventBatch) {
        let Some(events) = Events::stored(batch) else { return };
        let mut columns = Columns::new(events.records, &self.plan, false);
        self.fields.prepare(&events, &mut columns);
        self.places.prepare(&mut columns);
        let mut found = Vec::new();
        self.graph.spans += events.len() as u64;
        for row in 0..events.len() {
            let Some(side) = self.fields.side(&events, &columns, row) else { continue };
            let known = self.graph.workloads.len() < WORKLOADS || self.graph.workloads.contains_key(side.service);
            if known {
                self.places.note(&columns, row, &side, &mut self.graph.workloads);
            }
            let operation = || self.fields.operation(&columns, row, side.role);
            self.memory.take(&side, bounds(), &|_| true, &operation, &mut found);
        }
        found.into_iter().for_each(|call| self.graph.add(call));
    }

    /// Ends a slice: every span that ended before `floor` has been taken in.
    pub fn settle(&mut self, floor: UnixNanos) {
        let mut found = Vec::new();
        self.memory.settle(bounds(), floor.0, &mut found);
        found.into_iter().for_each(|call| self.graph.add(call));
    }

    /// What was learned.
    pub fn finish(mut self) -> Graph {
        self.settle(UnixNanos(i64::MAX));
        self.graph
    }
}

impl Graph {
    /// Adds calls between two services that are known from counts alone: whatever they ask for is then allowed. Changes
    /// nothing when the pair is known from its spans.
    pub fn add_counted(&mut self, caller: &str, callee: &str, seen: Seen) {
        let callers = self.calls.entry(callee.to_owned()).or_default();
        let all = Sides { served: Some(seen), named: None };
        callers.entry(caller.to_owned()).or_insert_with(|| Learned { all, is_open: true, ..Learned::default() });
    }

    /// Whether a service is called by another, or from outside.
    pub fn callees(&self) -> impl Iterator<Item = &str> {
        let mut callees: Vec<&str> = self.calls.keys().chain(self.external.keys()).map(String::as_str).collect();
        callees.sort_unstable();
        callees.dedup();
        callees.into_iter()
    }

    fn add(&mut self, call: Call) {
        let seen = Seen { calls: 1, first: UnixNanos(call.at), last: UnixNanos(call.at) };
        let callee = call.callee.to_string();
        let learned = match call.caller {
            Caller::Unknown => {
                if self.unknown.len() < EDGES || self.unknown.contains_key(&callee) {
                    self.unknown.entry(callee).and_modify(|all| all.join(seen)).or_insert(seen);
                }
                return;
            }
            Caller::External => {
                if self.external.len() >= EDGES && !self.external.contains_key(&callee) {
                    self.left_out += 1;
                    return;
                }
                self.external.entry(callee).or_default()
            }
            // a service that is called like the word for all of them is none of them
            Caller::Service(caller) if *caller == *ANY_CALLER => {
                self.left_out += 1;
                return;
            }
            Caller::Service(caller) => {
                let is_known = self.calls.get(&callee).is_some_and(|callers| callers.contains_key(&*caller));
                if !is_known {
                    if self.pairs >= EDGES {
                        self.left_out += 1;
                        return;
                    }
                    self.pairs += 1;
                }
                let callers = self.calls.entry(callee).or_default();
                callers.entry(caller.to_string()).or_default()
            }
        };
        learned.add(call.operation.as_deref(), seen, call.is_named);
    }
}

impl Learned {
    fn add(&mut self, operation: Option<&str>, seen: Seen, is_named: bool) {
        self.all.add(seen, is_named);
        let Some(operation) = operation else { return };
        if let Some(all) = self.operations.get_mut(operation) {
            all.add(seen, is_named);
        } else if self.operations.len() >= OPERATIONS {
            self.is_open = true;
        } else {
            self.operations.entry(operation.to_owned()).or_default().add(seen, is_named);
        }
    }
}

impl Sides {
    /// What is known of the calls: by the side that saw more of them.
    pub fn seen(&self) -> Option<Seen> {
        self.served.into_iter().chain(self.named).max_by_key(|seen| seen.calls)
    }

    fn add(&mut self, seen: Seen, is_named: bool) {
        let side = if is_named { &mut self.named } else { &mut self.served };
        match side {
            Some(all) => all.join(seen),
            None => *side = Some(seen),
        }
    }
}

impl Seen {
    fn join(&mut self, other: Self) {
        self.calls += other.calls;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

fn bounds() -> Bounds {
    let wait_nanos = i64::try_from(WAIT.as_nanos()).unwrap_or(i64::MAX);
    Bounds { spans: SPANS, wait_nanos }
}
