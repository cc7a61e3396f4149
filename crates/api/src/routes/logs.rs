//! Log records: search.

use access::Permission;
use axum::Json as Answer;
use axum::extract::State;
use model::Signal;
use model::signal::log::SEVERITY_NAMES;
use query::{LogSearch, Order};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gate::{Caller, Need, guarded};
use crate::page::Page;
use crate::params::{self, Params};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::log::LogRecord;

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(state, Need::Permission(Permission::ReadEvents), routes!(search_logs)))
        .routes(guarded(state, Need::Permission(Permission::ReadEvents), routes!(count_logs)))
}

/// Which log records to find: those that meet every condition.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchParams {
    /// First moment, RFC 3339 or integer nanoseconds since 1970; an hour ago by default.
    start: Option<String>,
    /// First moment outside; now by default.
    end: Option<String>,
    /// Lowest severity: `trace`, `debug`, `info`, `warn`, `error`, `fatal`, or an OTLP number 1 to 24.
    min_severity: Option<String>,
    /// Service that wrote the record.
    service: Option<String>,
    /// Text that the body contains, upper and lower case alike.
    text: Option<String>,
    /// Word that the body has, upper and lower case alike: letters and digits without anything in between.
    word: Option<String>,
    /// Regular expression that matches somewhere in the body (syntax of the Rust crate `regex`); `(?i)` in front makes
    /// upper and lower case alike.
    regex: Option<String>,
    /// Trace the record belongs to.
    trace_id: Option<String>,
    /// `key=value`, `key!=value`, `key` (is there) or `!key` (is not there); may be repeated.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode)]
    filter: Vec<String>,
    /// `desc` (newest first, the default) or `asc`; the same on every page.
    order: Option<String>,
    /// Items per page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Find log records.
#[utoipa::path(get, path = "/logs/search", tag = "logs", params(SearchParams),
    responses((status = 200, body = Page<LogRecord>), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn search_logs(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Params(asked): Params<SearchParams>,
) -> Result<Answer<Page<LogRecord>>, Problem> {
    let search = asked.search(&state)?;
    let missing_files = state.query.missing(caller.tenant(), Signal::Logs, &search.range);
    let page = state.query.search_logs(caller.tenant(), search).await?;
    let items = page.items.into_iter().map(LogRecord::from).collect();
    Ok(Answer(Page { items, next_cursor: page.next_cursor, missing_files }))
}

/// How many log records meet every condition.
#[derive(Debug, Serialize, ToSchema)]
struct LogCount {
    /// Log records that match.
    count: u64,
    /// Files of the time asked about that are damaged or gone: what is in them is not counted.
    missing_files: Vec<String>,
}

/// Count log records. Order, limit and cursor of a search are not looked at.
#[utoipa::path(get, path = "/logs/count", tag = "logs", params(SearchParams),
    responses((status = 200, body = LogCount), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn count_logs(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Params(asked): Params<SearchParams>,
) -> Result<Answer<LogCount>, Problem> {
    let search = asked.search(&state)?;
    let missing_files = state.query.missing(caller.tenant(), Signal::Logs, &search.range);
    let count = state.query.count_logs(caller.tenant(), search).await?;
    Ok(Answer(LogCount { count, missing_files }))
}

impl SearchParams {
    fn search(self, state: &ApiState) -> Result<LogSearch, Problem> {
        let trace_id = self.trace_id.as_deref().map(str::parse).transpose();
        Ok(LogSearch {
            range: params::range(self.start.as_deref(), self.end.as_deref(), &state.clock)?,
            min_severity: min_severity(self.min_severity.as_deref())?,
            service: self.service,
            text: self.text.filter(|text| !text.is_empty()),
            word: self.word.filter(|word| !word.is_empty()),
            regex: self.regex.filter(|regex| !regex.is_empty()),
            trace_id: trace_id.map_err(|error: model::IdError| Problem::field("trace_id", error.to_string()))?,
            filters: params::filters(&self.filter)?,
            order: order(self.order.as_deref())?,
            limit: params::limit(self.limit.as_deref())?,
            cursor: self.cursor,
        })
    }
}

fn order(text: Option<&str>) -> Result<Order, Problem> {
    match text {
        None | Some("desc") => Ok(Order::NewestFirst),
        Some("asc") => Ok(Order::OldestFirst),
        Some(other) => Err(Problem::field("order", format!("order must be asc or desc, got {other:?}"))),
    }
}

fn min_severity(text: Option<&str>) -> Result<Option<i8>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(number) = text.parse::<i8>() {
        let wrong =
            || Problem::field("min_severity", format!("min_severity must be 1 to 24, got {number}")).with_limit(24);
        return if (1..=24).contains(&number) { Ok(Some(number)) } else { Err(wrong()) };
    }
    // each name stands for four numbers and begins with the first
    Ok(params::named("min_severity", Some(text), &SEVERITY_NAMES)?.map(|at| at * 4 + 1))
}
