//! Finished traces wait here until their exporter's period is over, then leave as OTLP export requests.
//!
//! One request carries spans (or log records) of several services, as a collector in front of them would send them.

use std::collections::{BTreeMap, VecDeque};

use prost::Message;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::InstrumentationScope;
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};

use crate::service::Instance;
use crate::weave::Woven;

/// Spans, or log records, in one export request at most.
pub const MAX_SPANS_PER_EXPORT: usize = 500;
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Which OTLP service an export is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// `ExportTraceServiceRequest`, posted to `/v1/traces`.
    Traces,
    /// `ExportLogsServiceRequest`, posted to `/v1/logs`.
    Logs,
}

/// One OTLP export request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Which service takes it.
    pub signal: Signal,
    /// When the exporter would send it: nothing in it happened later.
    pub at_unix_nanos: u64,
    /// The request in protobuf.
    pub body: Vec<u8>,
    /// Spans or log records in it, 1 to [`MAX_SPANS_PER_EXPORT`].
    pub events: usize,
}

/// Finished traces in the order of their ends, and log records that belong to no trace.
#[derive(Debug, Default)]
pub(crate) struct Tray {
    waiting: BTreeMap<(u64, u64), Woven>,
    put: u64,
}

impl Tray {
    pub(crate) fn put(&mut self, woven: Woven) {
        self.put += 1;
        self.waiting.insert((woven.end_unix_nanos, self.put), woven);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Moves everything that ended before this moment into exports sent at it.
    pub(crate) fn send_before(&mut self, seed: u64, at_unix_nanos: u64, out: &mut VecDeque<Export>) {
        let later = self.waiting.split_off(&(at_unix_nanos, 0));
        let ended = std::mem::replace(&mut self.waiting, later);
        let (mut spans, mut logs) = (Vec::new(), Vec::new());
        for woven in ended.into_values() {
            spans.extend(woven.spans);
            logs.extend(woven.logs);
        }
        out.extend(span_exports(seed, at_unix_nanos, spans));
        out.extend(log_exports(seed, at_unix_nanos, logs));
    }
}

/// Packs spans into requests, in their order except that spans of one service copy stand together.
pub(crate) fn span_exports(seed: u64, at_unix_nanos: u64, spans: Vec<(Instance, Span)>) -> Vec<Export> {
    chunks(spans)
        .map(|(events, by_instance)| {
            let resource_spans = by_instance
                .into_iter()
                .map(|(instance, spans)| ResourceSpans {
                    resource: Some(instance.resource(seed)),
                    scope_spans: vec![ScopeSpans {
                        scope: Some(scope(instance)),
                        spans,
                        schema_url: SCHEMA_URL.to_owned(),
                    }],
                    schema_url: SCHEMA_URL.to_owned(),
                })
                .collect();
            let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
            Export { signal: Signal::Traces, at_unix_nanos, body, events }
        })
        .collect()
}

fn log_exports(seed: u64, at_unix_nanos: u64, logs: Vec<(Instance, LogRecord)>) -> Vec<Export> {
    chunks(logs)
        .map(|(events, by_instance)| {
            let resource_logs = by_instance
                .into_iter()
                .map(|(instance, log_records)| ResourceLogs {
                    resource: Some(instance.resource(seed)),
                    scope_logs: vec![ScopeLogs {
                        scope: Some(scope(instance)),
                        log_records,
                        schema_url: SCHEMA_URL.to_owned(),
                    }],
                    schema_url: SCHEMA_URL.to_owned(),
                })
                .collect();
            let body = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
            Export { signal: Signal::Logs, at_unix_nanos, body, events }
        })
        .collect()
}

/// Portions of at most [`MAX_SPANS_PER_EXPORT`], each with its size and sorted by service copy.
fn chunks<T>(events: Vec<(Instance, T)>) -> impl Iterator<Item = (usize, BTreeMap<Instance, Vec<T>>)> {
    let mut events = events.into_iter().peekable();
    std::iter::from_fn(move || {
        events.peek()?;
        let mut count = 0;
        let mut by_instance: BTreeMap<Instance, Vec<T>> = BTreeMap::new();
        for (instance, event) in events.by_ref().take(MAX_SPANS_PER_EXPORT) {
            by_instance.entry(instance).or_default().push(event);
            count += 1;
        }
        Some((count, by_instance))
    })
}

fn scope(instance: Instance) -> InstrumentationScope {
    let (name, version) = instance.service.scope();
    InstrumentationScope { name: name.to_owned(), version: version.to_owned(), ..InstrumentationScope::default() }
}
