//! What every request passes first and every answer last: limits, tracing, timing, problem documents, safe headers.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use metrics::{counter, histogram};
use runtime::telemetry::{self, SPAN_TARGET};
use runtime::{ErrorKind, metric};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field};

use crate::gate::check_site;
use crate::problem::{self, Problem};
use crate::state::ApiState;

/// How long one request may be worked on. Streams count until they begin.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Paths that machines ask every few seconds; they make no span.
const QUIET: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Scripts, fonts and requests from here alone, and no frame around us. Mantine writes style elements at run time.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
const SAFE_HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // a login link must not travel to other sites, and our own need the origin of changing requests
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// The outermost layer.
pub(crate) async fn front(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("web", MatchedPath::as_str).to_owned();
    let is_api = path == "/api" || path.starts_with("/api/");
    let span = if is_api { span_of(&request, &route) } else { Span::none() };
    let trace_id = trace_id(&state, &span, request.headers());

    let answered = answer(&state, is_api, request, next).instrument(span.clone());
    let mut response = answered.await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.write(&trace_id);
    } else if is_api && is_foreign_refusal(&response) {
        response = Problem::of_status(response.status()).write(&trace_id);
    }

    let elapsed = started.elapsed();
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.in_scope(|| tracing::warn!(%method, path, status = status.as_u16(), trace_id, "request refused"));
    }
    if !QUIET.contains(&route.as_str()) {
        let labels = [("route", route.clone()), ("method", method.to_string()), ("status", status.as_str().to_owned())];
        counter!(metric::API_REQUESTS, &labels).increment(1);
        histogram!(metric::API_SECONDS, "route" => route).record(elapsed.as_secs_f64());
    }
    finish(response.headers_mut(), is_api, elapsed);
    response
}

async fn answer(state: &ApiState, is_api: bool, request: Request, next: Next) -> Response {
    if !is_api {
        return next.run(request).await;
    }
    if let Err(problem) = check_site(&state.settings.auth, request.method(), request.uri(), request.headers()) {
        return problem.into_response();
    }
    let Ok(_seat) = state.requests.try_acquire() else {
        return Problem::new(ErrorKind::Overloaded, "too many requests are being worked on").into_response();
    };
    // a panic is a fault of ours in one request; the others go on
    let worked = tokio::time::timeout(REQUEST_TIMEOUT, AssertUnwindSafe(next.run(request)).catch_unwind()).await;
    match worked {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::new(ErrorKind::Internal, "the server could not answer").into_response(),
        Err(_) => {
            let secs = REQUEST_TIMEOUT.as_secs();
            Problem::new(ErrorKind::Timeout, format!("the request took longer than {secs} s"))
                .with_limit(secs)
                .into_response()
        }
    }
}

fn span_of(request: &Request, route: &str) -> Span {
    let method = request.method();
    let span = tracing::info_span!(
        target: SPAN_TARGET,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = %method,
        http.route = route,
        url.path = request.uri().path(),
        http.response.status_code = field::Empty,
    );
    telemetry::continue_trace(&span, request.headers());
    span
}

/// Names the request: the id of its trace, the caller's when it sent one, else a new one that is only in our logs.
fn trace_id(state: &ApiState, span: &Span, headers: &HeaderMap) -> String {
    telemetry::trace_id(span)
        .or_else(|| telemetry::sent_trace_id(headers))
        .unwrap_or_else(|| hex::encode(state.random.bytes::<16>()))
}

/// Refused by the framework or by a library, not by us.
fn is_foreign_refusal(response: &Response) -> bool {
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|found| found == problem::CONTENT_TYPE);
    is_refusal && !is_ours && status != StatusCode::NOT_MODIFIED
}

fn finish(headers: &mut HeaderMap, is_api: bool, elapsed: Duration) {
    for (name, value) in SAFE_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        let timing = format!("total;dur={:.1}", elapsed.as_secs_f64() * 1e3);
        if let Ok(timing) = HeaderValue::try_from(timing) {
            headers.insert("server-timing", timing);
        }
    }
}
