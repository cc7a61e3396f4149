//! Who asks, and whether they may: every route of the API passes here.

use access::{Access, Permission, Principal};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use runtime::ErrorKind;
use url::{Host, Url};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::params::is_json;
use crate::problem::Problem;
use crate::state::{ApiState, Auth};

/// Name of the session cookie.
pub const SESSION_COOKIE: &str = "th_session";
/// Where the API document says what a route needs.
pub(crate) const PERMISSION_EXTENSION: &str = "x-permission";

/// What a route needs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// A session, whatever its roles.
    Session,
    /// A session with a role that has this permission.
    Permission(Permission),
}

impl Need {
    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Permission(permission) => permission.as_str(),
        }
    }
}

/// Routes that nobody may call without what they need. The need stands in the API document as well.
pub(crate) fn guarded(
    state: &ApiState,
    need: Need,
    (schemas, mut paths, router): UtoipaMethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    for operation in paths.paths.values_mut().flat_map(operations) {
        operation.security = Some(vec![SecurityRequirement::new::<_, _, String>("session", [])]);
        let extensions = operation.extensions.get_or_insert_with(Extensions::default);
        extensions.insert(PERMISSION_EXTENSION.to_owned(), need.as_str().into());
    }
    let checked =
        from_fn_with_state(state.clone(), move |State(state): State<ApiState>, request: Request, next: Next| {
            check(state, need, request, next)
        });
    (schemas, paths, router.route_layer(checked))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

async fn check(state: ApiState, need: Need, mut request: Request, next: Next) -> Response {
    let principal = match principal(&state, request.headers()).await {
        Ok(principal) => principal,
        Err(problem) => return problem.into_response(),
    };
    if let Need::Permission(permission) = need
        && let Err(error) = Access::authorize(&principal, permission)
    {
        return Problem::from(error).into_response();
    }
    request.extensions_mut().insert(Caller(principal));
    next.run(request).await
}

async fn principal(state: &ApiState, headers: &HeaderMap) -> Result<Principal, Problem> {
    if let Auth::None(tenant) = &state.settings.auth {
        return Ok(Principal::without_login(tenant.clone()));
    }
    let cookie = session_cookie(headers)
        .ok_or_else(|| Problem::new(ErrorKind::Unauthenticated, "there is no session cookie: log in first"))?;
    Ok(state.access.session(&cookie).await?)
}

/// The value of the session cookie, when the request brings one.
pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(SESSION_COOKIE).map(|cookie| cookie.value().to_owned())
}

/// Who asks; only behind [`guarded`].
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub Principal);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = parts.extensions.get::<Self>().cloned();
        // a route that forgot its guard refuses everybody instead of letting everybody in
        found.ok_or_else(|| Problem::new(ErrorKind::Unauthenticated, "this route lets nobody in"))
    }
}

/// Refuses requests that another web site makes in the name of whoever is logged in.
///
/// A browser says where a changing request comes from (`Origin`, `Sec-Fetch-Site`); what names another place is refused.
/// A POST without an `Origin` must be JSON, which a plain form cannot send. While anybody on this machine may ask, the
/// `Host` must be loopback as well: a site could point a name of its own here, and its pages would be same-origin then.
pub(crate) fn check_site(auth: &Auth, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::new(ErrorKind::Forbidden, detail));
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
    if matches!(auth, Auth::None(_)) && !host.is_some_and(is_loopback) {
        return refused("without login only requests to a loopback host are answered");
    }
    if method.is_safe() {
        return Ok(());
    }
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return refused("the request comes from another site");
    }
    match text(header::ORIGIN) {
        Some(origin) => {
            let same = host.is_some_and(|host| is_same(origin, host));
            if same { Ok(()) } else { refused("origin is not the host of this server") }
        }
        None if method == Method::POST && !is_json(text(header::CONTENT_TYPE)) => {
            refused("a request without origin must have content-type application/json")
        }
        None => Ok(()),
    }
}

fn is_same(origin: &str, host: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    let Ok(host) = Url::parse(&format!("{}://{host}", origin.scheme())) else { return false };
    origin.host().is_some() && origin.host() == host.host() && origin.port() == host.port()
}

fn is_loopback(host: &str) -> bool {
    match Url::parse(&format!("http://{host}")).as_ref().map(Url::host) {
        Ok(Some(Host::Domain(name))) => name.eq_ignore_ascii_case("localhost"),
        Ok(Some(Host::Ipv4(address))) => address.is_loopback(),
        Ok(Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
