//! Services, their operations, and the service map.

use access::Permission;
use axum::Json as Answer;
use axum::extract::{Path, State};
use model::Signal;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gate::{Caller, Need, guarded};
use crate::page::{self, Page};
use crate::params::{self, Params};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::service::{Course, Operation, ServiceMap, ServiceSummary};

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let need = Need::Permission(Permission::ReadEvents);
    OpenApiRouter::new()
        .routes(guarded(state, need, routes!(list_services)))
        .routes(guarded(state, need, routes!(list_operations)))
        .routes(guarded(state, need, routes!(get_course)))
        .routes(guarded(state, need, routes!(get_service_map)))
}

/// A range and a page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
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

/// A range.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RangeParams {
    /// First moment, RFC 3339 or integer nanoseconds since 1970; an hour ago by default.
    start: Option<String>,
    /// First moment outside; now by default.
    end: Option<String>,
}

/// A range and how finely it is cut.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CourseParams {
    /// First moment, RFC 3339 or integer nanoseconds since 1970; an hour ago by default.
    start: Option<String>,
    /// First moment outside; now by default.
    end: Option<String>,
    /// Only spans of this name.
    operation: Option<String>,
    /// Points at most; there may be one more where the range does not begin with a step.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 120)]
    points: Option<String>,
}

/// Services with a span in the range, by name. The busiest 1,000 when there are more.
#[utoipa::path(get, path = "/services", tag = "services", params(ListParams),
    responses((status = 200, body = Page<ServiceSummary>), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn list_services(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Params(asked): Params<ListParams>,
) -> Result<Answer<Page<ServiceSummary>>, Problem> {
    let range = params::range(asked.start.as_deref(), asked.end.as_deref(), &state.clock)?;
    let limit = params::limit(asked.limit.as_deref())?;
    let found = state.query.services(caller.tenant(), range).await?;
    let items = found.into_iter().map(ServiceSummary::from).collect();
    let page = page::slice(items, |service: &ServiceSummary| service.name.clone(), limit, asked.cursor.as_deref())?;
    Ok(Answer(Page { missing_files: state.query.missing(caller.tenant(), Signal::Spans, &range), ..page }))
}

/// Operations of a service in the range, by name. The busiest 1,000 when there are more.
#[utoipa::path(get, path = "/services/{name}/operations", tag = "services", params(("name" = String, Path, description = "service name"), ListParams),
    responses((status = 200, body = Page<Operation>), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn list_operations(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Params(asked): Params<ListParams>,
) -> Result<Answer<Page<Operation>>, Problem> {
    let range = params::range(asked.start.as_deref(), asked.end.as_deref(), &state.clock)?;
    let limit = params::limit(asked.limit.as_deref())?;
    let found = state.query.operations(caller.tenant(), &name, range).await?;
    let items = found.into_iter().map(Operation::from).collect();
    // one name may be used by spans of several kinds
    let key = |operation: &Operation| format!("{}\u{0}{}", operation.name, operation.kind);
    let page = page::slice(items, key, limit, asked.cursor.as_deref())?;
    Ok(Answer(Page { missing_files: state.query.missing(caller.tenant(), Signal::Spans, &range), ..page }))
}

/// Rate, errors and durations (RED) of a service over time.
#[utoipa::path(get, path = "/services/{name}/red", tag = "services", params(("name" = String, Path, description = "service name"), CourseParams),
    responses((status = 200, body = Course), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn get_course(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Params(asked): Params<CourseParams>,
) -> Result<Answer<Course>, Problem> {
    let range = params::range(asked.start.as_deref(), asked.end.as_deref(), &state.clock)?;
    let points = params::points(asked.points.as_deref())?;
    let course = state.query.course(caller.tenant(), &name, asked.operation.as_deref(), range, points).await?;
    Ok(Answer(Course::of(course, state.query.missing(caller.tenant(), Signal::Spans, &range))))
}

/// Who calls whom.
#[utoipa::path(get, path = "/service-map", tag = "services", params(RangeParams),
    responses((status = 200, body = ServiceMap), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn get_service_map(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Params(asked): Params<RangeParams>,
) -> Result<Answer<ServiceMap>, Problem> {
    let range = params::range(asked.start.as_deref(), asked.end.as_deref(), &state.clock)?;
    let map = state.query.service_map(caller.tenant(), range).await?;
    let missing = state.query.missing(caller.tenant(), Signal::Spans, &range);
    Ok(Answer(ServiceMap::of(map, missing)))
}
