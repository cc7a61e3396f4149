//! Logging in, who one is, logging out.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use model::time::NANOS_PER_SEC;
use runtime::ErrorKind;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gate::{Caller, Need, SESSION_COOKIE, guarded, session_cookie};
use crate::params::Json;
use crate::problem::{Document, Problem};
use crate::state::{ApiState, Auth};
use crate::wire::session::{LoginRequest, Session};

/// Longest login token.
const MAX_TOKEN_CHARS: usize = 256;

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(state, Need::Session, routes!(get_session, log_out)))
        // open to all: this is where a session comes from
        .routes(routes!(log_in))
}

/// Who is logged in.
#[utoipa::path(get, path = "/session", tag = "session",
    responses((status = 200, body = Session), (status = 401, body = Document, content_type = "application/problem+json")))]
async fn get_session(State(state): State<ApiState>, Caller(caller): Caller) -> Answer<Session> {
    Answer(session(&state, &caller))
}

/// Log in with the token of a login link, which is then used up. Sets the session cookie.
#[utoipa::path(post, path = "/session", tag = "session", request_body = LoginRequest, security(()),
    responses((status = 200, body = Session), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn log_in(
    State(state): State<ApiState>,
    Json(asked): Json<LoginRequest>,
) -> Result<(SetCookie, Answer<Session>), Problem> {
    if state.settings.auth != Auth::Session {
        return Err(Problem::new(ErrorKind::Conflict, "this server asks nobody to log in"));
    }
    if asked.token.chars().count() > MAX_TOKEN_CHARS {
        let detail = format!("token must be at most {MAX_TOKEN_CHARS} characters");
        return Err(Problem::field("token", detail).with_limit(MAX_TOKEN_CHARS as u64));
    }
    let begun = state.access.login(&asked.token).await?;
    let answer = session(&state, &begun.principal);
    let age_secs = begun.ends.0.saturating_sub(state.clock.unix_nanos()) / NANOS_PER_SEC;
    Ok((set_cookie(&state, &begun.value, age_secs), Answer(answer)))
}

/// Log out: the session ends and its cookie goes.
#[utoipa::path(delete, path = "/session", tag = "session",
    responses((status = 204), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn log_out(
    State(state): State<ApiState>,
    _caller: Caller,
    headers: HeaderMap,
) -> Result<(StatusCode, SetCookie), Problem> {
    if let Some(value) = session_cookie(&headers) {
        state.access.logout(&value).await?;
    }
    Ok((StatusCode::NO_CONTENT, set_cookie(&state, "", 0)))
}

type SetCookie = [(HeaderName, String); 1];

/// Scripts cannot read it, and no other site's page sends it along. An age of zero makes the browser forget it.
fn set_cookie(state: &ApiState, value: &str, age_secs: i64) -> SetCookie {
    let secure = if state.settings.secure_cookie { "; Secure" } else { "" };
    let text = format!("{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_secs}{secure}");
    [(header::SET_COOKIE, text)]
}

fn session(state: &ApiState, who: &access::Principal) -> Session {
    Session {
        user: who.user().to_owned(),
        tenant: who.tenant().to_string(),
        roles: who.roles().iter().map(ToString::to_string).collect(),
        auth: match state.settings.auth {
            Auth::Session => "session",
            Auth::None(_) => "none",
        },
    }
}
