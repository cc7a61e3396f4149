//! What access logs call the URI: the path and the query of a request in one text, and the extension of the path.

use std::borrow::Cow;

/// The fields it is made of: path, query, and the whole URL when there is no path.
pub const PARTS: [&str; 3] = ["url.path", "url.query", "url.full"];

/// The path, with `?` and the query when there is one. A path that holds a query already stays as it is.
pub fn target<'a>(path: Option<&'a str>, query: Option<&'a str>, full: Option<&'a str>) -> Option<Cow<'a, str>> {
    let Some(path) = path else { return full.map(|full| Cow::Borrowed(after_authority(full))) };
    match query.map(|query| query.trim_start_matches('?')).filter(|query| !query.is_empty()) {
        Some(query) if !path.contains('?') => Some(Cow::Owned(format!("{path}?{query}"))),
        _ => Some(Cow::Borrowed(path)),
    }
}

/// The extension of the last segment of a path, without its dot.
pub fn extension(target: &str) -> Option<&str> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    last.rsplit_once('.').map(|(_, extension)| extension).filter(|extension| !extension.is_empty())
}

/// What follows scheme and host of a URL, without its fragment; `/` when nothing does.
fn after_authority(full: &str) -> &str {
    let full = full.split('#').next().unwrap_or_default();
    let rest = full.split_once("://").map_or(full, |(_, rest)| rest);
    let start = if rest.len() == full.len() { 0 } else { rest.find(['/', '?']).unwrap_or(rest.len()) };
    if rest[start..].is_empty() { "/" } else { &rest[start..] }
}

#[cfg(test)]
mod tests;
