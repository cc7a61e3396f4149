//! The signals: one file each, one line in `Signal::ALL`.

pub mod log;
pub mod span;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::attribute;
use crate::field::{self, FieldKind};

/// A kind of telemetry that is stored. Metrics are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Spans of traces.
    Spans,
    /// Log records.
    Logs,
}

impl Signal {
    /// Every signal, in the order of their codes.
    pub const ALL: [Self; 2] = [Self::Spans, Self::Logs];

    /// The name used in paths, tables and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Logs => "logs",
        }
    }

    /// The number used in log frames; never reused.
    pub fn code(self) -> u8 {
        match self {
            Self::Spans => 1,
            Self::Logs => 2,
        }
    }

    /// The signal of a frame code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.code() == code)
    }

    /// The column that holds an event's own time.
    pub fn time_column(self) -> &'static str {
        match self {
            Self::Spans => span::START_TIME,
            Self::Logs => log::TIME,
        }
    }

    /// Schema of a decoded batch that has not been placed in the log: no `seq` and `row` yet.
    pub fn decoded_schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; 2]> =
            LazyLock::new(|| [Arc::new(span::schema()), Arc::new(log::schema())]);
        Arc::clone(&SCHEMAS[self as usize])
    }

    /// Schema of a stored batch: the decoded columns, then `seq` and `row`, then the tree columns of spans.
    pub fn stored_schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; 2]> = LazyLock::new(|| Signal::ALL.map(with_position));
        Arc::clone(&SCHEMAS[self as usize])
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|signal| signal.as_str() == text);
        found.ok_or_else(|| format!("signal must be spans or logs, got {text:?}"))
    }
}

/// Log position of the frame that brought the event; with [`ROW`] it names the event for ever.
pub const SEQ: &str = "seq";
/// Row of the event among the accepted events of its frame.
pub const ROW: &str = "row";
/// The service that emitted the event: `service.name` of its resource, `unknown_service` when absent.
pub const SERVICE: &str = "service";
/// The resource, as an attribute list (see [`crate::attribute`]).
pub const RESOURCE: &str = "resource";
/// Instrumentation scope name.
pub const SCOPE_NAME: &str = "scope_name";
/// Instrumentation scope version.
pub const SCOPE_VERSION: &str = "scope_version";
/// What else the scope carries, as an attribute list.
pub const SCOPE: &str = "scope";
/// Attributes without a column of their own: a list of encoded entries.
pub const ATTRS_REST: &str = "attrs_rest";
/// How many attributes the client dropped; null when none.
pub const DROPPED_ATTRIBUTES: &str = "dropped_attributes";
/// When the collector received the event.
pub const RECEIVED_TIME: &str = "received_time";
/// Id of the ingest key that brought the event; written by the server.
pub const KEY_ID: &str = "auth.key_id";
/// Which of [`field::DERIVED`] the server worked out, one bit each; null when none.
pub const DERIVED: &str = "derived";
/// Whether the credential that brought the event lists the event's service: null when it lists none; written by the server.
pub const SERVICE_VERIFIED: &str = "auth.service_verified";
/// Trace id column of both signals (nullable for logs).
pub const TRACE_ID: &str = "trace_id";
/// Span id column of both signals (nullable for logs).
pub const SPAN_ID: &str = "span_id";

/// Whether an attribute name is the server's own: what a client sends under it is dropped.
pub fn is_server_written(key: &str) -> bool {
    key == KEY_ID || key == SERVICE_VERIFIED || key == span::END_BEFORE_START || attribute::is_reserved(key)
}

/// The type of every time column: nanoseconds, UTC.
pub fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()))
}

/// The type of text that repeats: dictionary of UTF-8 with 32-bit keys.
pub fn label_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The type of [`ATTRS_REST`].
pub fn rest_type() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)))
}

/// The columns that every signal ends with before its position: scope, promoted attributes, residual list, reception.
fn shared_fields() -> Vec<Field> {
    let mut fields = vec![
        Field::new(SERVICE, label_type(), false),
        Field::new(RESOURCE, label_type(), false),
        Field::new(SCOPE_NAME, label_type(), true),
        Field::new(SCOPE_VERSION, label_type(), true),
        Field::new(SCOPE, label_type(), true),
    ];
    fields.extend(field::PROMOTED.iter().map(|promoted| {
        let data_type = match promoted.kind {
            FieldKind::Label => label_type(),
            FieldKind::Text => DataType::Utf8,
            FieldKind::Int => DataType::Int64,
        };
        Field::new(promoted.name, data_type, true)
    }));
    fields.push(Field::new(ATTRS_REST, rest_type(), false));
    fields.push(Field::new(DROPPED_ATTRIBUTES, DataType::UInt32, true));
    fields.push(Field::new(RECEIVED_TIME, time_type(), false));
    fields.push(Field::new(KEY_ID, label_type(), true));
    fields.push(Field::new(DERIVED, DataType::UInt32, true));
    fields.push(Field::new(SERVICE_VERIFIED, DataType::Boolean, true));
    fields
}

fn with_position(signal: Signal) -> SchemaRef {
    let mut fields: Vec<_> = signal.decoded_schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(SEQ, DataType::UInt64, false)));
    fields.push(Arc::new(Field::new(ROW, DataType::UInt32, false)));
    if signal == Signal::Spans {
        fields.extend(span::TREE.map(|name| Arc::new(Field::new(name, DataType::Int32, true))));
    }
    Arc::new(Schema::new(Fields::from(fields)))
}
