//! Span links: what a span of one trace says of spans of others, and the traces drawn together by it.
//!
//! A consumer often begins a trace of its own and links to the span that produced the message. A pattern that asks for
//! links is judged for one trace together with those it links to, and those these link to: upstream, never downstream.
//! Of the others, the spans up to the moment of the verdict and a timespan back are looked at.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray};
use model::{SpanId, TraceId, signal};
use serde_json::Value as Json;

use super::memory::Trace;
use super::pattern::{Map, State};
use super::tree::Span;
use super::{Mark, TracePattern, lineage};
use crate::column::Columns;
use crate::events::Events;

/// Links remembered of one span; further ones are counted as left out.
pub const LINKS_PER_SPAN: usize = 16;
/// Traces drawn together for one verdict, the one that is judged among them.
pub const TRACES: usize = 16;

/// A span that is linked to.
pub type Link = (TraceId, SpanId);

/// Field number of links in a span, and of the ids in a link, as OTLP numbers them.
const LINKS_FIELD: u64 = 13;
const TRACE_ID_FIELD: u64 = 1;
const SPAN_ID_FIELD: u64 = 2;

/// The links of a row. Of a file, `field` is the number of the field that lists them as objects with `trace_id` and
/// `span_id`.
pub fn of(events: &Events<'_>, columns: &Columns<'_>, field: usize, row: usize) -> Vec<Link> {
    if events.signal.is_none() {
        let texts = columns.ready(field).into_iter().flat_map(|field| field.texts(row));
        return texts.filter_map(of_text).collect();
    }
    let column = events.records.column_by_name(signal::span::LINKS).and_then(|column| column.as_binary_opt::<i32>());
    match column.filter(|column| row < column.len() && column.is_valid(row)) {
        Some(column) => of_wire(column.value(row)),
        None => Vec::new(),
    }
}

fn of_text(text: &str) -> Option<Link> {
    let link: Json = serde_json::from_str(text).ok()?;
    let text = |name: &str| link.get(name).and_then(Json::as_str);
    lineage::trace_id(text("trace_id")?).zip(lineage::span_id(text("span_id")?))
}

/// Reads the column of links. Bytes that no decoder wrote end the list early.
fn of_wire(mut stored: &[u8]) -> Vec<Link> {
    let mut links = Vec::new();
    while let Some((number, mut link)) = field(&mut stored) {
        if number != LINKS_FIELD {
            continue;
        }
        let (mut trace, mut span) = (None, None);
        while let Some((number, bytes)) = field(&mut link) {
            match number {
                TRACE_ID_FIELD => trace = TraceId::from_slice(bytes),
                SPAN_ID_FIELD => span = SpanId::from_slice(bytes),
                _ => {}
            }
        }
        links.extend(trace.zip(span));
    }
    links
}

/// The next field of a protobuf message: its number, and its bytes when it has a length.
fn field<'b>(rest: &mut &'b [u8]) -> Option<(u64, &'b [u8])> {
    let tag = varint(rest)?;
    let length = match tag & 7 {
        0 => return varint(rest).map(|_| (tag >> 3, &rest[..0])),
        1 => 8,
        2 => usize::try_from(varint(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (bytes, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some((tag >> 3, bytes))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Several traces as one. Spans have ids of their own here, because two traces may use one id.
#[derive(Debug)]
pub struct Joined {
    /// In order of time, then id.
    pub spans: Vec<Span>,
    pub marks: Vec<Mark>,
    /// Which span links to which.
    pub linked: HashSet<(SpanId, SpanId)>,
    /// The spans of the trace that is judged have ids up to this one.
    pub own: SpanId,
    /// Traces were left out because there are too many.
    pub is_cut: bool,
}

/// Draws together what is looked at when one life of a trace is judged for a moment.
pub fn join(
    pattern: &TracePattern,
    traces: &Map<Trace>,
    states: &Map<State>,
    (id, life): (TraceId, &[Span]),
    moment: i64,
) -> Joined {
    let (parts, is_cut) = reach(pattern, traces, (id, life), moment);
    let mut numbers: HashMap<Link, u64> = HashMap::new();
    let mut next = 1;
    let mut number = |link: Link, numbers: &mut HashMap<Link, u64>| {
        *numbers.entry(link).or_insert_with(|| {
            next += 1;
            next - 1
        })
    };
    for (trace, spans) in &parts {
        for span in *spans {
            number((*trace, span.id), &mut numbers);
        }
    }
    // what is numbered from here on is known by name only
    let known = numbers.clone();
    let own = life.iter().filter_map(|span| known.get(&(id, span.id))).max().copied().unwrap_or(0);
    let mut joined = Joined { spans: Vec::new(), marks: Vec::new(), linked: HashSet::new(), own: span_id(own), is_cut };
    for (trace, spans) in &parts {
        let known_trace = traces.get(trace);
        for span in *spans {
            let new = span_id(number((*trace, span.id), &mut numbers));
            let linked = known_trace.map_or(&[][..], |trace| trace.links(span.id)).iter();
            let linked: Vec<SpanId> = linked.filter_map(|link| known.get(link).copied().map(span_id)).collect();
            let above = span.parent.map(|parent| (*trace, parent));
            let known_parent = above.and_then(|parent| known.get(&parent).copied()).map(span_id);
            let instead = linked.first().copied().filter(|_| pattern.follows_links);
            let parent = known_parent.or(instead).or_else(|| above.map(|parent| span_id(number(parent, &mut numbers))));
            joined.linked.extend(linked.into_iter().map(|other| (new, other)));
            joined.spans.push(Span { id: new, parent, ..span.clone() });
        }
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { continue };
        let marks = states.get(trace).into_iter().flat_map(|state| &state.marks);
        for mark in marks.filter(|mark| (first.at..=last.at).contains(&mark.at)) {
            if let Some(number) = known.get(&(*trace, mark.span)) {
                joined.marks.push(Mark { span: span_id(*number), ..mark.clone() });
            }
        }
    }
    joined.spans.sort_by_key(|span| (span.at, span.id));
    joined.marks.sort_by_key(|mark| (mark.at, mark.span, mark.step));
    joined
}

/// The traces that are looked at, the one that is judged first; whether some were left out.
fn reach<'t>(
    pattern: &TracePattern,
    traces: &'t Map<Trace>,
    own: (TraceId, &'t [Span]),
    moment: i64,
) -> (Vec<(TraceId, &'t [Span])>, bool) {
    let since = moment.saturating_sub(pattern.span_nanos);
    let mut parts = vec![own];
    let mut read = 0;
    while let Some((trace, spans)) = parts.get(read).copied() {
        read += 1;
        let Some(known) = traces.get(&trace) else { continue };
        for (other, _) in spans.iter().flat_map(|span| known.links(span.id)) {
            if parts.iter().any(|(known, _)| known == other) {
                continue;
            }
            let Some(linked) = traces.get(other) else { continue };
            if parts.len() >= TRACES {
                return (parts, true);
            }
            let start = linked.spans.partition_point(|span| span.at < since);
            let end = linked.spans.partition_point(|span| span.at <= moment);
            parts.push((*other, linked.spans.get(start..end).unwrap_or_default()));
        }
    }
    (parts, false)
}

fn span_id(number: u64) -> SpanId {
    SpanId(number.to_be_bytes())
}
