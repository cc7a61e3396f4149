//! The ingest key in the headers of a request.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Header that carries the key where `authorization` is taken by something else. gRPC metadata of the same name.
pub const KEY_HEADER: &str = "x-tracehound-key";

/// The key a client shows: a bearer token, else [`KEY_HEADER`]. `None` when it shows none; text that is no valid key
/// comes back as it is, to be refused by whoever knows keys.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer_token);
    bearer.or_else(|| headers.get(KEY_HEADER).map(|value| value.to_str().unwrap_or_default().trim()))
}

fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
