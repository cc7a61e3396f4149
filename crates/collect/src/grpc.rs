//! OTLP over gRPC: unary calls, one length-prefixed message each way.
//!
//! Written by hand over HTTP/2 because the log keeps the very bytes of the message, because every inflating goes
//! through the capped reader, and because the codes of faults are ours to choose.
//!
//! ```text
//! request and response body: one message in its prefix (otlp::framing)
//! trailers: grpc-status, grpc-message (percent-encoded), grpc-status-details-bin (base64 of google.rpc.Status),
//!            google.rpc.retryinfo-bin (base64 of google.rpc.RetryInfo, which is also among the details)
//! ```

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use model::Signal;
use otlp::framing::{FramingError, frame};
use otlp::{Format, framing, message};
use runtime::inflate::Encoding;

use crate::body;
use crate::connection::Client;
use crate::intake::{Export, Intake, Receipt};
use crate::status::Refusal;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// Where the Python SDK looks for what other clients find among the details.
const RETRY_INFO: HeaderName = HeaderName::from_static("google.rpc.retryinfo-bin");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");

/// The body of an answer.
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

/// The signal a path exports.
pub(crate) fn signal_of(path: &str) -> Result<Signal, Refusal> {
    match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Ok(Signal::Spans),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Ok(Signal::Logs),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Err(Refusal::Metrics),
        other => Err(Refusal::Method(other.chars().take(200).collect())),
    }
}

/// Serves one call; the answer to the client, and what to count it as.
pub(crate) async fn serve(
    intake: &Intake,
    client: &Client,
    request: Request<Incoming>,
) -> (Response<AnswerBody>, &'static str) {
    let is_grpc = request.headers().get(CONTENT_TYPE).is_some_and(is_grpc_type);
    if !is_grpc || request.method() != Method::POST {
        let mut response = Response::new(Empty::new().boxed_unsync());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return (response, "invalid_argument");
    }
    let limit = intake.time_limit(request.headers().get(TIMEOUT).and_then(parse_timeout));
    let outcome = tokio::time::timeout(limit, export(intake, client, request)).await;
    match outcome.unwrap_or(Err(Refusal::Deadline)) {
        Ok((signal, receipt)) => (success(signal, &receipt), "ok"),
        Err(refusal) => {
            refusal.note();
            (failure(&refusal), refusal.outcome())
        }
    }
}

async fn export(intake: &Intake, client: &Client, request: Request<Incoming>) -> Result<(Signal, Receipt), Refusal> {
    let (parts, mut body) = request.into_parts();
    let signal = signal_of(parts.uri.path())?;
    let encoding = match parts.headers.get(ENCODING) {
        None => Encoding::Identity,
        Some(value) => {
            let name = value.to_str().unwrap_or_default();
            Encoding::from_header(name).ok_or_else(|| Refusal::Encoding(name.chars().take(100).collect()))?
        }
    };
    let mut admitted = intake.admit(&parts.headers, client, Duration::ZERO).await?;
    let limit_bytes = intake.settings.max_inflated_bytes.saturating_add(framing::PREFIX_BYTES as u64);
    let framed = body::read(&mut body, limit_bytes, &mut admitted.reservation).await?;
    let (wire, encoding) = unframe(&framed, encoding, intake.settings.max_inflated_bytes)?;
    let receipt = intake.store(admitted, Export { signal, format: Format::Protobuf, encoding, wire }).await?;
    Ok((signal, receipt))
}

/// Takes the one message out of its prefix, with what it is compressed by.
fn unframe(framed: &Bytes, encoding: Encoding, limit_bytes: u64) -> Result<(Bytes, Encoding), Refusal> {
    let unframed = framing::unframe(framed, limit_bytes).map_err(|error| match error {
        FramingError::Malformed(problem) => Refusal::Framing(problem),
        FramingError::TooLarge { limit_bytes } => Refusal::TooLarge { limit_bytes },
    })?;
    let message = framed.slice_ref(unframed.message);
    match (unframed.is_compressed, encoding) {
        (false, _) => Ok((message, Encoding::Identity)),
        (true, Encoding::Identity) => Err(Refusal::Framing("compressed, but grpc-encoding names no encoding")),
        (true, encoding) => Ok((message, encoding)),
    }
}

fn success(signal: Signal, receipt: &Receipt) -> Response<AnswerBody> {
    let message = message::export_response(signal, Format::Protobuf, receipt.rejected, &receipt.message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    let body = Full::from(frame(&message)).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response.headers_mut().insert(ACCEPT_ENCODING, ACCEPTED);
    response
}

/// An answer of headers alone, as gRPC has it for calls that fail before any message.
fn failure(refusal: &Refusal) -> Response<AnswerBody> {
    let status = refusal.status();
    let mut response = Response::new(Empty::new().boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(STATUS, HeaderValue::from(status.code as i32));
    let text = HeaderValue::from_str(&percent_encode(&status.message));
    headers.insert(MESSAGE, text.expect("percent-encoded text is printable ASCII"));
    headers.insert(DETAILS, binary(&status.encode(Format::Protobuf)));
    if let Some(retry_info) = status.retry_info() {
        headers.insert(RETRY_INFO, binary(&retry_info));
    }
    headers.insert(ACCEPT_ENCODING, ACCEPTED);
    response
}

fn binary(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_str(&STANDARD_NO_PAD.encode(bytes)).expect("base64 is printable ASCII")
}

fn is_grpc_type(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    value == b"application/grpc"
        || value.starts_with(b"application/grpc+proto")
        || value.starts_with(b"application/grpc;")
}

/// Reads `grpc-timeout`: at most eight digits and a unit. A value that is none is ignored.
fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count = digits.parse::<u64>().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    out
}

#[cfg(test)]
mod tests;
