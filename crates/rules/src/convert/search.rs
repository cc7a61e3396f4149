//! A condition as requests to the search of the API: conjunctions of what its parameters can say.

use model::signal::log;
use model::{Signal, TimeRange};

use super::{Asked, Refused};
use crate::atom::{AnyOf, Atom, Relation, Test};
use crate::expression::Expression;
use crate::field;
use crate::pattern::Shape;

/// Searches that one rule may become.
const QUERIES: usize = 32;

const CASE: &str = "the search compares values exactly; the rule does not tell upper from lower case";
const USE_SQL: &str = "the search cannot say that; convert to SQL";

/// One parameter of a request.
type Parameter = (&'static str, String);

/// The requests.
pub fn queries(
    asked: &Asked<'_>,
    signal: Signal,
    range: Option<&TimeRange>,
    notes: &mut Vec<String>,
) -> Result<Vec<String>, Refused> {
    let ways = alternatives(asked, true, signal, notes)?;
    let path = match signal {
        Signal::Spans => "/api/v1/traces/search",
        Signal::Logs => "/api/v1/logs/search",
    };
    ways.into_iter()
        .map(|mut parameters| {
            check_singles(&parameters)?;
            if let Some(range) = range {
                parameters.push(("start", range.start.0.to_string()));
                parameters.push(("end", range.end.0.to_string()));
            }
            let pairs: Vec<String> =
                parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
            Ok(format!("{path}?{}", pairs.join("&")))
        })
        .collect()
}

/// Conjunctions of parameters, one of which must hold.
fn alternatives(
    asked: &Asked<'_>,
    holds: bool,
    signal: Signal,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<Parameter>>, Refused> {
    match (asked, holds) {
        (Expression::Atom(atom), _) => atom_ways(atom, holds, signal, notes),
        (Expression::Not(part), _) => alternatives(part, !holds, signal, notes),
        (Expression::All(parts), true) | (Expression::Any(parts), false) => {
            let mut all: Vec<Vec<Parameter>> = vec![Vec::new()];
            for part in parts {
                let ways = alternatives(part, holds, signal, notes)?;
                let both = |one: &Vec<Parameter>, other: &Vec<Parameter>| [one.clone(), other.clone()].concat();
                all = all.iter().flat_map(|one| ways.iter().map(move |other| both(one, other))).collect();
                bounded(&all)?;
            }
            Ok(all)
        }
        (Expression::Any(parts), true) | (Expression::All(parts), false) => {
            let mut any = Vec::new();
            for part in parts {
                any.extend(alternatives(part, holds, signal, notes)?);
                bounded(&any)?;
            }
            Ok(any)
        }
    }
}

fn bounded(ways: &[Vec<Parameter>]) -> Result<(), Refused> {
    if ways.len() <= QUERIES {
        return Ok(());
    }
    let part = format!("its alternatives are more than {QUERIES} searches");
    Err(Refused { part, hint: "convert to SQL".to_owned() })
}

/// A parameter that may be given once cannot ask for two things.
fn check_singles(parameters: &[Parameter]) -> Result<(), Refused> {
    for (number, (name, value)) in parameters.iter().enumerate() {
        let other = parameters[..number].iter().find(|(known, other)| known == name && other != value);
        if *name != "filter" && other.is_some() {
            return Err(Refused { part: format!("two values of {name}"), hint: USE_SQL.to_owned() });
        }
    }
    Ok(())
}

fn atom_ways(
    atom: &Atom,
    holds: bool,
    signal: Signal,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<Parameter>>, Refused> {
    let refused = || Refused::new(atom, USE_SQL);
    let Some(field) = atom.field.as_deref() else { return Err(refused()) };
    let one = |name: &'static str, value: String| Ok(vec![vec![(name, value)]]);
    match (&atom.test, holds) {
        (Test::Exists, true) if is_attribute(field) => one("filter", field.to_owned()),
        (Test::Exists, false) if is_attribute(field) => one("filter", format!("!{field}")),
        (Test::AnyOf(any), true) => any_ways(atom, any, field, signal, notes),
        // not having the value is having another, or none
        (Test::AnyOf(any), false) if is_attribute(field) => {
            let texts = plain(any).ok_or_else(refused)?;
            note_case(any, &texts, notes);
            let others = texts.into_iter().map(|text| ("filter", format!("{field}!={text}"))).collect();
            Ok(vec![vec![("filter", format!("!{field}"))], others])
        }
        (Test::Compare(relation, bound), true) => compared(field, *relation, *bound, signal).ok_or_else(refused),
        (Test::Regex(expressions), true) if field == log::BODY && signal == Signal::Logs => {
            Ok(expressions.iter().map(|regex| vec![("regex", regex.as_str().to_owned())]).collect())
        }
        _ => Err(refused()),
    }
}

fn any_ways(
    atom: &Atom,
    any: &AnyOf,
    field: &str,
    signal: Signal,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<Parameter>>, Refused> {
    let refused = || Refused::new(atom, USE_SQL);
    if field == log::BODY && signal == Signal::Logs {
        let text = |pattern: &crate::pattern::Pattern| match pattern.clone().shape() {
            Shape::Contains(text) if !any.cased => Ok(vec![("text", text)]),
            _ => Err(refused()),
        };
        return any.written.iter().map(text).collect();
    }
    let texts = plain(any).ok_or_else(refused)?;
    let name = match (field, signal) {
        ("service" | "service.name", _) => Some("service"),
        ("name", Signal::Spans) => Some("operation"),
        ("kind", Signal::Spans) => Some("kind"),
        ("status", Signal::Spans) => Some("status"),
        ("trace_id", Signal::Logs) => Some("trace_id"),
        _ => None,
    };
    if !matches!(name, Some("kind" | "status" | "trace_id")) {
        note_case(any, &texts, notes);
    }
    match name {
        Some(name) => Ok(texts.into_iter().map(|text| vec![(name, text)]).collect()),
        None if is_attribute(field) => {
            Ok(texts.into_iter().map(|text| vec![("filter", format!("{field}={text}"))]).collect())
        }
        None => Err(refused()),
    }
}

/// Whole texts; `None` when one has a wildcard.
fn plain(any: &AnyOf) -> Option<Vec<String>> {
    any.written.iter().map(|pattern| pattern.as_plain().map(str::to_owned)).collect()
}

fn note_case(any: &AnyOf, texts: &[String], notes: &mut Vec<String>) {
    if !any.cased && texts.iter().any(|text| text.bytes().any(|byte| byte.is_ascii_alphabetic())) {
        notes.push(CASE.to_owned());
    }
}

/// Whether a filter finds it: everything but the columns that are no attributes.
fn is_attribute(field: &str) -> bool {
    const COLUMNS: [&str; 18] = [
        "name",
        "kind",
        "status",
        "status_message",
        "duration",
        "duration_nanos",
        "parent_span_id",
        "body",
        "severity",
        "severity_number",
        "severity_text",
        "event_name",
        "trace_id",
        "span_id",
        "service",
        "service.name",
        "scope.name",
        "scope.version",
    ];
    // names that a pipeline joins, and what is worked out or stands inside a body, have no parameter
    let is_one = !field.contains(field::OR) && !field.starts_with(field::IN_BODY);
    is_one && !["request.target", "url.extension"].contains(&field) && !COLUMNS.contains(&field)
}

fn compared(field: &str, relation: Relation, bound: f64, signal: Signal) -> Option<Vec<Vec<Parameter>>> {
    let nanos = match field {
        "duration" => bound * 1e6,
        "duration_nanos" => bound,
        "severity_number" if signal == Signal::Logs => {
            let least = match relation {
                Relation::Gte => bound.ceil(),
                Relation::Gt => bound.floor() + 1.0,
                _ => return None,
            };
            return (1.0..=24.0).contains(&least).then(|| vec![vec![("min_severity", format!("{least:.0}"))]]);
        }
        _ => return None,
    };
    if signal != Signal::Spans || !(0.0..9e15).contains(&nanos) {
        return None;
    }
    let parameter = match relation {
        Relation::Gte => ("min_duration", nanos.ceil()),
        Relation::Gt => ("min_duration", nanos.floor() + 1.0),
        Relation::Lte => ("max_duration", nanos.floor()),
        Relation::Lt => ("max_duration", (nanos.ceil() - 1.0).max(0.0)),
        Relation::Eq | Relation::Neq => return None,
    };
    Some(vec![vec![(parameter.0, format!("{:.0}", parameter.1))]])
}

/// As a query string takes it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
