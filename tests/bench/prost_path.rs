//! The way through generated types: prost decodes a request, then ordinary builders make the same columns.
//!
//! This is what a collector does that has no reader of its own; `decode` is measured against it on the same bytes.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder as _, ArrayRef, BinaryBuilder, DictionaryArray, FixedSizeBinaryBuilder, Int8Builder, Int32Array,
    Int64Builder, ListBuilder, RecordBatch, StringArray, StringBuilder, StringDictionaryBuilder,
    TimestampNanosecondBuilder, UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use model::attribute::{self, Value};
use model::field::{FieldKind, PROMOTED};
use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, KeyValue};
use proto::trace::v1::Span;

enum Promoted {
    Label(StringDictionaryBuilder<Int32Type>),
    Text(StringBuilder),
    Int(Int64Builder),
}

struct Columns {
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    parent: FixedSizeBinaryBuilder,
    name: StringDictionaryBuilder<Int32Type>,
    kind: Int8Builder,
    start: TimestampNanosecondBuilder,
    duration: Int64Builder,
    status: Int8Builder,
    status_message: StringBuilder,
    flags: UInt32Builder,
    events: BinaryBuilder,
    links: BinaryBuilder,
    service: StringDictionaryBuilder<Int32Type>,
    resource: StringDictionaryBuilder<Int32Type>,
    scope: StringDictionaryBuilder<Int32Type>,
    promoted: Vec<Promoted>,
    rest: ListBuilder<StringBuilder>,
    entry: String,
}

/// Decodes `payload` with prost and builds its columns.
pub fn decode(payload: &[u8]) -> RecordBatch {
    let request = ExportTraceServiceRequest::decode(payload).expect("the corpus is valid");
    let mut columns = Columns::new();
    for resource_spans in &request.resource_spans {
        let attributes = resource_spans.resource.as_ref().map(|resource| &resource.attributes[..]).unwrap_or_default();
        let (mut list, mut service) = (String::new(), "unknown_service");
        for pair in attributes {
            attribute::push_to_list(&mut list, &pair.key, &value_of(pair));
            if let (true, Value::Str(std::borrow::Cow::Borrowed(name))) = (pair.key == "service.name", value_of(pair)) {
                service = name;
            }
        }
        for scope_spans in &resource_spans.scope_spans {
            let scope = scope_spans.scope.as_ref().map(|scope| scope.name.as_str()).unwrap_or_default();
            for span in &scope_spans.spans {
                columns.push(span, service, &list, scope);
            }
        }
    }
    columns.finish()
}

fn value_of(pair: &KeyValue) -> Value<'_> {
    match pair.value.as_ref().and_then(|AnyValue { value }| value.as_ref()) {
        Some(Kind::StringValue(text)) => Value::str(text),
        Some(Kind::IntValue(number)) => Value::Int(*number),
        Some(Kind::DoubleValue(number)) => Value::Double(*number),
        Some(Kind::BoolValue(flag)) => Value::Bool(*flag),
        _ => Value::Empty,
    }
}

impl Columns {
    fn new() -> Self {
        let promoted = PROMOTED.iter().map(|field| match field.kind {
            FieldKind::Label => Promoted::Label(StringDictionaryBuilder::new()),
            FieldKind::Text => Promoted::Text(StringBuilder::new()),
            FieldKind::Int => Promoted::Int(Int64Builder::new()),
        });
        Self {
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            parent: FixedSizeBinaryBuilder::new(8),
            name: StringDictionaryBuilder::new(),
            kind: Int8Builder::new(),
            start: TimestampNanosecondBuilder::new(),
            duration: Int64Builder::new(),
            status: Int8Builder::new(),
            status_message: StringBuilder::new(),
            flags: UInt32Builder::new(),
            events: BinaryBuilder::new(),
            links: BinaryBuilder::new(),
            service: StringDictionaryBuilder::new(),
            resource: StringDictionaryBuilder::new(),
            scope: StringDictionaryBuilder::new(),
            promoted: promoted.collect(),
            rest: ListBuilder::new(StringBuilder::new()).with_field(Field::new("item", DataType::Utf8, false)),
            entry: String::new(),
        }
    }

    fn push(&mut self, span: &Span, service: &str, resource: &str, scope: &str) {
        let fits = "the corpus has whole ids";
        self.trace_id.append_value(&span.trace_id).expect(fits);
        self.span_id.append_value(&span.span_id).expect(fits);
        match span.parent_span_id.len() {
            8 => self.parent.append_value(&span.parent_span_id).expect(fits),
            _ => self.parent.append_null(),
        }
        self.name.append_value(&span.name);
        self.kind.append_value(span.kind as i8);
        self.start.append_value(span.start_time_unix_nano as i64);
        self.duration.append_value(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) as i64);
        let status = span.status.as_ref();
        self.status.append_value(status.map_or(0, |status| status.code as i8));
        self.status_message.append_option(status.map(|status| &status.message).filter(|text| !text.is_empty()));
        self.flags.append_value(span.flags);
        let events: Vec<u8> = span.events.iter().flat_map(prost::Message::encode_length_delimited_to_vec).collect();
        self.events.append_option(Some(events).filter(|bytes| !bytes.is_empty()));
        let links: Vec<u8> = span.links.iter().flat_map(prost::Message::encode_length_delimited_to_vec).collect();
        self.links.append_option(Some(links).filter(|bytes| !bytes.is_empty()));
        self.service.append_value(service);
        self.resource.append_value(resource);
        self.scope.append_value(scope);
        let mut found = [const { None }; PROMOTED.len()];
        for pair in &span.attributes {
            let value = value_of(pair);
            if let Some(index) = PROMOTED.iter().position(|promoted| promoted.name == pair.key) {
                found[index] = Some(value);
                continue;
            }
            self.entry.clear();
            attribute::push_entry(&mut self.entry, &pair.key, &value);
            self.rest.values().append_value(&self.entry);
        }
        self.rest.append(true);
        for (column, value) in self.promoted.iter_mut().zip(found) {
            match (column, value) {
                (Promoted::Label(column), Some(Value::Str(text))) => column.append_value(text),
                (Promoted::Text(column), Some(Value::Str(text))) => column.append_value(text),
                (Promoted::Int(column), Some(Value::Int(number))) => column.append_value(number),
                (Promoted::Label(column), _) => column.append_null(),
                (Promoted::Text(column), _) => column.append_null(),
                (Promoted::Int(column), _) => column.append_null(),
            }
        }
    }

    fn finish(mut self) -> RecordBatch {
        let rows = self.rest.len();
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("trace_id", Arc::new(self.trace_id.finish())),
            ("span_id", Arc::new(self.span_id.finish())),
            ("parent_span_id", Arc::new(self.parent.finish())),
            ("name", Arc::new(self.name.finish())),
            ("kind", Arc::new(self.kind.finish())),
            ("start_time", Arc::new(self.start.finish())),
            ("duration_nanos", Arc::new(self.duration.finish())),
            ("status_code", Arc::new(self.status.finish())),
            ("status_message", Arc::new(self.status_message.finish())),
            ("flags", Arc::new(self.flags.finish())),
            ("events", Arc::new(self.events.finish())),
            ("links", Arc::new(self.links.finish())),
            ("service", Arc::new(self.service.finish())),
            ("resource", Arc::new(self.resource.finish())),
            ("scope_name", Arc::new(self.scope.finish())),
            ("attrs_rest", Arc::new(self.rest.finish())),
            ("auth.key_id", key_column(rows)),
        ];
        for (field, column) in PROMOTED.iter().zip(self.promoted) {
            let column: ArrayRef = match column {
                Promoted::Label(mut column) => Arc::new(column.finish()),
                Promoted::Text(mut column) => Arc::new(column.finish()),
                Promoted::Int(mut column) => Arc::new(column.finish()),
            };
            columns.push((field.name, column));
        }
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
            .expect("every column has a value per span")
    }
}

fn key_column(rows: usize) -> ArrayRef {
    let values = StringArray::from(vec!["key"]);
    Arc::new(DictionaryArray::new(Int32Array::from(vec![0; rows]), Arc::new(values)))
}
