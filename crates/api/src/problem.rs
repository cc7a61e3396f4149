//! Refusals, as RFC 9457 problem documents: the one table from error kind to HTTP status.

use std::fmt::Display;

use access::AccessError;
use alerts::AlertsError;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pipeline::peek::PeekError;
use pipeline::shelf::ShelfError;
use query::{JobError, QueryError};
use runtime::ErrorKind;
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::rule::Diagnostic;

/// Media type of a problem document.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";
/// When to come back after an error that passes, in seconds.
const RETRY_AFTER_SECS: &str = "1";

/// The table: status, last part of the type, title.
fn entry(kind: ErrorKind) -> (StatusCode, &'static str, &'static str) {
    match kind {
        ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "invalid", "The request is not valid"),
        ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "Log in first"),
        ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict", "It has changed meanwhile"),
        ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Larger than a limit"),
        ErrorKind::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "overloaded", "Too much at once"),
        ErrorKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout", "Took too long"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available for now"),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "A fault of ours"),
    }
}

/// A refusal on its way out. [`crate::front`] adds the trace id and writes the document.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    document: Document,
    is_retryable: bool,
}

/// A problem document (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document {
    /// Names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:tracehound:problem:invalid")]
    kind: String,
    /// The same for every problem of the kind.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// The part of the request that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The limit that was passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// Names the request in our logs and traces: 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// What is wrong with a rule file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<Diagnostic>,
}

impl Problem {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let (status, name, title) = entry(kind);
        let document = Document {
            kind: format!("urn:tracehound:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            limit: None,
            trace_id: None,
            diagnostics: Vec::new(),
        };
        Self { status, document, is_retryable: kind.is_retryable() }
    }

    /// A part of the request is wrong.
    pub(crate) fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(ErrorKind::Invalid, detail);
        problem.document.field = Some(field.into());
        problem
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, detail)
    }

    pub(crate) fn with_field(mut self, field: &str) -> Self {
        self.document.field = Some(field.to_owned());
        self
    }

    pub(crate) fn with_limit(mut self, limit: u64) -> Self {
        self.document.limit = Some(limit);
        self
    }

    fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self.document.status = status.as_u16();
        self
    }

    /// What the framework refused before a route of ours was asked, as a method that a path does not have.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let kind = match status {
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
            other if other.is_server_error() => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        };
        let reason = status.canonical_reason().unwrap_or("refused").to_lowercase();
        Self::new(kind, reason).with_status(status)
    }

    /// From an error of a room below. Faults of ours are logged here, and the document says no more than that.
    fn of(kind: ErrorKind, error: &dyn Display) -> Self {
        if kind == ErrorKind::Internal {
            tracing::error!(%error, "request failed");
            return Self::new(kind, "the server could not answer; its log says why under this trace id");
        }
        if kind == ErrorKind::Unavailable {
            tracing::warn!(%error, "request could not be answered for now");
        }
        Self::new(kind, error.to_string())
    }

    /// The answer, with the trace id in it.
    pub(crate) fn write(mut self, trace_id: &str) -> Response {
        self.document.trace_id = Some(trace_id.to_owned());
        let body = serde_json::to_vec(&self.document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if self.is_retryable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECS));
        }
        response
    }
}

impl IntoResponse for Problem {
    /// An empty answer that carries the problem to [`crate::front`].
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let problem = Self::of(error.kind(), &error);
        match error {
            QueryError::Invalid { field, .. } => problem.with_field(field),
            QueryError::Cursor => problem.with_field("cursor"),
            QueryError::Timeout { limit } => problem.with_limit(limit.as_secs()),
            QueryError::Memory { limit_bytes } | QueryError::ResultTooLarge { limit_bytes } => {
                problem.with_limit(limit_bytes as u64)
            }
            _ => problem,
        }
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        let problem = Self::of(error.kind(), &error);
        match error {
            JobError::Busy { waiting } => problem.with_limit(waiting as u64),
            JobError::NotFound(_) => problem.with_field("id"),
        }
    }
}

impl From<PeekError> for Problem {
    fn from(error: PeekError) -> Self {
        Self::of(error.kind(), &error)
    }
}

impl From<AlertsError> for Problem {
    fn from(error: AlertsError) -> Self {
        let problem = Self::of(error.kind(), &error);
        match error {
            AlertsError::Cursor => problem.with_field("cursor"),
            AlertsError::Status(_) => problem.with_field("status"),
            AlertsError::Comment { limit_chars } => problem.with_field("comment").with_limit(limit_chars as u64),
            _ => problem,
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let problem = Self::of(error.kind(), &error);
        match error {
            AccessError::KeyName { limit_chars } => problem.with_field("name").with_limit(limit_chars as u64),
            AccessError::Limit { field, limit: Some(limit), .. } => problem.with_field(field).with_limit(limit),
            AccessError::Limit { field, limit: None, .. } => problem.with_field(field),
            AccessError::TooManyKeys { limit } => problem.with_limit(limit as u64),
            AccessError::UnknownToken => problem.with_field("token"),
            _ => problem,
        }
    }
}

impl From<ShelfError> for Problem {
    fn from(error: ShelfError) -> Self {
        let mut problem = Self::of(error.kind(), &error);
        match error {
            ShelfError::Invalid(diagnostics) => {
                problem = problem.with_status(StatusCode::UNPROCESSABLE_ENTITY).with_field("text");
                problem.document.diagnostics = diagnostics.iter().map(Diagnostic::from).collect();
            }
            ShelfError::Name(_) => problem = problem.with_field("file"),
            ShelfError::Changed { .. } => {
                problem = problem.with_status(StatusCode::PRECONDITION_FAILED).with_field("if-match");
            }
            _ => {}
        }
        problem
    }
}

/// A blocking part of a request ended early.
impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::of(ErrorKind::Internal, &error)
    }
}
