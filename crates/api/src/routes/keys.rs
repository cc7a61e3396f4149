//! Ingest keys: list, make, limit, revoke.

use access::Permission;
use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gate::{Caller, Need, guarded};
use crate::page::{self, Page};
use crate::params::{self, Json, Params};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::key::{CreatedKey, Key, KeyPatch, KeyRequest};

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let manage = Need::Permission(Permission::ManageKeys);
    OpenApiRouter::new()
        .routes(guarded(state, Need::Permission(Permission::ReadKeys), routes!(list_keys)))
        .routes(guarded(state, manage, routes!(create_key)))
        .routes(guarded(state, manage, routes!(limit_key)))
        .routes(guarded(state, manage, routes!(revoke_key)))
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

/// Ingest keys, revoked ones included, without their secrets.
#[utoipa::path(get, path = "/keys", tag = "keys", params(ListParams),
    responses((status = 200, body = Page<Key>), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn list_keys(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Params(asked): Params<ListParams>,
) -> Result<Answer<Page<Key>>, Problem> {
    let limit = params::limit(asked.limit.as_deref())?;
    let keys = state.access.list_keys(&caller).await?;
    let items = keys.into_iter().map(Key::from).collect();
    let key = |key: &Key| format!("{}\u{0}{}", key.created_time, key.id);
    Ok(Answer(page::slice(items, key, limit, asked.cursor.as_deref())?))
}

/// Make an ingest key. The answer holds the secret; it is not shown again.
#[utoipa::path(post, path = "/keys", tag = "keys", request_body = KeyRequest,
    responses((status = 201, body = CreatedKey), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn create_key(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Json(asked): Json<KeyRequest>,
) -> Result<(StatusCode, Answer<CreatedKey>), Problem> {
    let created = state.access.create_limited_key(&caller, &asked.name, &asked.limits()).await?;
    let answer = CreatedKey { key: Key::from(created.key), secret: created.secret };
    Ok((StatusCode::CREATED, Answer(answer)))
}

/// Change what an ingest key may bring; in force with the next request that shows it.
#[utoipa::path(patch, path = "/keys/{id}", tag = "keys", params(("id" = String, Path, description = "key id")), request_body = KeyPatch,
    responses((status = 200, body = Key), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn limit_key(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Json(asked): Json<KeyPatch>,
) -> Result<Answer<Key>, Problem> {
    Ok(Answer(Key::from(state.access.limit_key(&caller, &id, &asked.into()).await?)))
}

/// Revoke an ingest key; the next request that shows it is refused.
#[utoipa::path(delete, path = "/keys/{id}", tag = "keys", params(("id" = String, Path, description = "key id")),
    responses((status = 204), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn revoke_key(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    state.access.revoke_key(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
