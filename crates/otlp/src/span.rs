//! Spans from wire bytes to columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryBuilder, Int8Array, Int64Array, RecordBatch, UInt32Array};
use model::signal::span::END_BEFORE_START;
use model::{Signal, SpanId, TraceId, UnixNanos, Value};

use crate::Arrival;
use crate::column::{Blobs, Counts, Labels, Texts};
use crate::derive::Clues;
use crate::envelope::Records;
use crate::event::{self, Exception};
use crate::fault::DecodeError;
use crate::rejection::Reason;
use crate::tail::{Tail, times};
use crate::wire::{Fields, put_bytes};

/// Field numbers of the span's events and links, under which they are stored.
pub(crate) const EVENTS_FIELD: u32 = 11;
pub(crate) const LINKS_FIELD: u32 = 13;

/// Builders of the span columns.
pub(crate) struct Spans<'a> {
    received_at: UnixNanos,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    parent: FixedSizeBinaryBuilder,
    trace_state: Texts,
    flags: Vec<u32>,
    name: Labels<'a>,
    kind: Vec<i8>,
    start: Vec<i64>,
    duration: Vec<i64>,
    status: Vec<i8>,
    status_message: Texts,
    events: Blobs,
    links: Blobs,
    exception_type: Labels<'a>,
    exception_message: Texts,
    dropped_events: Counts,
    dropped_links: Counts,
    tail: Tail<'a>,
    raw: Vec<u8>,
    /// Attributes, events and links of the span being read.
    attributes: Vec<&'a [u8]>,
    events_seen: Vec<&'a [u8]>,
    links_seen: Vec<&'a [u8]>,
}

/// The fields of one span as they stand on the wire.
#[derive(Default)]
struct Wire<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: &'a str,
    parent: &'a [u8],
    flags: u32,
    name: &'a str,
    kind: i8,
    start: u64,
    end: u64,
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
    status: i8,
    status_message: &'a str,
}

/// What of a span was checked and can be stored.
struct Checked {
    trace_id: TraceId,
    span_id: SpanId,
    parent: Option<SpanId>,
    start: i64,
    duration: i64,
    /// How far the end lies before the start.
    backwards: i64,
}

impl<'a> Spans<'a> {
    pub fn new(payload_bytes: usize, arrival: &Arrival) -> Self {
        let rows = (payload_bytes / 256).clamp(1, 16_384);
        Self {
            received_at: arrival.received_at,
            trace_id: FixedSizeBinaryBuilder::with_capacity(rows, 16),
            span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            parent: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            trace_state: Texts::new(rows),
            flags: Vec::with_capacity(rows),
            name: Labels::new(rows),
            kind: Vec::with_capacity(rows),
            start: Vec::with_capacity(rows),
            duration: Vec::with_capacity(rows),
            status: Vec::with_capacity(rows),
            status_message: Texts::new(rows),
            events: Blobs::new(rows),
            links: Blobs::new(rows),
            exception_type: Labels::new(rows),
            exception_message: Texts::new(rows),
            dropped_events: Counts::new(rows),
            dropped_links: Counts::new(rows),
            tail: Tail::new(rows, arrival),
            raw: Vec::new(),
            attributes: Vec::with_capacity(32),
            events_seen: Vec::new(),
            links_seen: Vec::new(),
        }
    }

    fn check(&self, wire: &Wire<'_>) -> Result<Checked, Reason> {
        let trace_id = TraceId::from_slice(wire.trace_id).ok_or(Reason::TraceId)?;
        let span_id = SpanId::from_slice(wire.span_id).ok_or(Reason::SpanId)?;
        if !matches!(wire.parent.len(), 0 | 8) {
            return Err(Reason::ParentSpanId);
        }
        let start = i64::try_from(wire.start).map_err(|_| Reason::StartTime)?;
        let end = i64::try_from(wire.end).map_err(|_| Reason::EndTime)?;
        // a span without a start is placed where it ended, or where it arrived: never in 1970, where retention waits
        let start = if start > 0 {
            start
        } else if end > 0 {
            end
        } else {
            self.received_at.0
        };
        let (duration, backwards) = if end >= start { (end - start, 0) } else { (0, start - end) };
        // some clients write an all-zero parent for a root span
        Ok(Checked { trace_id, span_id, parent: SpanId::from_slice(wire.parent), start, duration, backwards })
    }

    /// Reads everything but what is inside attributes, events and links, which are remembered.
    fn read(&mut self, span: &'a [u8]) -> Result<Wire<'a>, DecodeError> {
        let mut wire = Wire::default();
        self.attributes.clear();
        self.events_seen.clear();
        self.links_seen.clear();
        let mut fields = Fields::of(span, "span");
        while let Some((number, payload)) = fields.next()? {
            match number {
                1 => wire.trace_id = payload.bytes("span.trace_id")?,
                2 => wire.span_id = payload.bytes("span.span_id")?,
                3 => wire.trace_state = payload.text("span.trace_state")?,
                4 => wire.parent = payload.bytes("span.parent_span_id")?,
                5 => wire.name = payload.text("span.name")?,
                6 => wire.kind = payload.enumeration("span.kind")?,
                7 => wire.start = payload.fixed64("span.start_time_unix_nano")?,
                8 => wire.end = payload.fixed64("span.end_time_unix_nano")?,
                9 => self.attributes.push(payload.bytes("span.attributes")?),
                10 => wire.dropped_attributes = payload.uint32("span.dropped_attributes_count")?,
                EVENTS_FIELD => self.events_seen.push(payload.bytes("span.events")?),
                12 => wire.dropped_events = payload.uint32("span.dropped_events_count")?,
                LINKS_FIELD => self.links_seen.push(payload.bytes("span.links")?),
                14 => wire.dropped_links = payload.uint32("span.dropped_links_count")?,
                15 => (wire.status, wire.status_message) = read_status(payload.bytes("span.status")?)?,
                16 => wire.flags = payload.fixed32("span.flags")?,
                _ => {}
            }
        }
        Ok(wire)
    }

    /// Stores events and links as they came, and the first exception in columns of its own.
    fn push_repeated(&mut self, row: usize) -> Result<Option<Exception<'a>>, DecodeError> {
        let mut first = None;
        self.raw.clear();
        for bytes in &self.events_seen {
            put_bytes(&mut self.raw, EVENTS_FIELD, bytes);
            let exception = event::check_event(bytes, &mut self.tail.odd)?;
            first = first.or(exception);
        }
        if let Some(exception) = &first {
            if let Some(text) = exception.type_name {
                self.exception_type.put(row, text);
            }
            if let Some(text) = exception.message {
                self.exception_message.put(row, text);
            }
        }
        if !self.raw.is_empty() {
            self.events.put(row, &self.raw);
        }
        self.raw.clear();
        for bytes in &self.links_seen {
            put_bytes(&mut self.raw, LINKS_FIELD, bytes);
            event::check_link(bytes, &mut self.tail.odd)?;
        }
        if !self.raw.is_empty() {
            self.links.put(row, &self.raw);
        }
        Ok(first)
    }

    /// The attributes of the span, and what follows from them.
    fn push_attributes(&mut self, wire: &Wire<'a>, exception: Option<Exception<'a>>) -> Result<(), DecodeError> {
        let mut clues = Clues::default();
        for bytes in &self.attributes {
            self.tail.attribute(bytes, "span.attributes", &mut clues)?;
        }
        let exception = exception.unwrap_or_default();
        let outcome = clues.of_span(wire.kind, exception.type_name, exception.message, wire.status_message);
        self.tail.derive(outcome, &mut clues);
        Ok(())
    }
}

impl<'a> Records<'a> for Spans<'a> {
    const NAME: &'static str = "spans";

    fn tail(&mut self) -> &mut Tail<'a> {
        &mut self.tail
    }

    fn push(&mut self, span: &'a [u8]) -> Result<Option<Reason>, DecodeError> {
        let wire = self.read(span)?;
        let checked = match self.check(&wire) {
            Ok(checked) => checked,
            Err(reason) => return Ok(Some(reason)),
        };
        let row = self.tail.row();
        let fits = "the id has the length of its column";
        self.trace_id.append_value(checked.trace_id.0).expect(fits);
        self.span_id.append_value(checked.span_id.0).expect(fits);
        match checked.parent {
            Some(parent) => self.parent.append_value(parent.0).expect(fits),
            None => self.parent.append_null(),
        }
        self.trace_state.put_nonempty(row, wire.trace_state);
        self.flags.push(wire.flags);
        self.name.put(row, wire.name);
        self.kind.push(wire.kind);
        self.start.push(checked.start);
        self.duration.push(checked.duration);
        self.status.push(wire.status);
        self.status_message.put_nonempty(row, wire.status_message);
        self.dropped_events.put_nonzero(row, wire.dropped_events);
        self.dropped_links.put_nonzero(row, wire.dropped_links);
        let exception = self.push_repeated(row)?;
        self.push_attributes(&wire, exception)?;
        if checked.backwards > 0 {
            self.tail.put_rest(END_BEFORE_START, &Value::Int(checked.backwards));
        }
        self.tail.end_row(wire.dropped_attributes);
        Ok(None)
    }

    fn finish(mut self) -> RecordBatch {
        let rows = self.tail.row();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent.finish()),
            self.trace_state.finish(rows),
            Arc::new(UInt32Array::from(self.flags)),
            self.name.finish(rows),
            Arc::new(Int8Array::from(self.kind)),
            times(self.start),
            Arc::new(Int64Array::from(self.duration)),
            Arc::new(Int8Array::from(self.status)),
            self.status_message.finish(rows),
            self.events.finish(rows),
            self.links.finish(rows),
            self.exception_type.finish(rows),
            self.exception_message.finish(rows),
            self.dropped_events.finish(rows),
            self.dropped_links.finish(rows),
        ];
        self.tail.finish_into(&mut columns);
        RecordBatch::try_new(Signal::Spans.decoded_schema(), columns).expect("builders follow the schema of spans")
    }
}

fn read_status(bytes: &[u8]) -> Result<(i8, &str), DecodeError> {
    let (mut code, mut message) = (0, "");
    let mut fields = Fields::of(bytes, "span.status");
    while let Some((number, payload)) = fields.next()? {
        match number {
            2 => message = payload.text("span.status.message")?,
            3 => code = payload.enumeration("span.status.code")?,
            _ => {}
        }
    }
    Ok((code, message))
}
