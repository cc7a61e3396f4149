//! The house front: all routes, and the API document.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::front::front;
use crate::gate::SESSION_COOKIE;
use crate::params::MAX_BODY_BYTES;
use crate::routes;
use crate::state::ApiState;
use crate::web;

/// Everything under one roof.
pub fn router(state: ApiState) -> Router {
    if !web::is_built() {
        tracing::info!("web interface is not in this binary; `make web` builds it");
    }
    let (routes, document) = OpenApiRouter::with_openapi(document(&state.settings.version))
        .nest(
            "/api/v1",
            OpenApiRouter::new()
                .merge(routes::traces::routes(&state))
                .merge(routes::logs::routes(&state))
                .merge(routes::services::routes(&state))
                .merge(routes::rules::routes(&state))
                .merge(routes::policy::routes(&state))
                .merge(routes::backtests::routes(&state))
                .merge(routes::insight::routes(&state))
                .merge(routes::alerts::routes(&state))
                .merge(routes::stream::routes(&state))
                .merge(routes::session::routes(&state))
                .merge(routes::info::routes(&state))
                .merge(routes::keys::routes(&state)),
        )
        .merge(routes::health::routes())
        .merge(routes::schemas::routes())
        .split_for_parts();
    routes
        .merge(SwaggerUi::new("/api/docs").url("/api/openapi.json", document))
        .fallback(web::serve)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(state.clone(), front))
        .with_state(state)
}

fn document(version: &str) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Tracehound")
        .version(version)
        .description(Some(
            "Traces, logs, rules and alerts. Every refusal is a problem document (RFC 9457). Lists answer in pages: give \
             `next_cursor` back as `cursor`. Moments are RFC 3339 or integer nanoseconds since 1970; in answers, integers \
             that a JavaScript number cannot hold are strings.",
        ))
        .build();
    let cookie = ApiKeyValue::with_description(SESSION_COOKIE, "set by POST /api/v1/session");
    let mut components = Components::new();
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}
