//! The columns of a span.

use arrow::datatypes::{DataType, Field, Schema};

use super::{label_type, shared_fields, time_type};

/// Parent span id; null for a root span.
pub const PARENT_SPAN_ID: &str = "parent_span_id";
/// W3C trace state as sent; null when empty.
pub const TRACE_STATE: &str = "trace_state";
/// OTLP span flags, all 32 bits.
pub const FLAGS: &str = "flags";
/// Operation name; empty names are kept empty.
pub const NAME: &str = "name";
/// OTLP span kind: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer; unknown numbers are kept.
pub const KIND: &str = "kind";
/// Start of the span.
pub const START_TIME: &str = "start_time";
/// End minus start in nanoseconds; 0 when the end lies before the start.
pub const DURATION_NANOS: &str = "duration_nanos";
/// Attribute of a span whose end lies before its start: by how many nanoseconds; written by the server.
pub const END_BEFORE_START: &str = "tracehound.end_before_start_nanos";
/// OTLP status code: 0 unset, 1 ok, 2 error.
pub const STATUS_CODE: &str = "status_code";
/// Status message; null when empty.
pub const STATUS_MESSAGE: &str = "status_message";
/// The span's events as consecutive `opentelemetry.proto.trace.v1.Span.events` fields; null when none.
pub const EVENTS: &str = "events";
/// The span's links as consecutive `opentelemetry.proto.trace.v1.Span.links` fields; null when none.
pub const LINKS: &str = "links";
/// `exception.type` of the first exception event; null when none.
pub const EVENT_EXCEPTION_TYPE: &str = "event.exception.type";
/// `exception.message` of the first exception event; null when none.
pub const EVENT_EXCEPTION_MESSAGE: &str = "event.exception.message";
/// How many events the client dropped; null when none.
pub const DROPPED_EVENTS: &str = "dropped_events";
/// How many links the client dropped; null when none.
pub const DROPPED_LINKS: &str = "dropped_links";

/// Number of the span on the way into the tree of its trace, from 1: parents before children, siblings by start. With
/// [`NESTED_RIGHT`] it makes "is below" a comparison (the nested set model of Celko): `a` is above `b` when
/// `a.left < b.left and b.right < a.right`. Null until the trace's files are compacted, and for spans outside of any
/// tree. Trees are those of one file: a span whose parent is not in it is the root of a tree of its own.
pub const NESTED_LEFT: &str = "nested_left";
/// Number of the span on the way out of the tree; see [`NESTED_LEFT`].
pub const NESTED_RIGHT: &str = "nested_right";
/// How many spans lie above this one in its tree; see [`NESTED_LEFT`].
pub const DEPTH: &str = "depth";
/// The tree columns in schema order, all 32-bit integers.
pub const TREE: [&str; 3] = [NESTED_LEFT, NESTED_RIGHT, DEPTH];

/// Status code of a failed span.
pub const STATUS_ERROR: i8 = 2;

/// Names of the span kinds, by their OTLP number.
pub const KIND_NAMES: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
/// Names of the status codes, by their OTLP number.
pub const STATUS_NAMES: [&str; 3] = ["unset", "ok", "error"];

pub(super) fn schema() -> Schema {
    let mut fields = vec![
        Field::new(super::TRACE_ID, DataType::FixedSizeBinary(16), false),
        Field::new(super::SPAN_ID, DataType::FixedSizeBinary(8), false),
        Field::new(PARENT_SPAN_ID, DataType::FixedSizeBinary(8), true),
        Field::new(TRACE_STATE, DataType::Utf8, true),
        Field::new(FLAGS, DataType::UInt32, false),
        Field::new(NAME, label_type(), false),
        Field::new(KIND, DataType::Int8, false),
        Field::new(START_TIME, time_type(), false),
        Field::new(DURATION_NANOS, DataType::Int64, false),
        Field::new(STATUS_CODE, DataType::Int8, false),
        Field::new(STATUS_MESSAGE, DataType::Utf8, true),
        Field::new(EVENTS, DataType::Binary, true),
        Field::new(LINKS, DataType::Binary, true),
        Field::new(EVENT_EXCEPTION_TYPE, label_type(), true),
        Field::new(EVENT_EXCEPTION_MESSAGE, DataType::Utf8, true),
        Field::new(DROPPED_EVENTS, DataType::UInt32, true),
        Field::new(DROPPED_LINKS, DataType::UInt32, true),
    ];
    fields.extend(shared_fields());
    Schema::new(fields)
}
