//! Alerts: list, read, set status.

use access::Permission;
use alerts::{AlertFilter, Status};
use axum::Json as Answer;
use axum::extract::{Path, State};
use model::Severity;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gate::{Caller, Need, guarded};
use crate::page::Page;
use crate::params::{self, Json, Params};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::alert::{Alert, AlertDetail, StatusRequest};

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let read = Need::Permission(Permission::ReadAlerts);
    OpenApiRouter::new()
        .routes(guarded(state, read, routes!(list_alerts)))
        .routes(guarded(state, read, routes!(get_alert)))
        .routes(guarded(state, Need::Permission(Permission::TriageAlerts), routes!(set_alert_status)))
}

/// Which alerts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// Any of `open`, `acknowledged`, `closed`, with commas between; all by default.
    status: Option<String>,
    /// Any of `informational`, `low`, `medium`, `high`, `critical`, with commas between; all by default.
    severity: Option<String>,
    /// Of this rule.
    rule_id: Option<String>,
    /// Items per page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Alerts, newest first.
#[utoipa::path(get, path = "/alerts", tag = "alerts", params(ListParams),
    responses((status = 200, body = Page<Alert>), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn list_alerts(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Params(asked): Params<ListParams>,
) -> Result<Answer<Page<Alert>>, Problem> {
    let status = words(asked.status.as_deref()).map(str::parse::<Status>).collect::<Result<_, _>>()?;
    let severity = words(asked.severity.as_deref()).map(str::parse::<Severity>).collect::<Result<_, _>>();
    let filter = AlertFilter {
        status,
        severity: severity.map_err(|error| Problem::field("severity", error))?,
        rule_id: asked.rule_id,
        limit: u32::try_from(params::limit(asked.limit.as_deref())?).unwrap_or(u32::MAX),
        cursor: asked.cursor,
    };
    let page = state.alerts.list(caller.tenant(), &filter).await?;
    let items = page.items.into_iter().map(Alert::from).collect();
    Ok(Answer(Page { items, next_cursor: page.next_cursor, missing_files: Vec::new() }))
}

/// One alert with its evidence, history and messages.
#[utoipa::path(get, path = "/alerts/{id}", tag = "alerts", params(("id" = String, Path, description = "alert id")),
    responses((status = 200, body = AlertDetail), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn get_alert(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Answer<AlertDetail>, Problem> {
    let found = state.alerts.get(caller.tenant(), &id).await?;
    let shown: String = id.chars().take(64).collect();
    let missing = || Problem::not_found(format!("there is no alert with the id {shown:?}")).with_field("id");
    Ok(Answer(AlertDetail::from(found.ok_or_else(missing)?)))
}

/// Acknowledge, close or open an alert again, or comment on it (its own status with a comment).
#[utoipa::path(post, path = "/alerts/{id}/status", tag = "alerts", request_body = StatusRequest,
    params(("id" = String, Path, description = "alert id")),
    responses((status = 200, body = AlertDetail), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn set_alert_status(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Json(asked): Json<StatusRequest>,
) -> Result<Answer<AlertDetail>, Problem> {
    let status: Status = asked.status.parse()?;
    let detail = state.alerts.set_status(caller.tenant(), &id, status, &asked.comment, caller.user()).await?;
    Ok(Answer(AlertDetail::from(detail)))
}

fn words(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty())
}
