//! The spans of the lake's benchmark as the tables of other stores have them, for `peers/clickhouse.py`.
//!
//! `bench corpus` writes them into `TRACEHOUND_BENCH_CORPUS`: `spans/*.parquet` with the columns of the table
//! `otel_traces` of the OpenTelemetry Collector's ClickHouse exporter, and `queries.json` with what is looked for.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{
    ArrayRef, ListBuilder, MapBuilder, RecordBatch, StringBuilder, TimestampNanosecondBuilder, UInt64Builder,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{InstrumentationScope, KeyValue};
use proto::trace::v1::Span;
use serde_json::json;

use crate::corpus::SEED;
use crate::lake;

/// Rows of a file.
pub const FILE_ROWS: usize = 1_000_000;
/// Traces that are looked for, and as many that are not there.
const LOOKUPS: usize = 1_000;
const KINDS: [&str; 6] = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];
const STATUSES: [&str; 3] = ["Unset", "Ok", "Error"];

pub type Maps = MapBuilder<StringBuilder, StringBuilder>;

/// Writes the corpus.
pub fn run() -> Result<()> {
    let folder = std::env::var_os("TRACEHOUND_BENCH_CORPUS").map(PathBuf::from).context("TRACEHOUND_BENCH_CORPUS")?;
    fs::create_dir_all(folder.join("spans"))?;
    let spans = lake::spans();
    let start = tests::unix_nanos() - lake::AGO.as_nanos() as u64;
    let (mut table, mut files) = (Table::default(), 0);
    let (mut traces, mut user) = (Vec::new(), None);
    let every = (spans as usize / simulate::MAX_SPANS_PER_EXPORT / LOOKUPS).max(1);
    let mut end = start;
    for (number, export) in simulate::load(SEED, spans, start).enumerate() {
        let request = ExportTraceServiceRequest::decode(&export.body[..])?;
        for resource_spans in &request.resource_spans {
            let resource = resource_spans.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            for scope_spans in &resource_spans.scope_spans {
                for span in &scope_spans.spans {
                    end = end.max(span.start_time_unix_nano);
                    if user.is_none() {
                        user = span.attributes.iter().find(|pair| pair.key == "user.id").map(text);
                    }
                    table.push(resource, scope_spans.scope.as_ref(), span);
                }
            }
        }
        if number.is_multiple_of(every) {
            traces.extend(lake::first_trace(&export.body));
        }
        if table.rows >= FILE_ROWS {
            std::mem::take(&mut table).write(&folder.join(format!("spans/{files:04}.parquet")))?;
            files += 1;
        }
    }
    if table.rows > 0 {
        table.write(&folder.join(format!("spans/{files:04}.parquet")))?;
    }
    traces.truncate(LOOKUPS);
    let missing: Vec<String> = traces.iter().map(|id| id.chars().rev().collect()).collect();
    let queries = json!({
        "trace_ids": traces, "missing_ids": missing,
        "rare": {"key": "user.id", "value": user}, "common": {"key": "http.request.method", "value": "POST"},
        "service": "payment", "slow_nanos": 1_000_000_000_u64,
        "from": rfc3339(start), "to": rfc3339(end + 1_000_000_000),
    });
    fs::write(folder.join("queries.json"), serde_json::to_vec_pretty(&queries)?)?;
    println!("{spans} spans in {}", folder.display());
    Ok(())
}

pub fn rfc3339(unix_nanos: u64) -> String {
    model::UnixNanos(i64::try_from(unix_nanos).unwrap_or(i64::MAX)).to_string()
}

pub fn text(pair: &KeyValue) -> String {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Kind::StringValue(text)) => text.clone(),
        Some(Kind::IntValue(number)) => number.to_string(),
        Some(Kind::DoubleValue(number)) => number.to_string(),
        Some(Kind::BoolValue(truth)) => truth.to_string(),
        _ => String::new(),
    }
}

/// Rows of `otel_traces`.
struct Table {
    rows: usize,
    time: TimestampNanosecondBuilder,
    /// Trace id, span id, parent, state, name, kind, service, scope name, scope version, status code, status message.
    texts: [StringBuilder; 11],
    resource: Maps,
    attributes: Maps,
    duration: UInt64Builder,
    event_time: ListBuilder<TimestampNanosecondBuilder>,
    event_name: ListBuilder<StringBuilder>,
    event_attributes: ListBuilder<Maps>,
    /// Trace id, span id, state.
    links: [ListBuilder<StringBuilder>; 3],
    link_attributes: ListBuilder<Maps>,
}

impl Default for Table {
    fn default() -> Self {
        let maps = || MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        let times = || TimestampNanosecondBuilder::new().with_timezone("UTC");
        Self {
            rows: 0,
            time: times(),
            texts: Default::default(),
            resource: maps(),
            attributes: maps(),
            duration: UInt64Builder::new(),
            event_time: ListBuilder::new(times()),
            event_name: ListBuilder::new(StringBuilder::new()),
            event_attributes: ListBuilder::new(maps()),
            links: std::array::from_fn(|_| ListBuilder::new(StringBuilder::new())),
            link_attributes: ListBuilder::new(maps()),
        }
    }
}

pub fn put(map: &mut Maps, attributes: &[KeyValue]) {
    for pair in attributes {
        map.keys().append_value(&pair.key);
        map.values().append_value(text(pair));
    }
    map.append(true).expect("as many keys as values");
}

impl Table {
    fn push(&mut self, resource: &[KeyValue], scope: Option<&InstrumentationScope>, span: &Span) {
        let service = resource.iter().find(|pair| pair.key == "service.name").map(text).unwrap_or_default();
        let status = span.status.as_ref();
        let named = |names: &[&str], number: i32| {
            usize::try_from(number).ok().and_then(|number| names.get(number)).copied().unwrap_or(names[0]).to_owned()
        };
        let texts = [
            hex::encode(&span.trace_id),
            hex::encode(&span.span_id),
            hex::encode(&span.parent_span_id),
            span.trace_state.clone(),
            span.name.clone(),
            named(&KINDS, span.kind),
            service,
            scope.map(|scope| scope.name.clone()).unwrap_or_default(),
            scope.map(|scope| scope.version.clone()).unwrap_or_default(),
            named(&STATUSES, status.map_or(0, |status| status.code)),
            status.map(|status| status.message.clone()).unwrap_or_default(),
        ];
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_value(text));
        self.time.append_value(span.start_time_unix_nano as i64);
        self.duration.append_value(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano));
        put(&mut self.resource, resource);
        put(&mut self.attributes, &span.attributes);
        for event in &span.events {
            self.event_time.values().append_value(event.time_unix_nano as i64);
            self.event_name.values().append_value(&event.name);
            put(self.event_attributes.values(), &event.attributes);
        }
        self.event_time.append(true);
        self.event_name.append(true);
        self.event_attributes.append(true);
        for link in &span.links {
            let texts = [hex::encode(&link.trace_id), hex::encode(&link.span_id), link.trace_state.clone()];
            self.links.iter_mut().zip(texts).for_each(|(column, text)| column.values().append_value(text));
            put(self.link_attributes.values(), &link.attributes);
        }
        self.links.iter_mut().for_each(|column| column.append(true));
        self.link_attributes.append(true);
        self.rows += 1;
    }

    fn write(mut self, path: &std::path::Path) -> Result<()> {
        let texts = self.texts.map(|mut column| Arc::new(column.finish()) as ArrayRef);
        let [trace, span, parent, state, name, kind, service, scope, version, status, message] = texts;
        let [link_trace, link_span, link_state] = self.links.map(|mut column| Arc::new(column.finish()) as ArrayRef);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("Timestamp", Arc::new(self.time.finish())),
            ("TraceId", trace),
            ("SpanId", span),
            ("ParentSpanId", parent),
            ("TraceState", state),
            ("SpanName", name),
            ("SpanKind", kind),
            ("ServiceName", service),
            ("ResourceAttributes", Arc::new(self.resource.finish())),
            ("ScopeName", scope),
            ("ScopeVersion", version),
            ("SpanAttributes", Arc::new(self.attributes.finish())),
            ("Duration", Arc::new(self.duration.finish())),
            ("StatusCode", status),
            ("StatusMessage", message),
            ("Events.Timestamp", Arc::new(self.event_time.finish())),
            ("Events.Name", Arc::new(self.event_name.finish())),
            ("Events.Attributes", Arc::new(self.event_attributes.finish())),
            ("Links.TraceId", link_trace),
            ("Links.SpanId", link_span),
            ("Links.TraceState", link_state),
            ("Links.Attributes", Arc::new(self.link_attributes.finish())),
        ];
        let batch = RecordBatch::try_from_iter(columns)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
        let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    }
}
