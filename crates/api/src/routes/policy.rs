//! The service-call policy of a tenant: learn one from history, read the deployed one, deploy one.

use access::{AuditEvent, Permission};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::TenantId;
use rules::policy::{self, Origin};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rules::{answer, check_size, if_match};
use crate::gate::{Caller, Need, guarded};
use crate::params::{self, Json};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::policy::PolicyLearnRequest;
use crate::wire::rule::{RuleFile, RuleSaveRequest};

/// Spans read one by one to learn from; of older ones counts are read.
const SPANS_READ: u64 = 2_000_000;
const YAML: HeaderValue = HeaderValue::from_static("application/yaml");

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let learn = Need::Permission(Permission::ReadEvents);
    let read = Need::Permission(Permission::ReadRules);
    let write = Need::Permission(Permission::WriteRules);
    OpenApiRouter::new()
        .routes(guarded(state, learn, routes!(learn_policy)))
        .routes(guarded(state, read, routes!(get_policy)))
        .routes(guarded(state, write, routes!(put_policy)))
}

/// The file that the policy of a tenant stands in.
fn file_of(tenant: &TenantId) -> String {
    format!("policies/{tenant}.yml")
}

/// Learn who calls whom, and for what, as a policy to review. Nothing is put in force.
#[utoipa::path(post, path = "/policy/learn", tag = "policy", request_body = PolicyLearnRequest,
    responses((status = 200, body = String, content_type = "application/yaml"), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn learn_policy(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Json(asked): Json<PolicyLearnRequest>,
) -> Result<Response, Problem> {
    let range = params::range(asked.start.as_deref(), asked.end.as_deref(), &state.clock)?;
    let learned = state.query.calls(caller.tenant(), range, SPANS_READ).await?;
    let notes = learned.notes().into_iter().collect();
    let origin =
        Origin { tenant: caller.tenant().to_string(), from: learned.range.start, to: learned.range.end, notes };
    let text = policy::write(&learned.graph, &origin);
    check_size(&text)?;
    Ok(([(header::CONTENT_TYPE, YAML)], text).into_response())
}

/// The deployed policy.
#[utoipa::path(get, path = "/policy", tag = "policy",
    responses((status = 200, body = RuleFile), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn get_policy(State(state): State<ApiState>, Caller(caller): Caller) -> Result<Response, Problem> {
    let file = file_of(caller.tenant());
    let missing = || Problem::not_found(format!("no policy is deployed for tenant {}", caller.tenant()));
    let found = state.rules.get(&file).ok_or_else(missing)?;
    Ok(answer(RuleFile::of(found, &state.tally)))
}

/// Deploy a policy: it is saved beside the rules and judged by from now on. An invalid one is refused (422) and the
/// deployed one stays.
#[utoipa::path(put, path = "/policy", tag = "policy", request_body = RuleSaveRequest,
    params(("If-Match" = Option<String>, Header, description = "etag that the policy must have")),
    responses((status = 200, body = RuleFile), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn put_policy(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    headers: HeaderMap,
    Json(asked): Json<RuleSaveRequest>,
) -> Result<Response, Problem> {
    check_size(&asked.text)?;
    let file = file_of(caller.tenant());
    policy::check_tenant(&asked.text, caller.tenant().as_str()).map_err(|why| Problem::field("text", why))?;
    let if_match = if_match(&state, &file, &headers)?;
    let (shelf, name) = (state.rules.clone(), file.clone());
    let put = tokio::task::spawn_blocking(move || shelf.put(&name, &asked.text, if_match.as_deref()));
    let saved = put.await??;
    let (tenant, actor) = (caller.tenant(), caller.user());
    let event = AuditEvent { tenant, actor, action: "policy.save", subject: &file, detail: &saved.etag };
    state.access.record(event).await?;
    Ok(answer(RuleFile::of(saved, &state.tally)))
}
