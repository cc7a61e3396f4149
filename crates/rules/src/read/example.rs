//! The `tests` part: unit tests of a rule.

use serde_json::{Map, Value as Json};

use super::{keys, required, text};
use crate::diagnostic::{Report, code};
use crate::rule::Example;
use crate::timespan;
use crate::yaml::{Node, Value};

const EXAMPLES: usize = 200;
/// Events of one test.
pub const EVENTS: usize = 2_000;

/// Reads the tests of a rule.
pub fn read(node: &Node, report: &mut Report) -> Vec<Example> {
    let Value::List(items) = &node.value else {
        let message = format!("tests must be a list, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "");
        return Vec::new();
    };
    if items.len() > EXAMPLES {
        report.add(node.at, code::TOO_LARGE, format!("more than {EXAMPLES} tests"), "");
        return Vec::new();
    }
    items.iter().filter_map(|item| example(item, report)).collect()
}

fn example(node: &Node, report: &mut Report) -> Option<Example> {
    if node.entries().is_none() {
        report.add(node.at, code::WRONG_TYPE, "a test must be a map", "with name, expect and events");
        return None;
    }
    keys(node, &["name", "expect", "events"], "a test", report);
    let (name, _) = required(node, "name", "a test", report)?;
    let (expect, at) = required(node, "expect", "a test", report)?;
    let expect_match = match expect.as_str() {
        "match" => true,
        "no_match" => false,
        other => {
            let message = format!("expect cannot be {other:?}");
            report.add(at, code::BAD_VALUE, message, "match or no_match");
            return None;
        }
    };
    let Some(Node { value: Value::List(listed), .. }) = node.get("events") else {
        report.add(node.at, code::MISSING_KEY, "a test needs a list of events", "");
        return None;
    };
    let mut events = Vec::new();
    for item in listed {
        events.extend(event(item, report)?);
        if events.len() > EVENTS {
            report.add(item.at, code::TOO_LARGE, format!("more than {EVENTS} events in a test"), "");
            return None;
        }
    }
    Some(Example { name, at: node.at, expect_match, events })
}

/// `{offset, event}`, or `{offset, every, times, event}` for several alike; offset is 0 when absent.
fn event(node: &Node, report: &mut Report) -> Option<Vec<(i64, Map<String, Json>)>> {
    if node.entries().is_none() {
        report.add(node.at, code::WRONG_TYPE, "an event of a test must be a map", "with offset and event");
        return None;
    }
    keys(node, &["offset", "every", "times", "event"], "an event of a test", report);
    let offset = match text(node, "offset", report) {
        None => 0,
        Some((offset, at)) => {
            let parsed = timespan::parse_nanos(&offset);
            if parsed.is_none() {
                report.add(at, code::BAD_VALUE, format!("{offset:?} is not a length of time"), "as in 90s or 5m");
            }
            parsed?
        }
    };
    match node.get("event").map(json) {
        Some(Json::Object(map)) => {
            let (every_nanos, times) = repeats(node, report)?;
            let at = |number: i64| offset.saturating_add(every_nanos.saturating_mul(number));
            Some((0..times).map(|number| (at(number), map.clone())).collect())
        }
        _ => {
            report.add(node.at, code::MISSING_KEY, "an event of a test needs event, a map of fields", "");
            None
        }
    }
}

/// `every` and `times`: both or none.
fn repeats(node: &Node, report: &mut Report) -> Option<(i64, i64)> {
    let (every, times) = match (text(node, "every", report), text(node, "times", report)) {
        (None, None) => return Some((0, 1)),
        (Some(every), Some(times)) => (every, times),
        (Some((_, at)), None) | (None, Some((_, at))) => {
            report.add(at, code::MISSING_KEY, "events that repeat need every and times", "as in every: 1h, times: 24");
            return None;
        }
    };
    let every_nanos = timespan::parse_nanos(&every.0);
    if every_nanos.is_none() {
        report.add(every.1, code::BAD_VALUE, format!("{:?} is not a length of time", every.0), "as in 90s or 5m");
    }
    let count = times.0.parse().ok().filter(|times| (1..=EVENTS as i64).contains(times));
    if count.is_none() {
        let message = format!("times must be a whole number from 1 to {EVENTS}, got {:?}", times.0);
        report.add(times.1, code::BAD_VALUE, message, "");
    }
    Some((every_nanos?, count?))
}

/// A node as JSON; numbers that are whole stay whole.
pub fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Number(number, text) => match text.parse::<i64>() {
            Ok(whole) => Json::from(whole),
            Err(_) => Json::from(*number),
        },
        Value::Text(text, _) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(entries) => Json::Object(entries.iter().map(|(key, node)| (key.text.clone(), json(node))).collect()),
    }
}
