//! Log records from wire bytes to columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryBuilder, Int8Array, RecordBatch, TimestampNanosecondBuilder, UInt32Array};
use model::signal::time_type;
use model::{Signal, SpanId, TraceId, UnixNanos, Value};

use crate::Arrival;
use crate::column::{Labels, Texts};
use crate::derive::Clues;
use crate::envelope::Records;
use crate::fault::DecodeError;
use crate::rejection::Reason;
use crate::tail::{Tail, times};
use crate::value;
use crate::wire::Fields;

/// Builders of the log columns.
pub(crate) struct Logs<'a> {
    received_at: UnixNanos,
    time: Vec<i64>,
    observed: TimestampNanosecondBuilder,
    severity_number: Vec<i8>,
    severity_text: Labels<'a>,
    body: Texts,
    body_type: Labels<'a>,
    event_name: Labels<'a>,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    flags: Vec<u32>,
    tail: Tail<'a>,
}

#[derive(Default)]
struct Wire<'a> {
    time: u64,
    observed: u64,
    severity_number: i8,
    severity_text: &'a str,
    body: Option<&'a [u8]>,
    event_name: &'a str,
    dropped_attributes: u32,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
}

impl Logs<'_> {
    pub fn new(payload_bytes: usize, arrival: &Arrival) -> Self {
        let rows = (payload_bytes / 192).clamp(1, 16_384);
        Self {
            received_at: arrival.received_at,
            time: Vec::with_capacity(rows),
            observed: TimestampNanosecondBuilder::with_capacity(rows).with_data_type(time_type()),
            severity_number: Vec::with_capacity(rows),
            severity_text: Labels::new(rows),
            body: Texts::new(rows),
            body_type: Labels::new(rows),
            event_name: Labels::new(rows),
            trace_id: FixedSizeBinaryBuilder::with_capacity(rows, 16),
            span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            flags: Vec::with_capacity(rows),
            tail: Tail::new(rows, arrival),
        }
    }
}

impl<'a> Records<'a> for Logs<'a> {
    const NAME: &'static str = "log_records";

    fn tail(&mut self) -> &mut Tail<'a> {
        &mut self.tail
    }

    fn push(&mut self, record: &'a [u8]) -> Result<Option<Reason>, DecodeError> {
        let wire = read_wire(record)?;
        let Ok(time) = i64::try_from(wire.time) else { return Ok(Some(Reason::LogTime)) };
        let Ok(observed) = i64::try_from(wire.observed) else { return Ok(Some(Reason::ObservedTime)) };
        let row = self.tail.row();
        self.time.push([time, observed].into_iter().find(|time| *time > 0).unwrap_or(self.received_at.0));
        self.observed.append_option(Some(observed).filter(|time| *time > 0));
        self.severity_number.push(wire.severity_number);
        self.severity_text.put_nonempty(row, wire.severity_text);
        let body = wire.body.map(|bytes| value::read(bytes, "log_record.body", &mut self.tail.odd)).transpose()?;
        if let Some(body) = &body {
            self.body.put(row, &body.text());
            self.body_type.put(row, body.tag());
        }
        self.event_name.put_nonempty(row, wire.event_name);
        // OTLP: a record with an id that is not one is simply not associated with a trace
        let fits = "the id has the length of its column";
        match TraceId::from_slice(wire.trace_id) {
            Some(id) => self.trace_id.append_value(id.0).expect(fits),
            None => self.trace_id.append_null(),
        }
        match SpanId::from_slice(wire.span_id) {
            Some(id) => self.span_id.append_value(id.0).expect(fits),
            None => self.span_id.append_null(),
        }
        self.flags.push(wire.flags);
        let mut clues = Clues::default();
        let mut fields = Fields::of(record, "log_record");
        while let Some((number, payload)) = fields.next()? {
            if number == 6 {
                self.tail.attribute(payload.bytes("log_record.attributes")?, "log_record.attributes", &mut clues)?;
            }
        }
        let said = body.as_ref().map(Value::text).unwrap_or_default();
        let outcome = clues.of_log(&said);
        self.tail.derive(outcome, &mut clues);
        self.tail.end_row(wire.dropped_attributes);
        Ok(None)
    }

    fn finish(mut self) -> RecordBatch {
        let rows = self.tail.row();
        let mut columns: Vec<ArrayRef> = vec![
            times(self.time),
            Arc::new(self.observed.finish()),
            Arc::new(Int8Array::from(self.severity_number)),
            self.severity_text.finish(rows),
            self.body.finish(rows),
            self.body_type.finish(rows),
            self.event_name.finish(rows),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(UInt32Array::from(self.flags)),
        ];
        self.tail.finish_into(&mut columns);
        RecordBatch::try_new(Signal::Logs.decoded_schema(), columns).expect("builders follow the schema of logs")
    }
}

fn read_wire(record: &[u8]) -> Result<Wire<'_>, DecodeError> {
    let mut wire = Wire::default();
    let mut fields = Fields::of(record, "log_record");
    while let Some((number, payload)) = fields.next()? {
        match number {
            1 => wire.time = payload.fixed64("log_record.time_unix_nano")?,
            2 => wire.severity_number = payload.enumeration("log_record.severity_number")?,
            3 => wire.severity_text = payload.text("log_record.severity_text")?,
            5 => wire.body = Some(payload.bytes("log_record.body")?),
            7 => wire.dropped_attributes = payload.uint32("log_record.dropped_attributes_count")?,
            8 => wire.flags = payload.fixed32("log_record.flags")?,
            9 => wire.trace_id = payload.bytes("log_record.trace_id")?,
            10 => wire.span_id = payload.bytes("log_record.span_id")?,
            11 => wire.observed = payload.fixed64("log_record.observed_time_unix_nano")?,
            12 => wire.event_name = payload.text("log_record.event_name")?,
            _ => {}
        }
    }
    Ok(wire)
}
