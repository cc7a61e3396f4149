//! `count` of a `trace_pattern`: how many spans must fit to a step.

use super::{keys, nearest};
use crate::diagnostic::{Report, code};
use crate::trace::TracePattern;
use crate::trace::pattern::MARKS_PER_STEP;
use crate::yaml::{Node, Value};

/// Reads it: steps, each with its least number; `None` after reporting.
pub fn read(node: &Node, pattern: &TracePattern, report: &mut Report) -> Option<Vec<(usize, usize)>> {
    let Some(found) = node.get("count") else { return Some(Vec::new()) };
    let Some(entries) = found.entries() else {
        let message = format!("count must be a map, got {}", found.value.type_name());
        report.add(found.at, code::WRONG_TYPE, message, "write it like {failed_call: {gte: 20}}");
        return None;
    };
    let mut counts = Vec::new();
    for (name, bound) in entries {
        let Some(step) = pattern.steps.iter().position(|step| *step == name.text) else {
            let known: Vec<&str> = pattern.steps.iter().map(String::as_str).collect();
            let message = format!("{:?} is not a step of this rule", name.text);
            report.add(name.at, code::UNKNOWN_RULE, message, nearest(&name.text, &known));
            return None;
        };
        if pattern.is_absent(step) {
            let message = format!("{:?} stands under not, so its spans are not counted", name.text);
            report.add(name.at, code::BAD_VALUE, message, "count a step that was taken");
            return None;
        }
        keys(bound, &["gte"], "a count", report);
        let least = match bound.get("gte").map(|least| &least.value) {
            Some(Value::Number(number, text)) => text.parse::<usize>().ok().filter(|_| *number >= 1.0),
            _ => None,
        };
        let Some(least) = least.filter(|least| *least <= MARKS_PER_STEP) else {
            let message = format!("a count is at least 1 and at most {MARKS_PER_STEP} spans");
            report.add(bound.at, code::BAD_VALUE, message, "write it like {gte: 20}");
            return None;
        };
        counts.push((step, least));
    }
    Some(counts)
}
