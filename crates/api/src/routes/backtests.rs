//! Backtests: rules over stored events, as jobs.

use access::{Access, AuditEvent, Permission};
use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use model::TimeRange;
use model::time::NANOS_PER_HOUR;
use query::BacktestState;
use rules::RuleBook;
use runtime::ErrorKind;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rules::check_size;
use crate::gate::{Caller, Need, guarded};
use crate::page::{self, Page};
use crate::params::{self, Json, Params};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::backtest::{Backtest, BacktestRequest, BacktestResult, BacktestStarted};

/// Longest range of one backtest; its histogram has a bar an hour.
const RANGE_HOURS_MAX: i64 = 366 * 24;
/// Files of one request.
const FILES_MAX: usize = 100;

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let write = Need::Permission(Permission::WriteRules);
    let read = Need::Permission(Permission::ReadEvents);
    OpenApiRouter::new()
        .routes(guarded(state, write, routes!(start_backtest)))
        .routes(guarded(state, read, routes!(list_backtests)))
        .routes(guarded(state, read, routes!(get_backtest)))
        .routes(guarded(state, write, routes!(delete_backtest)))
        .routes(guarded(state, read, routes!(get_backtest_result)))
}

/// Try rules on stored events beside the version in force. They run in their turn, with low priority; nothing is saved
/// and nothing is alerted.
#[utoipa::path(post, path = "/rules/backtests", tag = "backtests", request_body = BacktestRequest,
    responses((status = 202, body = BacktestStarted), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn start_backtest(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Json(asked): Json<BacktestRequest>,
) -> Result<(StatusCode, Answer<BacktestStarted>), Problem> {
    // what it finds are events
    Access::authorize(&caller, Permission::ReadEvents)?;
    let range = params::range(Some(&asked.start), asked.end.as_deref(), &state.clock)?;
    check_range(&range)?;
    if asked.files.is_empty() || asked.files.len() > FILES_MAX {
        let problem = Problem::field("files", format!("files must be 1 to {FILES_MAX}, got {}", asked.files.len()));
        return Err(problem.with_limit(FILES_MAX as u64));
    }
    asked.files.iter().filter_map(|file| file.text.as_deref()).try_for_each(check_size)?;
    let shelf = state.rules.clone();
    let compiled = tokio::task::spawn_blocking(move || compile(&shelf.book(), &asked));
    let (names, request) = compiled.await??;
    let request = query::BacktestRequest { range, ..request };
    let id = state.backtests.start(caller.tenant(), caller.user(), names.clone(), request)?;
    let subject = names.join(", ");
    let subject: String = subject.chars().take(200).collect();
    let (tenant, actor) = (caller.tenant(), caller.user());
    let event = AuditEvent { tenant, actor, action: "rules.backtest", subject: &subject, detail: &id };
    state.access.record(event).await?;
    Ok((StatusCode::ACCEPTED, Answer(BacktestStarted { id })))
}

/// What is tried, and what is in force, from the book and what the request would change in it.
fn compile(book: &RuleBook, asked: &BacktestRequest) -> Result<(Vec<String>, query::BacktestRequest), Problem> {
    let names: Vec<String> = asked.files.iter().map(|file| file.file.clone()).collect();
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    for file in asked.files.iter().filter(|file| file.text.is_none()) {
        let is_there = book.files().iter().any(|known| known.name == file.file && known.is_active);
        if !is_there {
            let detail = format!("there is no rule file {:?} in force; give its text", file.file);
            return Err(Problem::field("files", detail));
        }
    }
    let mut tried = book.clone();
    let texts: Vec<(&str, &str)> =
        asked.files.iter().filter_map(|file| Some((file.file.as_str(), file.text.as_deref()?))).collect();
    let faults = tried.update_all(texts.iter().copied());
    if !faults.is_empty() {
        return Err(pipeline::shelf::ShelfError::Invalid(faults).into());
    }
    // a pipeline changes what other files mean
    let remapped = tried.changed_from(book);
    let decided: Vec<&str> = listed.into_iter().chain(remapped.iter().map(String::as_str)).collect();
    let candidate = tried.related(&decided);
    // without a text nothing differs, and one run tells all there is
    let deployed = (asked.compare && !texts.is_empty()).then(|| book.related(&decided));
    let deployed = deployed.filter(|deployed| !deployed.ids.is_empty());
    Ok((names, query::BacktestRequest { candidate, deployed, range: TimeRange::ALL }))
}

fn check_range(range: &TimeRange) -> Result<(), Problem> {
    let hours = range.end.0.saturating_sub(range.start.0) / NANOS_PER_HOUR;
    if hours <= RANGE_HOURS_MAX {
        return Ok(());
    }
    let detail = format!("a backtest looks at {RANGE_HOURS_MAX} hours at most, got {hours}");
    Err(Problem::field("start", detail).with_limit(RANGE_HOURS_MAX as u64))
}

/// A page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// Items per page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Backtests that wait, run, or have ended lately.
#[utoipa::path(get, path = "/rules/backtests", tag = "backtests", params(ListParams),
    responses((status = 200, body = Page<Backtest>), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn list_backtests(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Params(asked): Params<ListParams>,
) -> Result<Answer<Page<Backtest>>, Problem> {
    let limit = params::limit(asked.limit.as_deref())?;
    let items = state.backtests.list(caller.tenant()).iter().map(Backtest::from).collect();
    let key = |job: &Backtest| format!("{} {}", job.created_time, job.id);
    Ok(Answer(page::slice(items, key, limit, asked.cursor.as_deref())?))
}

/// Where a backtest stands.
#[utoipa::path(get, path = "/rules/backtests/{id}", tag = "backtests", params(("id" = String, Path, description = "id of the backtest")),
    responses((status = 200, body = Backtest), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn get_backtest(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Answer<Backtest>, Problem> {
    Ok(Answer(Backtest::from(&state.backtests.get(caller.tenant(), &id)?)))
}

/// End a backtest soon; what it has found so far stays. One that has ended, or never began, is forgotten.
#[utoipa::path(delete, path = "/rules/backtests/{id}", tag = "backtests", params(("id" = String, Path, description = "id of the backtest")),
    responses((status = 204), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn delete_backtest(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    state.backtests.cancel(caller.tenant(), &id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a backtest has found; 409 while it waits or runs.
#[utoipa::path(get, path = "/rules/backtests/{id}/result", tag = "backtests", params(("id" = String, Path, description = "id of the backtest")),
    responses((status = 200, body = BacktestResult), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn get_backtest_result(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Answer<BacktestResult>, Problem> {
    let job = state.backtests.get(caller.tenant(), &id)?;
    match &job.state {
        BacktestState::Ended(outcome) => Ok(Answer(BacktestResult::of(&job, outcome))),
        BacktestState::Failed(reason) => Err(Problem::new(ErrorKind::Unavailable, reason.clone())),
        BacktestState::Waiting | BacktestState::Running => {
            Err(Problem::new(ErrorKind::Conflict, "the backtest has not ended yet"))
        }
    }
}
