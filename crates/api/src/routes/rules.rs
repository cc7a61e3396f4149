//! Rule files: list, read, validate, save, delete; rules: enable again.

use access::{AuditEvent, Permission, Principal};
use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pipeline::shelf::FILE_BYTES_MAX;
use runtime::ErrorKind;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gate::{Caller, Need, guarded};
use crate::page::{self, Page};
use crate::params::{self, Json, Params};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::rule::{Diagnostic, Rule, RuleCheck, RuleCheckRequest, RuleFile, RuleSaveRequest};

/// The name a text is validated under that has none yet.
const UNNAMED: &str = "new.yml";

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let read = Need::Permission(Permission::ReadRules);
    let write = Need::Permission(Permission::WriteRules);
    OpenApiRouter::new()
        .routes(guarded(state, read, routes!(list_rules)))
        .routes(guarded(state, read, routes!(validate_rule)))
        .routes(guarded(state, read, routes!(get_rule)))
        .routes(guarded(state, write, routes!(put_rule, delete_rule)))
        .routes(guarded(state, write, routes!(enable_rule)))
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

/// Rules in force, by file, and files that have never been valid.
#[utoipa::path(get, path = "/rules", tag = "rules", params(ListParams),
    responses((status = 200, body = Page<Rule>), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn list_rules(
    State(state): State<ApiState>,
    _caller: Caller,
    Params(asked): Params<ListParams>,
) -> Result<Answer<Page<Rule>>, Problem> {
    let limit = params::limit(asked.limit.as_deref())?;
    let files = state.rules.list();
    let items = files.iter().flat_map(|file| Rule::all_of(file, &state.tally)).collect();
    let key = |rule: &Rule| format!("{}\u{0}{}", rule.file, rule.id);
    Ok(Answer(page::slice(items, key, limit, asked.cursor.as_deref())?))
}

/// Say what is wrong with a text, without saving it.
#[utoipa::path(post, path = "/rules/validate", tag = "rules", request_body = RuleCheckRequest,
    responses((status = 200, body = RuleCheck), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn validate_rule(
    State(state): State<ApiState>,
    _caller: Caller,
    Json(asked): Json<RuleCheckRequest>,
) -> Result<Answer<RuleCheck>, Problem> {
    check_size(&asked.text)?;
    let checked = tokio::task::spawn_blocking(move || {
        let name = asked.file.filter(|name| !name.is_empty()).unwrap_or_else(|| UNNAMED.to_owned());
        match state.rules.validate(&name, &asked.text) {
            Ok(found) => RuleCheck {
                valid: true,
                warnings: found.warnings.iter().map(Diagnostic::from).collect(),
                rules: found.rules.iter().map(|rule| Rule::of(rule, &state.tally, &[])).collect(),
                diagnostics: Vec::new(),
            },
            Err(faults) => RuleCheck {
                valid: false,
                rules: Vec::new(),
                diagnostics: faults.iter().map(Diagnostic::from).collect(),
                warnings: Vec::new(),
            },
        }
    });
    Ok(Answer(checked.await?))
}

/// One rule file, by its name or by the id of a rule in it.
#[utoipa::path(get, path = "/rules/{file}", tag = "rules", params(("file" = String, Path, description = "file name or rule id")),
    responses((status = 200, body = RuleFile), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn get_rule(
    State(state): State<ApiState>,
    _caller: Caller,
    Path(file): Path<String>,
) -> Result<Response, Problem> {
    let found = state.rules.get(&file).ok_or_else(|| missing(&file))?;
    Ok(answer(RuleFile::of(found, &state.tally)))
}

/// Save a rule file and put it in force. An invalid text is refused (422) and the stored one stays.
#[utoipa::path(put, path = "/rules/{file}", tag = "rules", request_body = RuleSaveRequest,
    params(("file" = String, Path, description = "file name, ends in .yml or .yaml"),
        ("If-Match" = Option<String>, Header, description = "etag that the file must have")),
    responses((status = 200, body = RuleFile), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn put_rule(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(file): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<RuleSaveRequest>,
) -> Result<Response, Problem> {
    check_size(&asked.text)?;
    let if_match = if_match(&state, &file, &headers)?;
    let (shelf, name) = (state.rules.clone(), file.clone());
    let put = tokio::task::spawn_blocking(move || shelf.put(&name, &asked.text, if_match.as_deref()));
    let saved = put.await??;
    record(&state, &caller, "rules.save", &file, &saved.etag).await?;
    Ok(answer(RuleFile::of(saved, &state.tally)))
}

/// Delete a rule file; its rules are out of force.
#[utoipa::path(delete, path = "/rules/{file}", tag = "rules",
    params(("file" = String, Path, description = "file name"),
        ("If-Match" = Option<String>, Header, description = "etag that the file must have")),
    responses((status = 204), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn delete_rule(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let if_match = if_match(&state, &file, &headers)?;
    let (shelf, name) = (state.rules.clone(), file.clone());
    tokio::task::spawn_blocking(move || shelf.delete(&name, if_match.as_deref())).await??;
    record(&state, &caller, "rules.delete", &file, "").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a rule take part again that was disabled because it cost too much.
#[utoipa::path(post, path = "/rules/{file}/enable", tag = "rules", params(("file" = String, Path, description = "rule id")),
    responses((status = 204), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn enable_rule(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if !state.tally.enable(&id) {
        let shown: String = id.chars().take(200).collect();
        return Err(Problem::not_found(format!("no rule {shown:?} is disabled")).with_field("id"));
    }
    record(&state, &caller, "rules.enable", &id, "").await?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing(file: &str) -> Problem {
    let shown: String = file.chars().take(200).collect();
    Problem::not_found(format!("there is no rule file or rule {shown:?}")).with_field("file")
}

pub(super) fn check_size(text: &str) -> Result<(), Problem> {
    if text.len() as u64 <= FILE_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("a rule file has at most {FILE_BYTES_MAX} bytes, this text has {}", text.len());
    Err(Problem::new(ErrorKind::TooLarge, detail).with_field("text").with_limit(FILE_BYTES_MAX))
}

/// The etag that the request expects; `*` asks for any file that is there.
pub(super) fn if_match(state: &ApiState, file: &str, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let asked = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    match asked.map(str::trim) {
        None => Ok(None),
        Some("*") => Ok(Some(state.rules.get(file).ok_or_else(|| missing(file))?.etag)),
        Some(etag) => Ok(Some(etag.trim_start_matches("W/").trim_matches('"').to_owned())),
    }
}

async fn record(state: &ApiState, caller: &Principal, action: &str, file: &str, detail: &str) -> Result<(), Problem> {
    let event = AuditEvent { tenant: caller.tenant(), actor: caller.user(), action, subject: file, detail };
    Ok(state.access.record(event).await?)
}

pub(super) fn answer(file: RuleFile) -> Response {
    let etag = HeaderValue::try_from(format!("\"{}\"", file.etag));
    let mut response = Answer(file).into_response();
    if let Ok(etag) = etag {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
