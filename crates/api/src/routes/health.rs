//! What machines ask: alive, ready, metrics. Open to all who reach the listener; no data of any tenant is in them.

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;

/// Media type of the Prometheus text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(livez)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// One check of readiness.
#[derive(Debug, Serialize, ToSchema)]
struct CheckState {
    /// Which check.
    name: &'static str,
    /// `ok` or `failed`.
    state: &'static str,
    /// What is well, or what is wrong.
    detail: String,
}

/// Whether the server takes and answers requests.
#[derive(Debug, Serialize, ToSchema)]
struct Readiness {
    /// All checks are well.
    ready: bool,
    /// Every check with `?verbose`; else those that failed, by name alone.
    checks: Vec<CheckState>,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/livez", tag = "system", security(()), responses((status = 200, body = String, content_type = "text/plain")))]
async fn livez() -> &'static str {
    "ok\n"
}

/// Whether the server is ready; `?verbose` shows every check with its state.
#[utoipa::path(get, path = "/readyz", tag = "system", security(()), params(("verbose" = Option<String>, Query, description = "show every check", allow_reserved)),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
async fn readyz(State(state): State<ApiState>, RawQuery(query): RawQuery) -> Response {
    let is_verbose = query.unwrap_or_default().split('&').any(|part| part == "verbose" || part.starts_with("verbose="));
    let mut checks = Vec::new();
    let mut ready = true;
    for check in &state.checks {
        let (name, found) = (check.name, (check.probe)());
        ready &= found.is_ok();
        match found {
            Ok(detail) if is_verbose => checks.push(CheckState { name, state: "ok", detail }),
            Ok(_) => {}
            Err(detail) if is_verbose => checks.push(CheckState { name, state: "failed", detail }),
            Err(_) => checks.push(CheckState { name, state: "failed", detail: String::new() }),
        }
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Answer(Readiness { ready, checks })).into_response()
}

/// Metrics in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "system", security(()), responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, PROMETHEUS)], (state.metrics)()).into_response()
}
