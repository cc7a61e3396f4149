//! Borrowed views of the rows of a batch: columns found once, rows read without copying.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{Int8Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};

use crate::attribute::{self, Value};
use crate::field::{FieldKind, PROMOTED};
use crate::{LogId, Lsn, SpanId, TraceId, UnixNanos, signal};

/// A column that is missing or has another type than the schema says. Seen only when a file was written by other hands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {0:?} is missing or has the wrong type")]
pub struct ViewError(pub String);

/// Text of one row of a label or text column; `None` for null.
pub fn text_at(column: &ArrayRef, row: usize) -> Option<&str> {
    if column.is_null(row) {
        return None;
    }
    if let Some(plain) = column.as_string_opt::<i32>() {
        return Some(plain.value(row));
    }
    let labels = column.as_dictionary_opt::<Int32Type>()?;
    let values = labels.values().as_string_opt::<i32>()?;
    let key = labels.key(row)?;
    values.is_valid(key).then(|| values.value(key))
}

/// A label column: dictionary keys and their distinct texts.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    keys: &'a DictionaryArray<Int32Type>,
    values: &'a StringArray,
}

impl<'a> Labels<'a> {
    /// The text of a row; `None` for null.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        let key = self.keys.key(row)?;
        self.values.is_valid(key).then(|| self.values.value(key))
    }
}

/// What spans and logs have in common.
#[derive(Debug)]
pub struct Shared<'a> {
    batch: &'a RecordBatch,
    service: Labels<'a>,
    resource: Labels<'a>,
    scope_name: Labels<'a>,
    scope_version: Labels<'a>,
    scope: Labels<'a>,
    promoted: Vec<(&'static str, FieldKind, &'a ArrayRef)>,
    rest: &'a ListArray,
    seq: &'a UInt64Array,
    row: &'a UInt32Array,
}

impl<'a> Shared<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self, ViewError> {
        // promoted columns that hold nothing in this batch are left out, so that reading a row costs what the row has
        let mut promoted = Vec::new();
        for field in PROMOTED {
            if let Some(column) = batch.column_by_name(field.name).filter(|column| column.null_count() < column.len()) {
                promoted.push((field.name, field.kind, column));
            }
        }
        Ok(Self {
            batch,
            service: labels(batch, signal::SERVICE)?,
            resource: labels(batch, signal::RESOURCE)?,
            scope_name: labels(batch, signal::SCOPE_NAME)?,
            scope_version: labels(batch, signal::SCOPE_VERSION)?,
            scope: labels(batch, signal::SCOPE)?,
            promoted,
            rest: find(batch, signal::ATTRS_REST, |column| column.as_list_opt::<i32>())?,
            seq: find(batch, signal::SEQ, |column| column.as_primitive_opt::<UInt64Type>())?,
            row: find(batch, signal::ROW, |column| column.as_primitive_opt::<UInt32Type>())?,
        })
    }

    /// The service that emitted the event.
    pub fn service(&self, row: usize) -> &'a str {
        self.service.get(row).unwrap_or("unknown_service")
    }

    /// The resource as an attribute list.
    pub fn resource_list(&self, row: usize) -> &'a str {
        self.resource.get(row).unwrap_or_default()
    }

    /// Resource attributes, reserved keys left out.
    pub fn resource(&self, row: usize) -> Vec<(String, Value<'a>)> {
        attributes_of(self.resource_list(row))
    }

    /// Scope name and version, empty when absent.
    pub fn scope(&self, row: usize) -> (&'a str, &'a str) {
        (self.scope_name.get(row).unwrap_or_default(), self.scope_version.get(row).unwrap_or_default())
    }

    /// Scope attributes, reserved keys left out.
    pub fn scope_attributes(&self, row: usize) -> Vec<(String, Value<'a>)> {
        attributes_of(self.scope.get(row).unwrap_or_default())
    }

    /// The event's attributes, promoted ones first.
    pub fn attributes(&self, row: usize) -> Vec<(String, Value<'a>)> {
        let mut found = Vec::new();
        for (name, kind, column) in &self.promoted {
            if column.is_null(row) {
                continue;
            }
            let value = match kind {
                FieldKind::Int => column.as_primitive_opt::<Int64Type>().map(|ints| Value::Int(ints.value(row))),
                FieldKind::Label | FieldKind::Text => text_at(column, row).map(Value::str),
            };
            found.extend(value.map(|value| ((*name).to_owned(), value)));
        }
        let (start, end) = (self.rest.value_offsets()[row] as usize, self.rest.value_offsets()[row + 1] as usize);
        if let Some(entries) = self.rest.values().as_string_opt::<i32>() {
            for entry in start..end {
                found
                    .extend(attribute::parse_entry(entries.value(entry)).map(|(key, value)| (key.into_owned(), value)));
            }
        }
        found
    }

    /// The id of the event in the log.
    pub fn log_id(&self, row: usize) -> LogId {
        LogId { lsn: Lsn(self.seq.value(row)), row: self.row.value(row) }
    }

    /// The batch behind the view.
    pub fn batch(&self) -> &'a RecordBatch {
        self.batch
    }
}

/// A view of stored spans.
#[derive(Debug)]
pub struct Spans<'a> {
    /// Columns that logs have too.
    pub shared: Shared<'a>,
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    parent: &'a FixedSizeBinaryArray,
    name: Labels<'a>,
    kind: &'a Int8Array,
    start: &'a TimestampNanosecondArray,
    duration: &'a Int64Array,
    status: &'a Int8Array,
    status_message: &'a StringArray,
    events: &'a BinaryArray,
    links: &'a BinaryArray,
}

impl<'a> Spans<'a> {
    /// Finds the columns of a batch with the stored schema of spans.
    ///
    /// # Errors
    /// Names the first column that is missing or has another type.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ViewError> {
        use signal::span as column;
        Ok(Self {
            shared: Shared::new(batch)?,
            trace_id: find(batch, signal::TRACE_ID, |array| array.as_fixed_size_binary_opt())?,
            span_id: find(batch, signal::SPAN_ID, |array| array.as_fixed_size_binary_opt())?,
            parent: find(batch, column::PARENT_SPAN_ID, |array| array.as_fixed_size_binary_opt())?,
            name: labels(batch, column::NAME)?,
            kind: find(batch, column::KIND, |array| array.as_primitive_opt::<Int8Type>())?,
            start: find(batch, column::START_TIME, |array| array.as_primitive_opt::<TimestampNanosecondType>())?,
            duration: find(batch, column::DURATION_NANOS, |array| array.as_primitive_opt::<Int64Type>())?,
            status: find(batch, column::STATUS_CODE, |array| array.as_primitive_opt::<Int8Type>())?,
            status_message: find(batch, column::STATUS_MESSAGE, |array| array.as_string_opt::<i32>())?,
            events: find(batch, column::EVENTS, |array| array.as_binary_opt::<i32>())?,
            links: find(batch, column::LINKS, |array| array.as_binary_opt::<i32>())?,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.trace_id.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Trace id of a row.
    pub fn trace_id(&self, row: usize) -> Option<TraceId> {
        TraceId::from_slice(self.trace_id.value(row))
    }

    /// Span id of a row.
    pub fn span_id(&self, row: usize) -> Option<SpanId> {
        SpanId::from_slice(self.span_id.value(row))
    }

    /// Parent of a row; `None` for a root span.
    pub fn parent(&self, row: usize) -> Option<SpanId> {
        if self.parent.is_null(row) { None } else { SpanId::from_slice(self.parent.value(row)) }
    }

    /// Operation name.
    pub fn name(&self, row: usize) -> &'a str {
        self.name.get(row).unwrap_or_default()
    }

    /// OTLP span kind.
    pub fn kind(&self, row: usize) -> i8 {
        self.kind.value(row)
    }

    /// Start time.
    pub fn start(&self, row: usize) -> UnixNanos {
        UnixNanos(self.start.value(row))
    }

    /// Duration in nanoseconds, never negative.
    pub fn duration_nanos(&self, row: usize) -> i64 {
        self.duration.value(row)
    }

    /// OTLP status code.
    pub fn status(&self, row: usize) -> i8 {
        self.status.value(row)
    }

    /// Status message, empty when absent.
    pub fn status_message(&self, row: usize) -> &'a str {
        if self.status_message.is_null(row) { "" } else { self.status_message.value(row) }
    }

    /// The events as OTLP fields; empty when none.
    pub fn events(&self, row: usize) -> &'a [u8] {
        if self.events.is_null(row) { &[] } else { self.events.value(row) }
    }

    /// The links as OTLP fields; empty when none.
    pub fn links(&self, row: usize) -> &'a [u8] {
        if self.links.is_null(row) { &[] } else { self.links.value(row) }
    }
}

/// A view of stored log records.
#[derive(Debug)]
pub struct Logs<'a> {
    /// Columns that spans have too.
    pub shared: Shared<'a>,
    time: &'a TimestampNanosecondArray,
    severity_number: &'a Int8Array,
    severity_text: Labels<'a>,
    body: &'a StringArray,
    body_type: Labels<'a>,
    event_name: Labels<'a>,
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
}

impl<'a> Logs<'a> {
    /// Finds the columns of a batch with the stored schema of logs.
    ///
    /// # Errors
    /// Names the first column that is missing or has another type.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ViewError> {
        use signal::log as column;
        Ok(Self {
            shared: Shared::new(batch)?,
            time: find(batch, column::TIME, |array| array.as_primitive_opt::<TimestampNanosecondType>())?,
            severity_number: find(batch, column::SEVERITY_NUMBER, |array| array.as_primitive_opt::<Int8Type>())?,
            severity_text: labels(batch, column::SEVERITY_TEXT)?,
            body: find(batch, column::BODY, |array| array.as_string_opt::<i32>())?,
            body_type: labels(batch, column::BODY_TYPE)?,
            event_name: labels(batch, column::EVENT_NAME)?,
            trace_id: find(batch, signal::TRACE_ID, |array| array.as_fixed_size_binary_opt())?,
            span_id: find(batch, signal::SPAN_ID, |array| array.as_fixed_size_binary_opt())?,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Time of the record.
    pub fn time(&self, row: usize) -> UnixNanos {
        UnixNanos(self.time.value(row))
    }

    /// OTLP severity number.
    pub fn severity_number(&self, row: usize) -> i8 {
        self.severity_number.value(row)
    }

    /// Severity text as sent, empty when absent.
    pub fn severity_text(&self, row: usize) -> &'a str {
        self.severity_text.get(row).unwrap_or_default()
    }

    /// Body text and type tag; `None` when the record has no body.
    pub fn body(&self, row: usize) -> Option<(&'a str, char)> {
        if self.body.is_null(row) {
            return None;
        }
        let tag = self.body_type.get(row).and_then(|text| text.chars().next()).unwrap_or('s');
        Some((self.body.value(row), tag))
    }

    /// Event name, empty when absent.
    pub fn event_name(&self, row: usize) -> &'a str {
        self.event_name.get(row).unwrap_or_default()
    }

    /// Trace the record belongs to.
    pub fn trace_id(&self, row: usize) -> Option<TraceId> {
        if self.trace_id.is_null(row) { None } else { TraceId::from_slice(self.trace_id.value(row)) }
    }

    /// Span the record belongs to.
    pub fn span_id(&self, row: usize) -> Option<SpanId> {
        if self.span_id.is_null(row) { None } else { SpanId::from_slice(self.span_id.value(row)) }
    }
}

fn attributes_of(list: &str) -> Vec<(String, Value<'_>)> {
    let plain = attribute::parse_list(list).filter(|(key, _)| !attribute::is_reserved(key));
    plain.map(|(key, value)| (key.into_owned(), value)).collect()
}

fn find<'a, T>(
    batch: &'a RecordBatch,
    name: &str,
    cast: impl Fn(&'a ArrayRef) -> Option<&'a T>,
) -> Result<&'a T, ViewError> {
    batch.column_by_name(name).and_then(cast).ok_or_else(|| ViewError(name.to_owned()))
}

fn labels<'a>(batch: &'a RecordBatch, name: &str) -> Result<Labels<'a>, ViewError> {
    let keys = find(batch, name, |column| column.as_dictionary_opt::<Int32Type>())?;
    let values = keys.values().as_string_opt::<i32>().ok_or_else(|| ViewError(name.to_owned()))?;
    Ok(Labels { keys, values })
}
