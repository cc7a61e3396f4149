//! What comes in: query parameters and JSON bodies, each fault named by its field.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use model::time::NANOS_PER_SEC;
use model::{TimeRange, UnixNanos};
use pipeline::shelf::FILE_BYTES_MAX;
use query::{AttributeFilter, FilterOp};
use runtime::{Clock, ErrorKind};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::page::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::problem::Problem;

/// Largest JSON body in bytes: the largest rule file, each byte of it escaped as `\u00xx`, and its envelope.
pub(crate) const MAX_BODY_BYTES: usize = 6 * FILE_BYTES_MAX as usize + 4096;
/// Parameters that may be given more than once.
const REPEATABLE: [&str; 1] = ["filter"];
/// Most query parameters of one request.
const MAX_PARAMETERS: usize = 100;
/// Points of a chart when the request says nothing.
const DEFAULT_POINTS: usize = 120;
/// The range of a search that names none, back from now.
const DEFAULT_RANGE_NANOS: i64 = 3_600 * NANOS_PER_SEC;
/// How far past now a range reaches that names no end: clocks of senders run ahead.
const CLOCK_SKEW_NANOS: i64 = 60 * NANOS_PER_SEC;

/// Query parameters. Unknown ones are refused, so that a misspelt filter does not show everything.
#[derive(Debug)]
pub(crate) struct Params<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut found = Map::new();
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        for (count, (name, value)) in pairs.enumerate() {
            if count >= MAX_PARAMETERS {
                let problem = Problem::field("query", format!("at most {MAX_PARAMETERS} parameters are allowed"));
                return Err(problem.with_limit(MAX_PARAMETERS as u64));
            }
            let value = Value::String(value.into_owned());
            if REPEATABLE.contains(&&*name) {
                let list = found.entry(&*name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.push(value);
                }
            } else if found.insert(name.to_string(), value).is_some() {
                return Err(Problem::field(name.to_string(), format!("{name} is given more than once")));
            }
        }
        serde_json::from_value(Value::Object(found)).map(Self).map_err(|error| fault("query", &error))
    }
}

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !is_json(content_type) {
            return Err(Problem::field("content-type", "content-type must be application/json"));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let is_too_large = rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE;
            if is_too_large {
                let detail = format!("body is larger than {MAX_BODY_BYTES} bytes");
                return Problem::new(ErrorKind::TooLarge, detail).with_field("body").with_limit(MAX_BODY_BYTES as u64);
            }
            Problem::field("body", "body could not be read to its end")
        })?;
        serde_json::from_slice(&body).map(Self).map_err(|error| fault("body", &error))
    }
}

/// Whether a content type says JSON.
pub(crate) fn is_json(content_type: Option<&str>) -> bool {
    let media = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    media.trim().eq_ignore_ascii_case("application/json")
}

/// Names the field when the error names one between backquotes, as serde does.
fn fault(whole: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let named = text.split('`').nth(1).filter(|_| text.contains("field `")).unwrap_or(whole);
    Problem::field(named, text.clone())
}

/// `limit`, with the default and the bounds of every list.
pub(crate) fn limit(text: Option<&str>) -> Result<usize, Problem> {
    count("limit", text, DEFAULT_LIMIT)
}

/// `points` of a chart.
pub(crate) fn points(text: Option<&str>) -> Result<usize, Problem> {
    count("points", text, DEFAULT_POINTS)
}

fn count(field: &'static str, text: Option<&str>, default: usize) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(default) };
    let count = text.parse().ok().filter(|count| (1..=MAX_LIMIT).contains(count));
    let wrong = || Problem::field(field, format!("{field} must be 1 to {MAX_LIMIT}, got {text:?}"));
    count.ok_or_else(|| wrong().with_limit(MAX_LIMIT as u64))
}

/// A moment: RFC 3339 or integer nanoseconds since 1970.
fn time(field: &'static str, text: &str) -> Result<UnixNanos, Problem> {
    let read = text.parse().ok().map(UnixNanos).or_else(|| UnixNanos::from_rfc3339(text));
    let wrong = || format!("{field} must be RFC 3339 or integer nanoseconds since 1970, got {text:?}");
    read.ok_or_else(|| Problem::field(field, wrong()))
}

/// `start` and `end`; by default the last hour.
pub(crate) fn range(start: Option<&str>, end: Option<&str>, clock: &Clock) -> Result<TimeRange, Problem> {
    let now = UnixNanos(clock.unix_nanos());
    let end = end.map(|text| time("end", text)).transpose()?;
    let start = start.map(|text| time("start", text)).transpose()?;
    let start = start.unwrap_or_else(|| end.unwrap_or(now).plus(-DEFAULT_RANGE_NANOS));
    let end = end.unwrap_or_else(|| now.max(start).plus(CLOCK_SKEW_NANOS));
    if start >= end {
        return Err(Problem::field("start", format!("start {start} must lie before end {end}")));
    }
    Ok(TimeRange { start, end })
}

/// A duration in nanoseconds: `10ms`, `1.5s`, or a plain number of nanoseconds.
pub(crate) fn duration(field: &'static str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let wrong =
        || Problem::field(field, format!("{field} must be like 10ms, 1.5s or integer nanoseconds, got {text:?}"));
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if unit.is_empty() {
        return number.parse().map(Some).map_err(|_| wrong());
    }
    let unit_nanos: f64 = match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3_600e9,
        _ => return Err(wrong()),
    };
    let nanos = number.parse::<f64>().map_err(|_| wrong())? * unit_nanos;
    if nanos > i64::MAX as f64 { Err(wrong()) } else { Ok(Some(nanos.round() as i64)) }
}

/// A number by its name in a list of names.
pub(crate) fn named(field: &'static str, text: Option<&str>, names: &[&str]) -> Result<Option<i8>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let found = names.iter().position(|name| name.eq_ignore_ascii_case(text)).and_then(|at| i8::try_from(at).ok());
    let wrong = || Problem::field(field, format!("{field} must be one of {}, got {text:?}", names.join(", ")));
    found.ok_or_else(wrong).map(Some)
}

/// Attribute filters: `key=value`, `key!=value`, `key`, `!key`.
pub(crate) fn filters(texts: &[String]) -> Result<Vec<AttributeFilter>, Problem> {
    texts.iter().map(|text| filter(text)).collect()
}

fn filter(text: &str) -> Result<AttributeFilter, Problem> {
    let (key, op, value) = match text.split_once('=') {
        Some((key, value)) => match key.strip_suffix('!') {
            Some(key) => (key, FilterOp::Ne, value),
            None => (key, FilterOp::Eq, value),
        },
        None => match text.strip_prefix('!') {
            Some(key) => (key, FilterOp::NotExists, ""),
            None => (text, FilterOp::Exists, ""),
        },
    };
    let key = key.trim();
    if key.is_empty() {
        let detail = format!("filter must be key=value, key!=value, key or !key, got {text:?}");
        return Err(Problem::field("filter", detail));
    }
    Ok(AttributeFilter { key: key.to_owned(), op, value: value.to_owned() })
}

#[cfg(test)]
mod tests;
