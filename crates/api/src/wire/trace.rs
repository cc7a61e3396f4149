//! Traces and their spans.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt32Type;
use model::signal::span::{FLAGS, KIND_NAMES, STATUS_ERROR, STATUS_NAMES, TRACE_STATE};
use model::view::{Spans, ViewError, text_at};
use serde::Serialize;
use utoipa::ToSchema;

use super::value::{Attributes, name_of, object};

/// What one service has in a trace.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ServiceShare {
    /// The service.
    pub name: String,
    /// Its spans.
    pub spans: u64,
    /// Its spans with an error status.
    pub errors: u64,
}

/// A span that meets a search.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MatchedSpan {
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Who emitted it.
    pub service: String,
    /// Operation name.
    pub name: String,
    /// `unspecified`, `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: String,
    /// `unset`, `ok` or `error`.
    pub status: String,
    /// Start, integer nanoseconds since 1970.
    pub start_unix_nanos: String,
    /// Duration in nanoseconds.
    pub duration_nanos: i64,
}

impl From<query::MatchedSpan> for MatchedSpan {
    fn from(span: query::MatchedSpan) -> Self {
        Self {
            span_id: span.span_id.to_string(),
            service: span.service,
            name: span.name,
            kind: name_of(&KIND_NAMES, span.kind),
            status: name_of(&STATUS_NAMES, span.status),
            start_unix_nanos: span.start.0.to_string(),
            duration_nanos: span.duration_nanos,
        }
    }
}

/// A trace that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TraceHit {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// Service of the root span; of the earliest span when the root is not stored.
    pub root_service: String,
    /// Operation name of that span.
    pub root_name: String,
    /// Start of the earliest span, RFC 3339.
    pub start_time: String,
    /// The same, integer nanoseconds since 1970.
    pub start_unix_nanos: String,
    /// From the earliest start to the latest end, in nanoseconds.
    pub duration_nanos: i64,
    /// Spans of the trace.
    pub span_count: u64,
    /// Spans with an error status.
    pub error_count: u64,
    /// The services, the one with the earliest span first.
    pub services: Vec<ServiceShare>,
    /// The newest matching spans, at most 5.
    pub matched_spans: Vec<MatchedSpan>,
    /// All matching spans.
    pub matched_count: u64,
    /// Not all spans could be read: counts and duration are lower bounds.
    pub truncated: bool,
}

impl From<query::TraceHit> for TraceHit {
    fn from(hit: query::TraceHit) -> Self {
        let share =
            |share: query::ServiceShare| ServiceShare { name: share.name, spans: share.spans, errors: share.errors };
        Self {
            trace_id: hit.trace_id.to_string(),
            root_service: hit.root_service,
            root_name: hit.root_name,
            start_time: hit.start.to_string(),
            start_unix_nanos: hit.start.0.to_string(),
            duration_nanos: hit.duration_nanos,
            span_count: hit.span_count,
            error_count: hit.error_count,
            services: hit.services.into_iter().map(share).collect(),
            matched_spans: hit.matched_spans.into_iter().map(MatchedSpan::from).collect(),
            matched_count: hit.matched_count,
            truncated: hit.truncated,
        }
    }
}

/// One whole trace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trace {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// Start of the earliest span, integer nanoseconds since 1970.
    pub start_unix_nanos: String,
    /// From the earliest start to the latest end, in nanoseconds.
    pub duration_nanos: i64,
    /// Spans in this answer.
    pub span_count: u64,
    /// Spans with an error status.
    pub error_count: u64,
    /// The services, the one with the earliest span first.
    pub services: Vec<ServiceShare>,
    /// The trace has more spans than one answer may hold.
    pub truncated: bool,
    /// The spans in order of start.
    pub spans: Vec<Span>,
    /// Files of stored events that are damaged or gone: the answer is without what is in them. Left out when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_files: Vec<String>,
}

/// Instrumentation scope.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Scope {
    /// Name, empty when absent.
    pub name: String,
    /// Version, empty when absent.
    pub version: String,
}

/// An event of a span.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpanEvent {
    /// Integer nanoseconds since 1970.
    pub time_unix_nanos: String,
    /// Its name.
    pub name: String,
    /// Its attributes.
    #[schema(value_type = Object)]
    pub attributes: Attributes,
}

/// A link to another span; an id that the client did not send is empty.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpanLink {
    /// Trace of the other span.
    pub trace_id: String,
    /// The other span.
    pub span_id: String,
    /// Its attributes.
    #[schema(value_type = Object)]
    pub attributes: Attributes,
}

/// A span.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Span {
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Null for a root span.
    pub parent_span_id: Option<String>,
    /// Who emitted it.
    pub service: String,
    /// Operation name.
    pub name: String,
    /// `unspecified`, `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: String,
    /// `unset`, `ok` or `error`.
    pub status: String,
    /// What the status says, empty when absent.
    pub status_message: String,
    /// Start, integer nanoseconds since 1970.
    pub start_unix_nanos: String,
    /// Duration in nanoseconds.
    pub duration_nanos: i64,
    /// Attributes.
    #[schema(value_type = Object)]
    pub attributes: Attributes,
    /// Resource attributes.
    #[schema(value_type = Object)]
    pub resource: Attributes,
    /// Instrumentation scope.
    pub scope: Scope,
    /// Events in wire order.
    pub events: Vec<SpanEvent>,
    /// Links in wire order.
    pub links: Vec<SpanLink>,
    /// W3C trace state as sent, empty when absent.
    pub trace_state: String,
    /// OTLP span flags.
    pub flags: u32,
}

impl Trace {
    /// Makes the JSON of a trace. Takes time in proportion to its spans: call it on a blocking thread.
    pub(crate) fn read(trace: &query::Trace, missing_files: Vec<String>) -> Result<Self, ViewError> {
        let mut spans = Vec::with_capacity(trace.len());
        let (mut start, mut end) = (i64::MAX, i64::MIN);
        let mut services: Vec<ServiceShare> = Vec::new();
        for batch in &trace.batches {
            let view = Spans::new(batch)?;
            for row in 0..view.len() {
                start = start.min(view.start(row).0);
                end = end.max(view.start(row).plus(view.duration_nanos(row)).0);
                count(&mut services, view.shared.service(row), view.status(row));
                spans.push(span(batch, &view, row));
            }
        }
        Ok(Self {
            trace_id: trace.trace_id.to_string(),
            start_unix_nanos: start.to_string(),
            duration_nanos: end.saturating_sub(start),
            span_count: spans.len() as u64,
            error_count: services.iter().map(|service| service.errors).sum(),
            services,
            truncated: trace.truncated,
            spans,
            missing_files,
        })
    }
}

fn count(services: &mut Vec<ServiceShare>, name: &str, status: i8) {
    let errors = u64::from(status == STATUS_ERROR);
    match services.iter_mut().find(|share| share.name == name) {
        Some(share) => {
            share.spans += 1;
            share.errors += errors;
        }
        None => services.push(ServiceShare { name: name.to_owned(), spans: 1, errors }),
    }
}

fn span(batch: &RecordBatch, view: &Spans<'_>, row: usize) -> Span {
    let (scope_name, scope_version) = view.shared.scope(row);
    let trace_state = batch.column_by_name(TRACE_STATE).and_then(|column| text_at(column, row));
    let flags = batch.column_by_name(FLAGS).and_then(|column| column.as_primitive_opt::<UInt32Type>());
    Span {
        span_id: view.span_id(row).map(|id| id.to_string()).unwrap_or_default(),
        parent_span_id: view.parent(row).map(|id| id.to_string()),
        service: view.shared.service(row).to_owned(),
        name: view.name(row).to_owned(),
        kind: name_of(&KIND_NAMES, view.kind(row)),
        status: name_of(&STATUS_NAMES, view.status(row)),
        status_message: view.status_message(row).to_owned(),
        start_unix_nanos: view.start(row).0.to_string(),
        duration_nanos: view.duration_nanos(row),
        attributes: object(view.shared.attributes(row)),
        resource: object(view.shared.resource(row)),
        scope: Scope { name: scope_name.to_owned(), version: scope_version.to_owned() },
        events: otlp::decode_events(view.events(row)).into_iter().map(event).collect(),
        links: otlp::decode_links(view.links(row)).into_iter().map(link).collect(),
        trace_state: trace_state.unwrap_or_default().to_owned(),
        flags: flags.filter(|column| column.is_valid(row)).map_or(0, |column| column.value(row)),
    }
}

fn event(event: otlp::SpanEvent) -> SpanEvent {
    SpanEvent { time_unix_nanos: event.time.0.to_string(), name: event.name, attributes: object(event.attributes) }
}

fn link(link: otlp::SpanLink) -> SpanLink {
    SpanLink {
        trace_id: link.trace_id.map(|id| id.to_string()).unwrap_or_default(),
        span_id: link.span_id.map(|id| id.to_string()).unwrap_or_default(),
        attributes: object(link.attributes),
    }
}
