//! The JSON Schema of rule files, for editors: open to all, for it says nothing of anybody's data.

use axum::Json as Answer;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(rule_schema))
}

/// JSON Schema of one document of a rule file. Name it in a file's first line:
/// `# yaml-language-server: $schema=http://host:port/schemas/rule.json`.
#[utoipa::path(get, path = "/schemas/rule.json", tag = "rules", security(()), responses((status = 200, body = Object)))]
async fn rule_schema() -> Answer<Value> {
    Answer(rules::schema::rule())
}
