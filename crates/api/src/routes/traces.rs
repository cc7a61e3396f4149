//! Traces: search, and one whole.

use access::Permission;
use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::signal::span::{KIND_NAMES, STATUS_NAMES};
use model::{Signal, TimeRange, TraceId};
use query::SpanSearch;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gate::{Caller, Need, guarded};
use crate::page::Page;
use crate::params::{self, Params};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::trace::{Trace, TraceHit};

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let need = Need::Permission(Permission::ReadEvents);
    OpenApiRouter::new().routes(guarded(state, need, routes!(search_traces))).routes(guarded(
        state,
        need,
        routes!(get_trace),
    ))
}

/// Which traces to find: those with at least one span that meets every condition.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchParams {
    /// Service that emitted the span.
    service: Option<String>,
    /// Span name.
    operation: Option<String>,
    /// `key=value`, `key!=value`, `key` (is there) or `!key` (is not there); may be repeated.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode)]
    filter: Vec<String>,
    /// Shortest duration, as in `10ms`, `1.5s` or integer nanoseconds.
    min_duration: Option<String>,
    /// Longest duration.
    max_duration: Option<String>,
    /// `unset`, `ok` or `error`.
    status: Option<String>,
    /// `unspecified`, `internal`, `server`, `client`, `producer` or `consumer`.
    kind: Option<String>,
    /// First moment, RFC 3339 or integer nanoseconds since 1970; an hour ago by default.
    start: Option<String>,
    /// First moment outside; now by default.
    end: Option<String>,
    /// Items per page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Find traces, newest first.
#[utoipa::path(get, path = "/traces/search", tag = "traces", params(SearchParams),
    responses((status = 200, body = Page<TraceHit>), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn search_traces(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Params(asked): Params<SearchParams>,
) -> Result<Answer<Page<TraceHit>>, Problem> {
    let search = SpanSearch {
        service: asked.service,
        operation: asked.operation,
        filters: params::filters(&asked.filter)?,
        min_duration_nanos: params::duration("min_duration", asked.min_duration.as_deref())?,
        max_duration_nanos: params::duration("max_duration", asked.max_duration.as_deref())?,
        status: params::named("status", asked.status.as_deref(), &STATUS_NAMES)?,
        kind: params::named("kind", asked.kind.as_deref(), &KIND_NAMES)?,
        range: params::range(asked.start.as_deref(), asked.end.as_deref(), &state.clock)?,
        limit: params::limit(asked.limit.as_deref())?,
        cursor: asked.cursor,
    };
    let missing_files = state.query.missing(caller.tenant(), Signal::Spans, &search.range);
    let page = state.query.search_traces(caller.tenant(), search).await?;
    let items = page.items.into_iter().map(TraceHit::from).collect();
    Ok(Answer(Page { items, next_cursor: page.next_cursor, missing_files }))
}

/// One whole trace, spans in order of start.
#[utoipa::path(get, path = "/traces/{trace_id}", tag = "traces",
    params(("trace_id" = String, Path, description = "32 hexadecimal digits")),
    responses((status = 200, body = Trace), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn get_trace(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(trace_id): Path<String>,
) -> Result<Response, Problem> {
    let id: TraceId = trace_id.parse().map_err(|error| Problem::field("trace_id", format!("{error}")))?;
    let trace = state.query.trace(caller.tenant(), id).await?;
    let missing = state.query.missing(caller.tenant(), Signal::Spans, &TimeRange::ALL);
    let trace = trace.ok_or_else(|| {
        let unless = match missing.len() {
            0 => String::new(),
            files => format!(", unless it is in one of {files} damaged files, the first of which is {}", missing[0]),
        };
        Problem::not_found(format!("there is no trace {id}{unless}")).with_field("trace_id")
    })?;
    // a large trace is megabytes of text: made on a blocking thread
    let body = tokio::task::spawn_blocking(move || {
        let trace = Trace::read(&trace, missing).map_err(query::QueryError::Stored)?;
        serde_json::to_vec(&trace).map_err(|error| query::QueryError::Threads(error.to_string()))
    });
    let body = body.await??;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
