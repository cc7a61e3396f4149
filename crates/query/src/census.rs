//! Counts spans in one pass: per service, per operation, and from caller to callee.
//!
//! Resent copies are told apart by all they say, durations are sampled evenly once a group has many, and a parent is
//! found by a hash table of span ids; so the memory is a few dozen bytes per span, and bounded by the rows that are read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int8Type, Int64Type, TimestampNanosecondType};
use model::UnixNanos;
use model::signal::span::STATUS_ERROR;
use model::view::{ViewError, text_at};

use crate::MapEdge;

/// Durations kept per group; past it every second one is dropped, and of those that follow too.
const SAMPLE: usize = 8_192;

/// Trace and span id folded into one number. Two spans of one map share it by chance once in 2^128 pairs.
type SpanKey = u128;

/// Spans of a group: how many, how many failed, how long they took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub spans: u64,
    pub errors: u64,
    pub last_seen: UnixNanos,
    kept: Vec<i64>,
    /// Of how many durations one is kept, less one.
    skips: u64,
}

impl Tally {
    fn add(&mut self, is_error: bool, duration_nanos: i64, start: UnixNanos) {
        if self.spans.is_multiple_of(self.skips + 1) {
            if self.kept.len() == SAMPLE {
                let mut number = 0;
                self.kept.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.skips = self.skips * 2 + 1;
            }
            if self.spans.is_multiple_of(self.skips + 1) {
                self.kept.push(duration_nanos);
            }
        }
        self.spans += 1;
        self.errors += u64::from(is_error);
        self.last_seen = self.last_seen.max(start);
    }

    pub(crate) fn figures(&self) -> Figures {
        let [p50_nanos, p95_nanos] = self.percentiles(SHARES);
        Figures { spans: self.spans, errors: self.errors, p50_nanos, p95_nanos, last_seen: self.last_seen }
    }

    /// The durations below which the given shares lie, interpolated; 0 without spans.
    fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [i64; N] {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        shares.map(|share| {
            let place = share * sorted.len().saturating_sub(1) as f64;
            let (below, above) = (place.floor() as usize, place.ceil() as usize);
            let (Some(low), Some(high)) = (sorted.get(below), sorted.get(above)) else { return 0 };
            low + ((high - low) as f64 * place.fract()).round() as i64
        })
    }
}

/// What spans of a group come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub spans: u64,
    pub errors: u64,
    pub p50_nanos: i64,
    pub p95_nanos: i64,
    pub last_seen: UnixNanos,
}

/// The percentiles that are told.
pub(crate) const SHARES: [f64; 2] = [0.5, 0.95];

/// Tells copies of a span apart from other spans.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    seen: HashSet<(SpanKey, u64)>,
}

impl Copies {
    fn is_new(&mut self, columns: &Columns<'_>, row: usize) -> bool {
        let mut hasher = DefaultHasher::new();
        columns.parent(row).hash(&mut hasher);
        (columns.service(row), columns.name(row)).hash(&mut hasher);
        (columns.kind.value(row), columns.status.value(row)).hash(&mut hasher);
        (columns.start.value(row), columns.duration.value(row)).hash(&mut hasher);
        self.seen.insert((columns.key(row), hasher.finish()))
    }
}

/// The columns of `queries/counted_spans.sql`, found once per batch.
pub(crate) struct Columns<'a> {
    trace_id: &'a arrow::array::FixedSizeBinaryArray,
    span_id: &'a arrow::array::FixedSizeBinaryArray,
    parent_span_id: &'a arrow::array::FixedSizeBinaryArray,
    service: &'a ArrayRef,
    name: &'a ArrayRef,
    peer: &'a ArrayRef,
    kind: &'a arrow::array::Int8Array,
    status: &'a arrow::array::Int8Array,
    start: &'a arrow::array::TimestampNanosecondArray,
    duration: &'a arrow::array::Int64Array,
}

impl<'a> Columns<'a> {
    /// # Errors
    /// Names the first column that is missing or has another type.
    pub(crate) fn new(batch: &'a RecordBatch) -> Result<Self, ViewError> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| ViewError(name.to_owned()));
        let bytes = |name: &str| column(name)?.as_fixed_size_binary_opt().ok_or_else(|| ViewError(name.to_owned()));
        let small = |name: &str| column(name)?.as_primitive_opt::<Int8Type>().ok_or_else(|| ViewError(name.to_owned()));
        let wrong = |name: &str| ViewError(name.to_owned());
        Ok(Self {
            trace_id: bytes("trace_id")?,
            span_id: bytes("span_id")?,
            parent_span_id: bytes("parent_span_id")?,
            service: column("service")?,
            name: column("name")?,
            peer: column("peer")?,
            kind: small("kind")?,
            status: small("status_code")?,
            start: column("start_time")?
                .as_primitive_opt::<TimestampNanosecondType>()
                .ok_or_else(|| wrong("start_time"))?,
            duration: column("duration_nanos")?
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| wrong("duration_nanos"))?,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.trace_id.len()
    }

    fn key(&self, row: usize) -> SpanKey {
        span_key(self.trace_id.value(row), self.span_id.value(row))
    }

    fn parent(&self, row: usize) -> Option<SpanKey> {
        let is_root = self.parent_span_id.is_null(row);
        (!is_root).then(|| span_key(self.trace_id.value(row), self.parent_span_id.value(row)))
    }

    fn service(&self, row: usize) -> &'a str {
        text_at(self.service, row).unwrap_or_default()
    }

    fn name(&self, row: usize) -> &'a str {
        text_at(self.name, row).unwrap_or_default()
    }

    fn start(&self, row: usize) -> UnixNanos {
        UnixNanos(self.start.value(row))
    }

    fn add_to(&self, tally: &mut Tally, row: usize) {
        tally.add(self.status.value(row) == STATUS_ERROR, self.duration.value(row), self.start(row));
    }
}

fn span_key(trace_id: &[u8], span_id: &[u8]) -> SpanKey {
    let trace = trace_id.try_into().map(u128::from_be_bytes).unwrap_or_default();
    let span = span_id.try_into().map(u64::from_be_bytes).unwrap_or_default();
    // spreads the span id over all bits; odd, so that no two span ids fall together
    trace ^ u128::from(span).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
}

/// Tallies per service.
#[derive(Debug, Default)]
pub(crate) struct ByService(pub BTreeMap<String, Tally>);

impl ByService {
    pub(crate) fn take(&mut self, columns: &Columns<'_>, copies: &mut Copies) {
        for row in 0..columns.len() {
            if copies.is_new(columns, row) {
                columns.add_to(entry(&mut self.0, columns.service(row)), row);
            }
        }
    }
}

impl ByService {
    pub(crate) fn figures(&self) -> Vec<(String, Figures)> {
        self.0.iter().map(|(name, tally)| (name.clone(), tally.figures())).collect()
    }
}

/// Tallies per operation name and span kind.
#[derive(Debug, Default)]
pub(crate) struct ByOperation(pub BTreeMap<i8, BTreeMap<String, Tally>>);

impl ByOperation {
    pub(crate) fn take(&mut self, columns: &Columns<'_>, copies: &mut Copies) {
        for row in 0..columns.len() {
            if copies.is_new(columns, row) {
                let names = self.0.entry(columns.kind.value(row)).or_default();
                columns.add_to(entry(names, columns.name(row)), row);
            }
        }
    }
}

impl ByOperation {
    pub(crate) fn figures(&self) -> Vec<((String, i8), Figures)> {
        let of_kind = |(kind, names): (&i8, &BTreeMap<String, Tally>)| {
            names.iter().map(|(name, tally)| ((name.clone(), *kind), tally.figures())).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_kind).collect()
    }
}

/// The tally of a name; the name is copied only when it is new.
fn entry<'a>(tallies: &'a mut BTreeMap<String, Tally>, name: &str) -> &'a mut Tally {
    if !tallies.contains_key(name) {
        tallies.insert(name.to_owned(), Tally::default());
    }
    tallies.get_mut(name).expect("inserted above when it was absent")
}

/// A span as the service map needs it; names are numbers in `Calls::names`.
struct Hop {
    key: SpanKey,
    parent: Option<SpanKey>,
    service: u32,
    peer: Option<u32>,
    is_error: bool,
    duration_nanos: i64,
    start: UnixNanos,
}

/// Calls between two services.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    pub tally: Tally,
    /// All calls were seen from the caller's side only.
    pub is_outside: bool,
}

impl Edge {
    /// As it is shown, and whether it leads outside.
    pub(crate) fn told(&self, (caller, callee): (&str, &str)) -> (MapEdge, bool) {
        let Figures { spans, errors, p50_nanos, p95_nanos, .. } = self.tally.figures();
        let (caller, callee) = (caller.to_owned(), callee.to_owned());
        (MapEdge { caller, callee, calls: spans, errors, p50_nanos, p95_nanos }, self.is_outside)
    }
}

/// Collects spans, then tells who called whom.
pub(crate) struct Calls {
    /// Calls and spans that start earlier are not counted; spans still serve as parents.
    from: UnixNanos,
    numbers: HashMap<String, u32>,
    names: Vec<String>,
    hops: Vec<Hop>,
    /// Services that sent a span with this id: one, or several with Zipkin-style shared ids.
    owners: HashMap<SpanKey, Vec<u32>>,
    /// Spans per service.
    pub services: ByService,
}

impl Calls {
    pub(crate) fn new(from: UnixNanos) -> Self {
        Self {
            from,
            numbers: HashMap::new(),
            names: Vec::new(),
            hops: Vec::new(),
            owners: HashMap::new(),
            services: ByService::default(),
        }
    }

    pub(crate) fn take(&mut self, columns: &Columns<'_>, copies: &mut Copies) {
        for row in 0..columns.len() {
            if !copies.is_new(columns, row) {
                continue;
            }
            let (name, start) = (columns.service(row), columns.start(row));
            if start >= self.from {
                columns.add_to(entry(&mut self.services.0, name), row);
            }
            let service = self.number(name);
            let peer = text_at(columns.peer, row).filter(|peer| !peer.is_empty() && *peer != name);
            let hop = Hop {
                key: columns.key(row),
                parent: columns.parent(row),
                service,
                peer: peer.map(|peer| self.number(peer)),
                is_error: columns.status.value(row) == STATUS_ERROR,
                duration_nanos: columns.duration.value(row),
                start,
            };
            let owners = self.owners.entry(hop.key).or_insert_with(|| Vec::with_capacity(1));
            if !owners.contains(&service) {
                owners.push(service);
            }
            self.hops.push(hop);
        }
    }

    /// Calls by caller and callee. A call is a span whose parent belongs to another service, with the callee's duration
    /// and status; a parent id that two services share counts as the span's own service when one of the two is. A client
    /// or producer span without a stored child that names its other side is a call as well, with the caller's figures.
    pub(crate) fn edges(&self) -> BTreeMap<(&str, &str), Edge> {
        let parents: HashSet<SpanKey> = self.hops.iter().filter_map(|hop| hop.parent).collect();
        let mut edges = BTreeMap::new();
        for hop in self.hops.iter().filter(|hop| hop.start >= self.from) {
            let callers = hop.parent.and_then(|parent| self.owners.get(&parent)).map_or(&[][..], Vec::as_slice);
            if !callers.contains(&hop.service) {
                for caller in callers {
                    self.count(&mut edges, *caller, hop.service, hop, false);
                }
            }
            if let Some(peer) = hop.peer.filter(|_| !parents.contains(&hop.key)) {
                self.count(&mut edges, hop.service, peer, hop, true);
            }
        }
        edges
    }

    fn count<'a>(
        &'a self,
        edges: &mut BTreeMap<(&'a str, &'a str), Edge>,
        caller: u32,
        callee: u32,
        hop: &Hop,
        is_outside: bool,
    ) {
        let names = (self.names[caller as usize].as_str(), self.names[callee as usize].as_str());
        let edge = edges.entry(names).or_insert_with(|| Edge { is_outside: true, ..Edge::default() });
        edge.is_outside &= is_outside;
        edge.tally.add(hop.is_error, hop.duration_nanos, hop.start);
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("rows are bounded far below 2^32");
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests;
