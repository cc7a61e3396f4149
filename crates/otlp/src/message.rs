//! The answers to an export request, and the error body of both transports.
//!
//! An error is a `google.rpc.Status`: the code, a text for people, and details a client can act on. Over HTTP it is the
//! body, in the encoding of the request; over gRPC it travels in the trailer `grpc-status-details-bin`, and when to come
//! back also alone, in `google.rpc.retryinfo-bin`: clients differ in which of the two they read.

use std::time::Duration;

use prost::Message as _;

use crate::Format;
use crate::value::write_json_text;

/// Longest text sent to a client, in bytes.
const TEXT_BYTES: usize = 1_024;
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// gRPC status codes that we answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// The request is wrong and will be wrong again.
    InvalidArgument = 3,
    /// Took longer than the client allows.
    DeadlineExceeded = 4,
    /// The credential is known and does not allow this.
    PermissionDenied = 7,
    /// Larger than a limit. Without retry advice, clients treat it as permanent.
    ResourceExhausted = 8,
    /// We do not serve this.
    Unimplemented = 12,
    /// A fault of ours.
    Internal = 13,
    /// Not now; the same request may succeed later.
    Unavailable = 14,
    /// No credential, or one that is not known.
    Unauthenticated = 16,
}

/// An error as OTLP clients are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What the client's library branches on.
    pub code: Code,
    /// What a person reads.
    pub message: String,
    /// When to come back; `None` when coming back is no use.
    pub retry_after: Option<Duration>,
    /// Field that is wrong, and how; `None` unless the request is.
    pub violation: Option<(String, String)>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusMessage {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<AnyMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AnyMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<DurationMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DurationMessage {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl Status {
    /// A status with a text, shortened when it is long, and nothing else.
    pub fn new(code: Code, message: &str) -> Self {
        Self { code, message: shorten(message).to_owned(), retry_after: None, violation: None }
    }

    /// The status in the encoding of a request.
    pub fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Protobuf => self.to_protobuf(),
            Format::Json => self.to_json().into_bytes(),
        }
    }

    /// When to come back, as a `google.rpc.RetryInfo` in protobuf; `None` when coming back is no use.
    pub fn retry_info(&self) -> Option<Vec<u8>> {
        let delay = self.retry_after?;
        let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
        let nanos = i32::try_from(delay.subsec_nanos()).expect("below one second");
        Some(RetryInfo { retry_delay: Some(DurationMessage { seconds, nanos }) }.encode_to_vec())
    }

    fn to_protobuf(&self) -> Vec<u8> {
        let mut details = Vec::new();
        if let Some(value) = self.retry_info() {
            details.push(AnyMessage { type_url: RETRY_INFO.to_owned(), value });
        }
        if let Some((field, description)) = &self.violation {
            let violation =
                FieldViolation { field: shorten(field).to_owned(), description: shorten(description).to_owned() };
            let value = BadRequest { field_violations: vec![violation] }.encode_to_vec();
            details.push(AnyMessage { type_url: BAD_REQUEST.to_owned(), value });
        }
        StatusMessage { code: self.code as i32, message: self.message.clone(), details }.encode_to_vec()
    }

    fn to_json(&self) -> String {
        let mut json = format!("{{\"code\":{},\"message\":", self.code as i32);
        write_json_text(&mut json, &self.message);
        let mut details = Vec::new();
        if let Some(delay) = self.retry_after {
            details.push(format!("{{\"@type\":\"{RETRY_INFO}\",\"retryDelay\":\"{}s\"}}", delay.as_secs_f64()));
        }
        if let Some((field, description)) = &self.violation {
            let mut detail = format!("{{\"@type\":\"{BAD_REQUEST}\",\"fieldViolations\":[{{\"field\":");
            write_json_text(&mut detail, shorten(field));
            detail.push_str(",\"description\":");
            write_json_text(&mut detail, shorten(description));
            detail.push_str("}]}");
            details.push(detail);
        }
        if !details.is_empty() {
            json.push_str(",\"details\":[");
            json.push_str(&details.join(","));
            json.push(']');
        }
        json.push('}');
        json
    }
}

/// The body of a successful answer: empty for full success, else the exact count and why. Traces and logs share the
/// protobuf form; JSON names the count after the signal.
pub fn export_response(signal: model::Signal, format: Format, rejected: u64, message: &str) -> Vec<u8> {
    let message = shorten(message);
    let is_full = rejected == 0 && message.is_empty();
    match format {
        Format::Protobuf => {
            let rejected = i64::try_from(rejected).unwrap_or(i64::MAX);
            let partial = PartialSuccess { rejected, error_message: message.to_owned() };
            ExportResponse { partial_success: (!is_full).then_some(partial) }.encode_to_vec()
        }
        Format::Json if is_full => b"{}".to_vec(),
        Format::Json => {
            let count = match signal {
                model::Signal::Spans => "rejectedSpans",
                model::Signal::Logs => "rejectedLogRecords",
            };
            let mut json = format!("{{\"partialSuccess\":{{\"{count}\":\"{rejected}\",\"errorMessage\":");
            write_json_text(&mut json, message);
            json.push_str("}}");
            json.into_bytes()
        }
    }
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}
