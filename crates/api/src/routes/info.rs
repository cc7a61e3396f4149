//! What the server says of itself to people who are logged in.

use axum::Json as Answer;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gate::{Caller, Need, guarded};
use crate::problem::Document;
use crate::state::ApiState;
use crate::wire::session::Info;

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(state, Need::Session, routes!(get_info)))
}

/// Version, where to send events, and whether any have come.
#[utoipa::path(get, path = "/info", tag = "system",
    responses((status = 200, body = Info), (status = 401, body = Document, content_type = "application/problem+json")))]
async fn get_info(State(state): State<ApiState>, _caller: Caller) -> Answer<Info> {
    let settings = &state.settings;
    Answer(Info {
        version: settings.version.clone(),
        otlp_grpc: settings.otlp_grpc.clone(),
        otlp_http: settings.otlp_http.clone(),
        demo: settings.demo,
        spans_seen: (state.spans_seen)(),
    })
}
