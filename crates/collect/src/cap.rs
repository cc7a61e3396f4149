//! How varied the events of a key may be: distinct operations per hour, and events per trace.
//!
//! Operations are pairs of service and span name, kept as hashes in a set that is never larger than the cap and is
//! emptied when a new hour (of reception) begins. Two operations with one hash count as one, so nothing is rejected
//! that the cap allows.
//!
//! Events per trace are counted for the [`MAX_TRACES`] busiest traces of a key (Misra and Gries): when the table is full
//! and another trace comes, every count is lowered. A count is therefore never above the truth, so no trace is capped
//! before its time, and it is below it by at most one in [`MAX_TRACES`] of all the events of the key. Equal trace ids
//! that follow each other are looked up once.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;

use access::{KeyLimits, OnOtherService};
use arrow::array::{Array, AsArray, BooleanArray, DictionaryArray, RecordBatch};
use arrow::datatypes::Int32Type;
use model::signal::{self, span};
use model::{Signal, UnixNanos};

/// Traces whose events are counted at a time, per key: about 200 KB.
pub(crate) const MAX_TRACES: usize = 4_096;
/// Pairs of service and name for which a verdict is remembered within one request; with more, it is looked up again.
const MEMO_PAIRS: usize = 1 << 16;
const HOUR_NANOS: i64 = 3_600_000_000_000;

/// What one key has sent, as far as its caps need it.
#[derive(Debug, Default)]
pub(crate) struct Caps {
    hour: i64,
    operations: HashSet<u64>,
    hasher: RandomState,
    traces: Traces,
}

/// What becomes of the events of a request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Which rows stay; `None` when all do.
    pub kept: Option<BooleanArray>,
    /// Rows of services that the key does not list, for a key that rejects those.
    pub other_service: u64,
    /// Rows of operations beyond the cap.
    pub operations: u64,
    /// Rows of traces beyond the cap.
    pub trace_events: u64,
    /// What was counted: trace and rows.
    counted: Vec<(u128, u64)>,
}

impl Verdict {
    /// Rows that do not stay.
    pub fn rejected(&self) -> u64 {
        self.other_service + self.operations + self.trace_events
    }

    /// One sentence for the client that names every limit with its value; empty when all rows stay.
    pub fn message(&self, limits: &KeyLimits, records: &str) -> String {
        let mut why = Vec::new();
        if self.other_service > 0 {
            why.push(format!("{} of services that this key does not list", self.other_service));
        }
        if self.operations > 0 {
            let cap = limits.max_operations;
            why.push(format!("{} of operations beyond max_operations, {cap} in an hour", self.operations));
        }
        if self.trace_events > 0 {
            why.push(format!("{} beyond max_trace_events, {} in a trace", self.trace_events, limits.max_trace_events));
        }
        if why.is_empty() {
            return String::new();
        }
        let count = self.rejected();
        format!("{count} {records} rejected by the limits of the key, not to be sent again: {}", why.join("; "))
    }
}

impl Caps {
    /// Decides about every row and counts those that stay.
    pub fn judge(
        &mut self,
        signal: Signal,
        records: &RecordBatch,
        limits: &KeyLimits,
        received_at: UnixNanos,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let mut kept = vec![true; records.num_rows()];
        if limits.on_other_service == OnOtherService::Reject {
            verdict.other_service = drop_other_services(records, &mut kept);
        }
        if signal == Signal::Spans {
            let hour = received_at.0.div_euclid(HOUR_NANOS);
            if hour != self.hour {
                self.operations = HashSet::new();
                self.hour = hour;
            }
            verdict.operations = self.drop_operations(records, limits.max_operations, &mut kept);
        }
        (verdict.trace_events, verdict.counted) = self.traces.drop_events(records, limits.max_trace_events, &mut kept);
        if verdict.rejected() > 0 {
            verdict.kept = Some(BooleanArray::from(kept));
        }
        verdict
    }

    /// Takes back the counting of a request that was not stored: its client sends it again.
    pub fn forget(&mut self, verdict: &Verdict) {
        for (trace, events) in &verdict.counted {
            self.traces.take_back(*trace, *events);
        }
    }

    /// How many operations and traces are held.
    pub fn held(&self) -> (usize, usize) {
        (self.operations.len(), self.traces.counts.len())
    }

    fn drop_operations(&mut self, records: &RecordBatch, cap: u64, kept: &mut [bool]) -> u64 {
        let (Some(services), Some(names)) = (labels(records, signal::SERVICE), labels(records, span::NAME)) else {
            return 0;
        };
        let (service_texts, name_texts) = (services.values().as_string::<i32>(), names.values().as_string::<i32>());
        let pairs = service_texts.len().saturating_mul(name_texts.len());
        let mut memo: Vec<Option<bool>> = vec![None; if pairs <= MEMO_PAIRS { pairs } else { 0 }];
        let mut dropped = 0;
        for (row, kept) in kept.iter_mut().enumerate() {
            let (Some(service), Some(name)) = (services.key(row), names.key(row)) else { continue };
            if !*kept {
                continue;
            }
            let place = service * name_texts.len() + name;
            let is_known = memo.get(place).copied().flatten();
            let stays = is_known
                .unwrap_or_else(|| self.has_operation(service_texts.value(service), name_texts.value(name), cap));
            if let Some(place) = memo.get_mut(place) {
                *place = Some(stays);
            }
            *kept = stays;
            dropped += u64::from(!stays);
        }
        dropped
    }

    /// Whether the operation is among the first `cap` of the hour; it is from now on, if there is room.
    fn has_operation(&mut self, service: &str, name: &str, cap: u64) -> bool {
        let hash = self.hasher.hash_one((service, name));
        if self.operations.contains(&hash) {
            return true;
        }
        let has_room = (self.operations.len() as u64) < cap;
        if has_room {
            self.operations.insert(hash);
        }
        has_room
    }
}

/// Event counts of the busiest traces.
#[derive(Debug, Default)]
struct Traces {
    counts: HashMap<u128, u64>,
}

impl Traces {
    fn drop_events(&mut self, records: &RecordBatch, cap: u64, kept: &mut [bool]) -> (u64, Vec<(u128, u64)>) {
        let ids = records.column_by_name(signal::TRACE_ID).and_then(|column| column.as_fixed_size_binary_opt());
        let Some(ids) = ids else { return (0, Vec::new()) };
        let id =
            |row: usize| if ids.is_null(row) { None } else { ids.value(row).try_into().ok().map(u128::from_be_bytes) };
        let (mut dropped, mut counted) = (0, Vec::new());
        let mut row = 0;
        while row < kept.len() {
            let trace = id(row);
            let mut end = row + 1;
            while end < kept.len() && id(end) == trace {
                end += 1;
            }
            if let Some(trace) = trace {
                let wanted = kept[row..end].iter().filter(|stays| **stays).count() as u64;
                let allowed = self.take(trace, wanted, cap);
                counted.push((trace, allowed));
                let late = kept[row..end]
                    .iter_mut()
                    .filter(|stays| **stays)
                    .skip(usize::try_from(allowed).unwrap_or(usize::MAX));
                late.for_each(|stays| *stays = false);
                dropped += wanted - allowed;
            }
            row = end;
        }
        (dropped, counted)
    }

    /// Counts up to `wanted` events of a trace; how many the cap allows.
    fn take(&mut self, trace: u128, wanted: u64, cap: u64) -> u64 {
        let held = self.counts.get(&trace).copied().unwrap_or(0);
        let allowed = wanted.min(cap.saturating_sub(held));
        self.add(trace, allowed);
        allowed
    }

    fn add(&mut self, trace: u128, events: u64) {
        if let Some(count) = self.counts.get_mut(&trace) {
            *count += events;
            return;
        }
        let mut left = events;
        // every round ends the loop or makes room; the events that are taken off were paid for when they were counted
        while left > 0 && self.counts.len() >= MAX_TRACES {
            let step = self.counts.values().copied().min().unwrap_or(left).min(left);
            left -= step;
            self.counts.retain(|_, count| {
                *count -= step;
                *count > 0
            });
        }
        if left > 0 {
            self.counts.insert(trace, left);
        }
    }

    fn take_back(&mut self, trace: u128, events: u64) {
        let Some(count) = self.counts.get_mut(&trace) else { return };
        *count = count.saturating_sub(events);
        if *count == 0 {
            self.counts.remove(&trace);
        }
    }
}

fn drop_other_services(records: &RecordBatch, kept: &mut [bool]) -> u64 {
    let verified = records.column_by_name(signal::SERVICE_VERIFIED).and_then(|column| column.as_boolean_opt());
    let Some(verified) = verified.filter(|column| column.null_count() < column.len()) else { return 0 };
    let mut dropped = 0;
    for (row, stays) in kept.iter_mut().enumerate() {
        if verified.is_valid(row) && !verified.value(row) {
            *stays = false;
            dropped += 1;
        }
    }
    dropped
}

fn labels<'a>(records: &'a RecordBatch, name: &str) -> Option<&'a DictionaryArray<Int32Type>> {
    records.column_by_name(name)?.as_dictionary_opt::<Int32Type>()
}

#[cfg(test)]
mod tests;
