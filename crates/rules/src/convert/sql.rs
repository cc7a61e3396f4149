//! A condition as SQL of the store, which reads it as the engine does: an absent field makes a part false.

use ipnet::IpNet;
use model::signal::{self, span};
use model::{Signal, TimeRange};

use super::{Asked, Refused};
use crate::atom::{Anchor, AnyOf, Atom, Test};
use crate::expression::Expression;
use crate::field::{self, Naming, Source};
use crate::pattern::{DASHES, Part, Pattern, Shape};

/// Numbers that have names.
const CODES: std::ops::RangeInclusive<i8> = 0..=24;

/// No place of a table holds such a value.
const PARTS_OF_TIME: &str = "SQL compares whole moments; leave the part of the time out and look at the answers";
const INSIDE: &str = "attributes and bodies that are JSON are not looked into, and no part of a request is worked out; a rule \
                      finds those as well";

const LISTS: &str = "an attribute that is a list is compared as its JSON text; a rule looks at each of its elements";

/// One SELECT over the table of a signal, newest first.
pub fn query(
    asked: &Asked<'_>,
    signal: Signal,
    range: Option<&TimeRange>,
    notes: &mut Vec<String>,
) -> Result<String, Refused> {
    let mut fields = Fields { signal, looks_inside: false, columns: Vec::new() };
    let condition = expression(asked, &mut fields)?;
    notes.push(LISTS.to_owned());
    notes.extend(fields.looks_inside.then(|| INSIDE.to_owned()));
    let time = signal.time_column();
    let shown = match signal {
        Signal::Spans => "encode(span_id, 'hex') AS span_id, service, name, kind, duration_nanos, status_code",
        Signal::Logs => "service, severity_text, event_name, body",
    };
    let worked_out: Vec<String> = fields.columns.iter().map(|(_, value)| format!(",\n    {value}")).collect();
    let mut text = format!("WITH asked AS (SELECT *{}\n  FROM {signal})\n", worked_out.concat());
    text.push_str(&format!(
        "SELECT {time}, encode(trace_id, 'hex') AS trace_id, {shown}\nFROM asked\nWHERE {condition}"
    ));
    if let Some(range) = range {
        let moment = |moment: model::UnixNanos| format!("to_timestamp_nanos({})", moment.0);
        text.push_str(&format!("\n  AND {time} >= {} AND {time} < {}", moment(range.start), moment(range.end)));
    }
    text.push_str(&format!("\nORDER BY {time} DESC"));
    Ok(text)
}

/// The fields that a query works out, each once.
struct Fields {
    signal: Signal,
    /// Some field may stand inside JSON as well.
    looks_inside: bool,
    /// By name, how the value is worked out under its alias.
    columns: Vec<(String, String)>,
}

impl Fields {
    /// The column that holds a field; `None` when there is no place to look for it.
    fn column(&mut self, name: &str) -> Option<String> {
        let alias = format!("\"rule:{}\"", name.replace('"', "\"\""));
        if !self.columns.iter().any(|(known, _)| known == name) {
            let value = value(name, self.signal)?;
            self.columns.push((name.to_owned(), format!("{value} AS {alias}")));
        }
        Some(alias)
    }
}

fn expression(asked: &Asked<'_>, fields: &mut Fields) -> Result<String, Refused> {
    let mut join = |parts: &[Asked<'_>], word: &str| -> Result<String, Refused> {
        let parts: Result<Vec<String>, Refused> = parts.iter().map(|part| expression(part, fields)).collect();
        Ok(format!("({})", parts?.join(word)))
    };
    match asked {
        Expression::All(parts) => join(parts, "\n  AND "),
        Expression::Any(parts) => join(parts, "\n  OR "),
        Expression::Atom(atom) => self::atom(atom, fields),
        // what is unknown is not true
        Expression::Not(part) => Ok(format!("(({}) IS NOT TRUE)", expression(part, fields)?)),
    }
}

fn atom(atom: &Atom, fields: &mut Fields) -> Result<String, Refused> {
    let Some(name) = &atom.field else {
        return Err(Refused::new(atom, "SQL has no search over all fields; name the field that holds it"));
    };
    if let Some(worked_out) = worked_out(field::shown(name)) {
        return Err(Refused::new(atom, worked_out));
    }
    fields.looks_inside |= field::sources(name).iter().any(is_inside);
    let Some(value) = fields.column(name) else { return Ok("false".to_owned()) };
    match &atom.test {
        Test::Exists => Ok(format!("{value} IS NOT NULL")),
        Test::AnyOf(any) => Ok(any_of(&value, any)),
        Test::Compare(relation, right) => {
            let operator = match relation.as_str() {
                "gt" => ">",
                "gte" => ">=",
                "lt" => "<",
                "lte" => "<=",
                "eq" => "=",
                _ => "<>",
            };
            Ok(format!("TRY_CAST({value} AS DOUBLE) {operator} {right}"))
        }
        Test::Regex(expressions) => {
            let one = |regex: &regex::Regex| format!("regexp_like({value}, {})", quoted(regex.as_str()));
            Ok(any(expressions.iter().map(one).collect()))
        }
        Test::Cidr(networks) => {
            let tests: Option<Vec<String>> = networks.iter().map(network).collect();
            let tests = tests.ok_or_else(|| {
                Refused::new(atom, "SQL cannot compare IPv6 networks; hunt for IPv4 networks and whole addresses")
            })?;
            Ok(any(tests.iter().map(|regex| format!("regexp_like({value}, {})", quoted(regex))).collect()))
        }
        Test::Part(..) => Err(Refused::new(atom, PARTS_OF_TIME)),
        Test::SameAs { other, anchor, cased } => {
            let Some(other) = fields.column(other) else { return Ok("false".to_owned()) };
            let fold = |value: String| if *cased { value } else { format!("lower({value})") };
            let (left, right) = (fold(value), fold(other));
            Ok(match anchor {
                Anchor::Whole => format!("{left} = {right}"),
                Anchor::Contains => format!("contains({left}, {right})"),
                Anchor::Start => format!("starts_with({left}, {right})"),
                Anchor::End => format!("ends_with({left}, {right})"),
            })
        }
    }
}

/// Why a field cannot be asked for in SQL; `None` when it can.
fn worked_out(field: &str) -> Option<&'static str> {
    match field {
        "request.target" => Some("the engine works it out of url.path, url.query and url.full; ask for those"),
        _ if field.starts_with(field::IN_BODY) => Some("SQL does not look into bodies that are JSON; compare the body"),
        _ => None,
    }
}

/// Whether a place is one that only the engine looks at.
fn is_inside(source: &Source) -> bool {
    matches!(source, Source::Inside { .. } | Source::Body(_) | Source::RequestTarget | Source::Extension)
}

fn any_of(value: &str, asked: &AnyOf) -> String {
    let folded = if asked.cased { value.to_owned() } else { format!("lower({value})") };
    let (mut exact, mut ways) = (Vec::new(), Vec::new());
    for pattern in &asked.written {
        let pattern = if asked.cased { pattern.clone() } else { pattern.clone().lower() };
        match pattern.shape() {
            Shape::Exact(text) => exact.push(quoted(&text)),
            Shape::Start(text) => ways.push(format!("starts_with({folded}, {})", quoted(&text))),
            Shape::End(text) => ways.push(format!("ends_with({folded}, {})", quoted(&text))),
            Shape::Contains(text) => ways.push(format!("contains({folded}, {})", quoted(&text))),
            Shape::Glob(pattern) => ways.push(format!("regexp_like({folded}, {})", quoted(&glob(&pattern)))),
        }
    }
    if !exact.is_empty() {
        ways.insert(0, format!("{folded} IN ({})", exact.join(", ")));
    }
    let numbers: Vec<String> = asked.numbers.iter().map(f64::to_string).collect();
    if !numbers.is_empty() {
        ways.push(format!("TRY_CAST({value} AS DOUBLE) IN ({})", numbers.join(", ")));
    }
    any(ways)
}

fn any(mut ways: Vec<String>) -> String {
    match ways.len() {
        0 => "false".to_owned(),
        1 => ways.remove(0),
        _ => format!("({})", ways.join(" OR ")),
    }
}

/// The value of a field as text: the first place with one. `None` when there is no place to look.
fn value(name: &str, signal: Signal) -> Option<String> {
    let schema = signal.stored_schema();
    let mut places: Vec<String> = Vec::new();
    for source in field::sources(name) {
        let is_there = |column: &str| schema.column_with_name(column).is_some();
        match source {
            Source::Column(column) if is_there(&column) => places.push(of_column(&column)),
            Source::Named(column, naming) if is_there(column) => places.push(named(column, naming)),
            Source::Millis(column) if is_there(column) => {
                places.push(format!("CAST({column} / 1000000.0 AS VARCHAR)"));
            }
            Source::Column(_) | Source::Named(..) | Source::Millis(_) => {}
            Source::Inside { .. } | Source::Body(_) | Source::RequestTarget | Source::Extension => {}
            Source::Rest(key) => places.push(format!("attribute({}, {})", signal::ATTRS_REST, quoted(&key))),
            Source::Resource(key) => {
                places.push(format!("CAST(attribute({}, {}) AS VARCHAR)", signal::RESOURCE, quoted(&key)));
            }
        }
    }
    match places.len() {
        0 => None,
        1 => places.pop(),
        _ => Some(format!("coalesce({})", places.join(", "))),
    }
}

fn of_column(name: &str) -> String {
    let quoted = format!("\"{name}\"");
    match name {
        signal::TRACE_ID | signal::SPAN_ID | span::PARENT_SPAN_ID => format!("encode({quoted}, 'hex')"),
        _ => format!("CAST({quoted} AS VARCHAR)"),
    }
}

fn named(column: &str, naming: Naming) -> String {
    let arms: Vec<String> =
        CODES.map(|code| (code, naming.name(code))).filter(|(_, name)| *name != "unknown").map(arm).collect();
    format!("CASE {column} {} ELSE 'unknown' END", arms.join(" "))
}

fn arm((code, name): (i8, &str)) -> String {
    format!("WHEN {code} THEN '{name}'")
}

fn glob(pattern: &Pattern) -> String {
    let mut text = "(?s)^".to_owned();
    for part in pattern.parts() {
        match part {
            Part::Any => text.push_str(".*"),
            Part::One => text.push('.'),
            Part::Dash => text.push_str(&format!("[{}]", regex::escape(&DASHES.iter().collect::<String>()))),
            Part::Text(plain) => text.push_str(&regex::escape(plain)),
        }
    }
    text.push('$');
    text
}

/// A regular expression for the addresses of a network; `None` for IPv6 networks.
fn network(network: &IpNet) -> Option<String> {
    let IpNet::V4(network) = network else {
        let is_one = network.prefix_len() == network.max_prefix_len();
        return is_one.then(|| format!("^{}$", regex::escape(&network.addr().to_string())));
    };
    let base = network.network().octets();
    let mut left = network.prefix_len();
    let mut octets = Vec::new();
    for octet in base {
        octets.push(match left {
            8.. => octet.to_string(),
            0 => r"\d{1,3}".to_owned(),
            bits => {
                let last = octet | (u8::MAX >> bits);
                let all: Vec<String> = (octet..=last).map(|octet| octet.to_string()).collect();
                format!("(?:{})", all.join("|"))
            }
        });
        left = left.saturating_sub(8);
    }
    Some(format!("^{}$", octets.join(r"\.")))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
