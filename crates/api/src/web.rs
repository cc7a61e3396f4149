//! The web interface, inside the binary.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// A file of the built interface.
struct File {
    /// Relative to the root, with `/`.
    path: &'static str,
    /// Changes with the content, quotes included.
    etag: &'static str,
    bytes: &'static [u8],
    /// The same, packed, when that is worth it.
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

const INDEX: &str = "index.html";
/// Files in this folder have a hash of their content in their name.
const HASHED: &str = "assets/";

/// Shown when the interface was not built.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tracehound</title>\
<style>body{font:16px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem}</style>\
<h1>Tracehound</h1><p>This binary was built without its web interface.</p>\
<p>Run <code>make web</code> (needs Node 20 or newer), then build again.</p>\
<p>Everything else works: the API is described at <a href=\"/api/docs/\">/api/docs</a>.</p></html>";

/// Whether the interface is in this binary.
pub(crate) fn is_built() -> bool {
    find(INDEX).is_some()
}

/// Answers every path that no route has: a file, or the page that finds its own way (views have addresses of their own).
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if let Some(file) = find(path) {
        return answer(file, &headers);
    }
    if path.starts_with(HASHED) || !is_view(path, &headers) {
        return (StatusCode::NOT_FOUND, "there is no such file").into_response();
    }
    match find(INDEX) {
        Some(index) => answer(index, &headers),
        None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], NOT_BUILT)
            .into_response(),
    }
}

fn find(path: &str) -> Option<&'static File> {
    let path = if path.is_empty() { INDEX } else { path };
    FILES.binary_search_by(|file| file.path.cmp(path)).ok().map(|at| &FILES[at])
}

/// A browser that goes somewhere asks for a page; one that loads a part of a page does not.
fn is_view(path: &str, headers: &HeaderMap) -> bool {
    let accepts_page = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let has_extension = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    !has_extension || accepts_page.is_some_and(|accept| accept.contains("text/html"))
}

fn answer(file: &'static File, asked: &HeaderMap) -> Response {
    let text = |name| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let cache = if file.path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_static(file.etag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if text(header::IF_NONE_MATCH).split(',').any(|etag| etag.trim().trim_start_matches("W/") == file.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(file.path)));
    let gzip = file.gzip.filter(|_| text(header::ACCEPT_ENCODING).contains("gzip"));
    if gzip.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *response.body_mut() = Body::from(gzip.unwrap_or(file.bytes));
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}
