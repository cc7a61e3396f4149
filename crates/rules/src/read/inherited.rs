//! Fields that look inherited and are not: a rule that asked for them would never fire, and nobody would know why.

use crate::diagnostic::{Place, Report, code};
use crate::inherited;
use crate::yaml::{Node, Value};

/// Reports such fields of a detection, wherever in it they stand.
pub fn check(node: &Node, report: &mut Report) {
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                name(key.text.split('|').next().unwrap_or_default(), key.at, report);
                if key.text.contains("fieldref") {
                    value.scalar_text().into_iter().for_each(|other| name(&other, value.at, report));
                }
                check(value, report);
            }
        }
        Value::List(items) => items.iter().for_each(|item| check(item, report)),
        _ => {}
    }
}

/// Reports a field if it is such.
pub fn name(field: &str, at: Place, report: &mut Report) {
    if let Some((message, hint)) = inherited::fault(field) {
        report.add(at, code::BAD_VALUE, message, hint);
    }
}
