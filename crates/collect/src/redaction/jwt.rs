//! What a JSON Web Token says about itself, read without believing it: detection compares, it does not trust.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

/// Longest encoded part that is read; real ones have a few hundred bytes.
const MAX_PART_BYTES: usize = 16 * 1024;
/// Longest text that is kept of a claim.
const MAX_TEXT_BYTES: usize = 256;
/// Most audiences that are kept.
const MAX_AUDIENCES: usize = 8;

/// What detection needs of a token, in the order of the attributes `auth.jwt.*`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// Texts by name.
    pub texts: Vec<(&'static str, String)>,
    /// Times in seconds since 1970 by name.
    pub seconds: Vec<(&'static str, i64)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Header {
    alg: Value,
    kid: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    iss: Value,
    aud: Value,
    sub: Value,
    exp: Value,
    iat: Value,
}

/// Reads a token; what is missing, too long, encrypted or not JSON is left out.
pub(super) fn read(token: &str) -> Claims {
    let mut parts = token.split('.');
    let header: Header = parts.next().and_then(part).unwrap_or_default();
    let body: Body = parts.next().and_then(part).unwrap_or_default();
    let mut claims = Claims::default();
    for (name, value) in [
        ("auth.jwt.alg", &header.alg),
        ("auth.jwt.kid", &header.kid),
        ("auth.jwt.iss", &body.iss),
        ("auth.jwt.aud", &body.aud),
        ("auth.jwt.sub", &body.sub),
    ] {
        claims.texts.extend(text(value).map(|text| (name, text)));
    }
    for (name, value) in [("auth.jwt.exp", &body.exp), ("auth.jwt.iat", &body.iat)] {
        claims.seconds.extend(seconds(value).map(|seconds| (name, seconds)));
    }
    claims
}

fn part<T: for<'de> Deserialize<'de>>(encoded: &str) -> Option<T> {
    if encoded.len() > MAX_PART_BYTES {
        return None;
    }
    // the parser refuses what is nested deeper than 128 levels
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

/// A text, or several with commas between them as `aud` may have.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let texts: Vec<_> = values.iter().filter_map(Value::as_str).take(MAX_AUDIENCES).collect();
            texts.join(",")
        }
        _ => return None,
    };
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    Some(text[..end].to_owned()).filter(|text| !text.is_empty())
}

fn seconds(value: &Value) -> Option<i64> {
    // a NumericDate may have a fraction
    value.as_i64().or_else(|| value.as_f64().filter(|seconds| seconds.abs() < 1e15).map(|seconds| seconds as i64))
}

#[cfg(test)]
mod tests;
