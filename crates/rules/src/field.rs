//! Where a field of a rule is found in a batch.
//!
//! | field | source |
//! |---|---|
//! | `name`, `kind`, `status`, `status_message`, `duration_nanos`, `parent_span_id` | columns of spans; `kind` and `status` by name, as in `server`, `error` |
//! | `duration` | duration of a span in milliseconds |
//! | `body`, `severity`, `severity_number`, `severity_text`, `event_name` | columns of log records; `severity` by name, as in `warn` |
//! | `service`, `service.name`, `trace_id`, `span_id`, `scope.name`, `scope.version` | columns of both |
//! | `timestamp` | time of a log record, start of a span |
//! | `resource.x` | resource attribute `x` |
//! | `body.x.y` | the value at `x.y` in a body that is JSON, lists of it passed through |
//! | `request.target` | `url.path` with `?` and `url.query`; without a path, what follows the host in `url.full` |
//! | anything else | the attribute's column, then the residual list, then its other names (see `model::field`), then the resource; for `x.y` then what stands at `y` in an attribute `x` that is JSON |
//!
//! Pipelines write several names as one, as in `url.full|c-uri`: the first with a value counts. `url.extension` falls
//! back to the end of `request.target`. `exception.type` and `exception.message` fall back to the first exception event of the span.

use model::signal::{self, log, span};

/// Stands between names of one field.
pub const OR: &str = "|";
/// Begins the name of a value inside a body.
pub const IN_BODY: &str = "body.";
/// Attributes that a dotted name is looked for in, longest first: `a.b.c.d` in `a.b.c`, `a.b` and `a`.
const PREFIXES: usize = 8;

/// A field as people call it: its first name.
pub fn shown(field: &str) -> &str {
    field.split(OR).next().unwrap_or(field)
}

/// One place to look; the first with a value wins, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A column of text, labels or integers.
    Column(String),
    /// A column of numbers that have names.
    Named(&'static str, Naming),
    /// A column of nanoseconds, read as milliseconds.
    Millis(&'static str),
    /// The residual attribute list.
    Rest(String),
    /// The resource's attribute list.
    Resource(String),
    /// A path inside an attribute that is JSON.
    Inside { key: String, path: String },
    /// A path inside a body that is JSON.
    Body(String),
    /// Path and query of a request, as one text.
    RequestTarget,
    /// The extension of the path of a request.
    Extension,
}

/// How the numbers of a column are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// Span kinds.
    Kind,
    /// Span status codes.
    Status,
    /// Log severities.
    Severity,
}

impl Naming {
    /// The name of a number.
    pub fn name(self, number: i8) -> &'static str {
        let listed = |names: &'static [&'static str]| {
            usize::try_from(number).ok().and_then(|index| names.get(index).copied()).unwrap_or("unknown")
        };
        match self {
            Self::Kind => listed(&span::KIND_NAMES),
            Self::Status => listed(&span::STATUS_NAMES),
            Self::Severity => log::severity_name(number),
        }
    }
}

/// The places of a field, best first. Columns that a batch does not have are passed over.
pub fn sources(field: &str) -> Vec<Source> {
    field.split(OR).flat_map(sources_of_one).collect()
}

fn sources_of_one(field: &str) -> Vec<Source> {
    let column = |name: &str| Source::Column(name.to_owned());
    let mut sources = match field {
        "kind" => vec![Source::Named(span::KIND, Naming::Kind)],
        "status" => vec![Source::Named(span::STATUS_CODE, Naming::Status)],
        "duration" => vec![Source::Millis(span::DURATION_NANOS)],
        "severity" => vec![Source::Named(log::SEVERITY_NUMBER, Naming::Severity)],
        "service" | "service.name" => vec![column(signal::SERVICE)],
        "timestamp" => vec![column(log::TIME), column(span::START_TIME)],
        "scope.name" => vec![column(signal::SCOPE_NAME)],
        "scope.version" => vec![column(signal::SCOPE_VERSION)],
        span::NAME | span::STATUS_MESSAGE | span::DURATION_NANOS | span::PARENT_SPAN_ID => vec![column(field)],
        log::BODY | log::SEVERITY_NUMBER | log::SEVERITY_TEXT | log::EVENT_NAME => vec![column(field)],
        signal::TRACE_ID | signal::SPAN_ID => vec![column(field)],
        _ => Vec::new(),
    };
    for name in model::field::names_of(field) {
        if model::field::promoted(name).is_some() || signal::is_server_written(name) {
            sources.push(column(name));
        }
        sources.push(Source::Rest(name.to_owned()));
    }
    match field {
        "exception.type" => sources.push(column(span::EVENT_EXCEPTION_TYPE)),
        "exception.message" => sources.push(column(span::EVENT_EXCEPTION_MESSAGE)),
        _ => {}
    }
    match field.strip_prefix("resource.") {
        Some(inner) => sources.push(Source::Resource(inner.to_owned())),
        None => sources.extend(model::field::names_of(field).map(|name| Source::Resource(name.to_owned()))),
    }
    match field {
        "request.target" => sources.push(Source::RequestTarget),
        "url.extension" => sources.push(Source::Extension),
        _ if model::field::promoted(field).is_none() => sources.extend(insides(field)),
        _ => {}
    }
    sources
}

/// Where a dotted name may stand inside JSON, longest attribute first.
fn insides(field: &str) -> Vec<Source> {
    if let Some(path) = field.strip_prefix(IN_BODY) {
        return vec![Source::Body(path.to_owned())];
    }
    let split =
        |(dot, _): (usize, &str)| Source::Inside { key: field[..dot].to_owned(), path: field[dot + 1..].to_owned() };
    field.rmatch_indices('.').take(PREFIXES).filter(|(dot, _)| *dot > 0).map(split).collect()
}
