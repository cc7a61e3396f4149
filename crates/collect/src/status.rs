//! Every way a request can be refused, and what each transport says of it: the one table.
//!
//! | fault | gRPC | HTTP | client comes back |
//! |---|---|---|---|
//! | request is wrong | `INVALID_ARGUMENT` | 400 | no |
//! | credential missing or unknown | `UNAUTHENTICATED` | 401 | no |
//! | credential does not allow it | `PERMISSION_DENIED` | 403 | no |
//! | not served here | `UNIMPLEMENTED` | 404, 405, 415 | no |
//! | larger than a limit | `RESOURCE_EXHAUSTED` without RetryInfo | 413 | no |
//! | key over its rate | `RESOURCE_EXHAUSTED` with RetryInfo | 429 with `Retry-After` | yes |
//! | too much at once, log full or stopped, not ready | `UNAVAILABLE` with RetryInfo | 503 with `Retry-After` | yes |
//! | took too long | `DEADLINE_EXCEEDED` | 503 with `Retry-After` | yes |
//! | our own fault | `INTERNAL` | 500 | no |
//!
//! RetryInfo is in both trailers that clients look into. Over its rate, a client is told to wait until the debt of its key
//! is paid: whole seconds, 1 to 30. Everything else that passes asks for [`RETRY_AFTER`].
//!
//! A log that cannot write is `UNAVAILABLE`, not `INTERNAL`: clients drop what a 500 answers, and a restart may mend it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use access::AccessError;
use http::StatusCode;
use otlp::DecodeError;
use otlp::message::{Code, Status};
use runtime::inflate::InflateError;
use runtime::{ErrorKind, metric};
use wal::WalError;

/// How long clients are asked to wait before they come back.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no ingest key: send `authorization: Bearer <key>` or `{}: <key>`", crate::KEY_HEADER)]
    NoCredential,
    #[error("the client certificate ({name}) fits no entry of otlp.tls.identities, and no ingest key came with it")]
    Unmapped { name: Arc<str> },
    #[error("the ingest key is another tenant's than the client certificate")]
    OtherTenant,
    #[error("the ingest key and the client certificate have no service in common")]
    NoCommonService,
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("this ingest key may not be used from this address")]
    Network,
    #[error("this ingest key is over its {limit} of {per_sec}")]
    OverQuota { limit: &'static str, per_sec: u64, retry_after: Duration },
    #[error("metrics are not stored here: tracehound takes traces and logs, send metrics elsewhere")]
    Metrics,
    #[error("{0} is not served here: POST /v1/traces or /v1/logs")]
    Path(String),
    #[error("method {0} is not served here")]
    Method(String),
    #[error("OTLP is exported with POST")]
    NotPost,
    #[error("content type {0:?} is not supported: send application/x-protobuf or application/json")]
    MediaType(String),
    #[error("encoding {0:?} is not supported: send identity, gzip or zstd")]
    Encoding(String),
    #[error("malformed gRPC message: {0}")]
    Framing(&'static str),
    #[error("request is larger than the limit of {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error(transparent)]
    Inflate(#[from] InflateError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("body ended early: {0}")]
    BrokenBody(String),
    #[error("too many requests in flight")]
    Busy,
    #[error("not taking events for now: {0}")]
    Closed(&'static str),
    #[error("storage has no room for now")]
    NoRoom,
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error("request took longer than allowed")]
    Deadline,
    #[error("decoding failed; this is a fault of the server")]
    Panicked,
    #[error("the events within the limits of the key cannot be written; this is a fault of the server")]
    Rewrite,
}

impl Refusal {
    /// What the client should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoCredential | Self::Unmapped { .. } => ErrorKind::Unauthenticated,
            Self::OtherTenant | Self::NoCommonService => ErrorKind::Forbidden,
            Self::Metrics | Self::Path(_) | Self::Method(_) | Self::NotPost => ErrorKind::NotFound,
            Self::MediaType(_) | Self::Encoding(_) => ErrorKind::NotFound,
            Self::Framing(_) | Self::BrokenBody(_) | Self::Inflate(InflateError::Malformed { .. }) => {
                ErrorKind::Invalid
            }
            Self::TooLarge { .. } | Self::Inflate(InflateError::TooLarge { .. }) => ErrorKind::TooLarge,
            Self::Decode(error) => error.kind(),
            Self::Network => ErrorKind::Forbidden,
            Self::Busy | Self::OverQuota { .. } => ErrorKind::Overloaded,
            Self::Closed(_) | Self::NoRoom => ErrorKind::Unavailable,
            Self::Deadline => ErrorKind::Timeout,
            Self::Panicked | Self::Rewrite => ErrorKind::Internal,
            Self::Access(error) => passing(error.kind()),
            Self::Wal(error) => passing(error.kind()),
        }
    }

    /// The gRPC code.
    pub fn code(&self) -> Code {
        if matches!(self, Self::OverQuota { .. }) {
            return Code::ResourceExhausted;
        }
        match self.kind() {
            ErrorKind::Invalid | ErrorKind::Conflict => Code::InvalidArgument,
            ErrorKind::Unauthenticated => Code::Unauthenticated,
            ErrorKind::Forbidden => Code::PermissionDenied,
            ErrorKind::NotFound => Code::Unimplemented,
            ErrorKind::TooLarge => Code::ResourceExhausted,
            ErrorKind::Overloaded | ErrorKind::Unavailable => Code::Unavailable,
            ErrorKind::Timeout => Code::DeadlineExceeded,
            ErrorKind::Internal => Code::Internal,
        }
    }

    /// The HTTP status.
    pub fn http(&self) -> StatusCode {
        match (self, self.kind()) {
            (Self::NotPost, _) => StatusCode::METHOD_NOT_ALLOWED,
            (Self::OverQuota { .. }, _) => StatusCode::TOO_MANY_REQUESTS,
            (Self::MediaType(_) | Self::Encoding(_), _) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            (_, ErrorKind::Invalid | ErrorKind::Conflict) => StatusCode::BAD_REQUEST,
            (_, ErrorKind::Unauthenticated) => StatusCode::UNAUTHORIZED,
            (_, ErrorKind::Forbidden) => StatusCode::FORBIDDEN,
            (_, ErrorKind::NotFound) => StatusCode::NOT_FOUND,
            (_, ErrorKind::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            // 500 and 408 are permanent to OTLP clients; whatever may pass is 503
            (_, ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Timeout) => StatusCode::SERVICE_UNAVAILABLE,
            (_, ErrorKind::Internal) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body of the answer.
    pub fn status(&self) -> Status {
        let mut status = Status::new(self.code(), &self.text());
        status.retry_after = match self {
            Self::OverQuota { retry_after, .. } => Some(*retry_after),
            _ => self.kind().is_retryable().then_some(RETRY_AFTER),
        };
        if self.kind() == ErrorKind::Invalid {
            status.violation = Some(("body".to_owned(), status.message.clone()));
        }
        status
    }

    /// What the client reads. Faults of ours are told without their inner workings; those go to our own log.
    fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Wal(WalError::Full { .. }) => "storage has no room for now".into(),
            Self::Wal(WalError::QueueFull { .. }) => "too many requests wait for the disk".into(),
            Self::Wal(WalError::TooLarge { .. }) => self.to_string().into(),
            Self::Wal(_) => "storage is not available for now".into(),
            Self::Access(error) if error.kind() == ErrorKind::Internal => "keys cannot be checked for now".into(),
            _ => self.to_string().into(),
        }
    }

    /// Counts the refusal, and writes it to our own log when it is our fault rather than the client's.
    pub fn note(&self) {
        metrics::counter!(metric::COLLECT_REFUSED, "reason" => self.reason()).increment(1);
        let is_ours = match self {
            Self::Panicked | Self::Rewrite => true,
            Self::Wal(error) => !matches!(error, WalError::TooLarge { .. } | WalError::QueueFull { .. }),
            Self::Access(error) => error.kind() == ErrorKind::Internal,
            _ => false,
        };
        if is_ours {
            tracing::error!(error = %self, "request refused");
        } else {
            tracing::debug!(error = %self, "request refused");
        }
    }

    /// What stood in the way, as the `reason` label.
    fn reason(&self) -> &'static str {
        match self {
            Self::NoCredential | Self::Access(_) => "credential",
            Self::Unmapped { .. } | Self::OtherTenant | Self::NoCommonService => "credential",
            Self::Network => "network",
            Self::OverQuota { .. } => "quota",
            Self::Metrics | Self::Path(_) | Self::Method(_) | Self::NotPost => "unknown_path",
            Self::MediaType(_) | Self::Encoding(_) => "unknown_encoding",
            Self::Framing(_) | Self::BrokenBody(_) | Self::Inflate(InflateError::Malformed { .. }) => "malformed",
            Self::TooLarge { .. } | Self::Inflate(InflateError::TooLarge { .. }) => "too_large",
            Self::Decode(_) => "malformed",
            Self::Busy => "in_flight",
            Self::Closed(_) => "not_ready",
            Self::NoRoom | Self::Wal(WalError::Full { .. }) => "log_budget",
            Self::Wal(WalError::QueueFull { .. }) => "log_queue",
            Self::Wal(_) => "log_failed",
            Self::Deadline => "deadline",
            Self::Panicked | Self::Rewrite => "fault",
        }
    }

    /// Name of the gRPC code, as the `outcome` label.
    pub fn outcome(&self) -> &'static str {
        match self.code() {
            Code::InvalidArgument => "invalid_argument",
            Code::DeadlineExceeded => "deadline_exceeded",
            Code::PermissionDenied => "permission_denied",
            Code::ResourceExhausted => "resource_exhausted",
            Code::Unimplemented => "unimplemented",
            Code::Internal => "internal",
            Code::Unavailable => "unavailable",
            Code::Unauthenticated => "unauthenticated",
        }
    }
}

/// A part of ours that failed may work again later; the client must keep its events.
fn passing(kind: ErrorKind) -> ErrorKind {
    if kind == ErrorKind::Internal { ErrorKind::Unavailable } else { kind }
}

#[cfg(test)]
mod tests;
