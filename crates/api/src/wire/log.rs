//! Log records.

use model::signal::log::severity_name;
use serde::Serialize;
use utoipa::ToSchema;

use super::value::{Attributes, object, tagged};

/// A log record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogRecord {
    /// Names the record for ever.
    pub log_id: String,
    /// When, RFC 3339.
    pub time: String,
    /// The same, integer nanoseconds since 1970.
    pub time_unix_nanos: String,
    /// Short name of the severity: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `unspecified`.
    pub severity: &'static str,
    /// OTLP severity number, 0 to 24.
    pub severity_number: i8,
    /// Severity as sent, empty when absent.
    pub severity_text: String,
    /// Who wrote it.
    pub service: String,
    /// The body: a text, or any JSON value; null when absent.
    #[schema(value_type = Option<Value>)]
    pub body: serde_json::Value,
    /// Event name, empty when absent.
    pub event_name: String,
    /// Trace it belongs to.
    pub trace_id: Option<String>,
    /// Span it belongs to.
    pub span_id: Option<String>,
    /// Attributes.
    #[schema(value_type = Object)]
    pub attributes: Attributes,
    /// Resource attributes.
    #[schema(value_type = Object)]
    pub resource: Attributes,
}

impl From<query::LogHit> for LogRecord {
    fn from(hit: query::LogHit) -> Self {
        Self {
            log_id: hit.id.to_string(),
            time: hit.time.to_string(),
            time_unix_nanos: hit.time.0.to_string(),
            severity: severity_name(hit.severity_number),
            severity_number: hit.severity_number,
            severity_text: hit.severity_text,
            service: hit.service,
            body: hit.body.map_or(serde_json::Value::Null, |(text, tag)| tagged(text, tag)),
            event_name: hit.event_name,
            trace_id: hit.trace_id.map(|id| id.to_string()),
            span_id: hit.span_id.map(|id| id.to_string()),
            attributes: object(hit.attributes),
            resource: object(hit.resource),
        }
    }
}
