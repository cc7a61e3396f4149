//! OTLP over HTTP: one path per signal, protobuf or JSON by content type.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use model::Signal;
use otlp::{Format, message};
use runtime::inflate::Encoding;

use crate::body;
use crate::connection::Client;
use crate::grpc::AnswerBody;
use crate::intake::{Export, Intake, Receipt};
use crate::room;
use crate::status::Refusal;

/// How long a client over HTTP/1 waits to be told to come back later, with its body unread in the socket. One that obeys
/// loses nothing by it; one that sends the next request at once would otherwise keep the house busy with reading what is
/// thrown away, just when it is short of time.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// The signal a path exports.
pub(crate) fn signal_of(path: &str) -> Result<Signal, Refusal> {
    match path {
        "/v1/traces" => Ok(Signal::Spans),
        "/v1/logs" => Ok(Signal::Logs),
        "/v1/metrics" => Err(Refusal::Metrics),
        other => Err(Refusal::Path(other.chars().take(200).collect())),
    }
}

/// Serves one request; the answer to the client, and what to count it as.
pub(crate) async fn serve(
    intake: &Intake,
    client: &Client,
    mut request: Request<Incoming>,
) -> (Response<AnswerBody>, &'static str) {
    let media = media_type(request.headers());
    let outcome = tokio::time::timeout(intake.time_limit(None), export(intake, client, &media, &mut request)).await;
    match outcome.unwrap_or(Err(Refusal::Deadline)) {
        Ok((signal, format, receipt)) => {
            let body = message::export_response(signal, format, receipt.rejected, &receipt.message);
            (answer(format, body), "ok")
        }
        Err(refusal) => {
            refusal.note();
            // a client that was too slow to be read is not waited for again
            if request.version() < Version::HTTP_2 && !matches!(refusal, Refusal::Deadline) {
                let has_waited = matches!(refusal, Refusal::Closed(_) | Refusal::NoRoom);
                if refusal.status().retry_after.is_some() && !has_waited {
                    tokio::time::sleep(REFUSAL_PAUSE).await;
                }
                body::discard(request.body_mut()).await;
            }
            // a client whose content type is not understood is most likely a person
            (failure(&refusal, media.unwrap_or(Format::Json)), refusal.outcome())
        }
    }
}

async fn export(
    intake: &Intake,
    client: &Client,
    media: &Result<Format, String>,
    request: &mut Request<Incoming>,
) -> Result<(Signal, Format, Receipt), Refusal> {
    let signal = signal_of(request.uri().path())?;
    if request.method() != Method::POST {
        return Err(Refusal::NotPost);
    }
    let format = media.clone().map_err(Refusal::MediaType)?;
    let encoding = content_encoding(request.headers())?;
    // who shares its connection with others is told at once: they need not wait for it
    let patience = if request.version() < Version::HTTP_2 { room::PATIENCE } else { Duration::ZERO };
    let mut admitted = intake.admit(request.headers(), client, patience).await?;
    let limit_bytes = intake.settings.max_inflated_bytes;
    let wire = body::read(request.body_mut(), limit_bytes, &mut admitted.reservation).await?;
    let receipt = intake.store(admitted, Export { signal, format, encoding, wire }).await?;
    Ok((signal, format, receipt))
}

/// The encoding of the message, parameters of the media type aside; what was sent instead when it is neither.
fn media_type(headers: &HeaderMap) -> Result<Format, String> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Ok(Format::Protobuf),
        "application/json" => Ok(Format::Json),
        _ => Err(value.chars().take(100).collect()),
    }
}

/// One encoding at most: stacked ones, in one header or several, are refused.
fn content_encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let Some(first) = values.next() else { return Ok(Encoding::Identity) };
    let name = first.to_str().unwrap_or("unreadable");
    let known = Encoding::from_header(name).filter(|_| values.next().is_none());
    known.ok_or_else(|| Refusal::Encoding(name.chars().take(100).collect()))
}

fn answer(format: Format, body: Vec<u8>) -> Response<AnswerBody> {
    let mut response = Response::new(Full::from(body).boxed_unsync());
    let media = match format {
        Format::Protobuf => HeaderValue::from_static("application/x-protobuf"),
        Format::Json => HeaderValue::from_static("application/json"),
    };
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}

fn failure(refusal: &Refusal, format: Format) -> Response<AnswerBody> {
    let status = refusal.status();
    let mut response = answer(format, status.encode(format));
    *response.status_mut() = refusal.http();
    let headers = response.headers_mut();
    if let Some(retry_after) = status.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
    }
    match refusal {
        Refusal::NotPost => headers.insert(ALLOW, HeaderValue::from_static("POST")),
        Refusal::NoCredential | Refusal::Unmapped { .. } | Refusal::Access(_) => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        _ => None,
    };
    response
}
