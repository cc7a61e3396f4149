//! The `service_policy` part: who may call whom, and for what.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::{keys, required, text, texts};
use crate::diagnostic::{Place, Report, code};
use crate::policy::pattern::{EVERYTHING, Pattern};
use crate::policy::{Allowed, Exception, Policy, VERSION, Violation, Workload};
use crate::yaml::{Key, Node, Value};

/// The keys of a policy.
pub const KEYS: [&str; 7] = ["version", "tenant", "alert", "services", "exceptions", "workloads", "ingress"];
const SERVICES: usize = 5_000;
const CALLERS: usize = 2_000;
const OPERATIONS: usize = 2_000;
const EXCEPTIONS: usize = 1_000;
const SHAPE: &str = "write it like {version: 1, services: {orders: {callers: {gateway: ['GET /orders/{id}']}}}}";

/// Reads a policy; `None` after reporting.
pub fn read(node: &Node, report: &mut Report) -> Option<Policy> {
    entries(node, "service_policy", SHAPE, report)?;
    keys(node, &KEYS, "service_policy", report);
    version(node, report);
    let tenant = text(node, "tenant", report).map(|(tenant, _)| tenant);
    let alert = alert(node, report);
    let Some(services) = node.get("services") else {
        report.add(node.at, code::MISSING_KEY, "service_policy needs services", SHAPE);
        return None;
    };
    let services = named(services, "services", SERVICES, report, &mut allowed);
    let exceptions = node.get("exceptions").map(|node| exceptions(node, report)).unwrap_or_default();
    let workloads = node.get("workloads");
    let workloads = workloads.map(|node| named(node, "workloads", SERVICES, report, &mut workload));
    let ingress = node.get("ingress").and_then(|node| workload(node, report));
    Some(Policy { tenant, alert, services, exceptions, workloads: workloads.unwrap_or_default(), ingress })
}

fn entries<'n>(node: &'n Node, what: &str, hint: &str, report: &mut Report) -> Option<&'n [(Key, Node)]> {
    let entries = node.entries();
    if entries.is_none() {
        let message = format!("{what} must be a map, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, hint);
    }
    entries
}

fn version(node: &Node, report: &mut Report) {
    let (at, message) = match node.get("version") {
        None => (node.at, "service_policy needs version".to_owned()),
        Some(Node { value: Value::Number(number, _), .. }) if *number == VERSION => return,
        Some(other) => (other.at, format!("version of a service_policy cannot be {}", shown(other))),
    };
    report.add(at, code::BAD_VALUE, message, format!("this program knows version {VERSION}"));
}

fn shown(node: &Node) -> String {
    node.scalar_text().unwrap_or_else(|| node.value.type_name().to_owned())
}

/// `alert: {new_caller: true, ..}`; a kind that is not named is as by default.
fn alert(node: &Node, report: &mut Report) -> Vec<Violation> {
    let found = node.get("alert");
    if let Some(found) = found {
        let known = Violation::ALL.map(Violation::as_str);
        if entries(found, "alert", "write it like {new_caller: true, unknown_caller: false}", report).is_some() {
            keys(found, &known, "alert", report);
        }
    }
    let mut wanted = Vec::new();
    for kind in Violation::ALL {
        let is_wanted = match found.and_then(|found| found.get(kind.as_str())) {
            None => kind.alerts_by_default(),
            Some(Node { value: Value::Bool(flag), .. }) => *flag,
            Some(other) => {
                let message = format!("{} must be true or false, got {}", kind.as_str(), other.value.type_name());
                report.add(other.at, code::WRONG_TYPE, message, "");
                false
            }
        };
        if is_wanted {
            wanted.push(kind);
        }
    }
    wanted
}

/// A map from names to something.
fn named<T>(
    node: &Node,
    what: &str,
    limit: usize,
    report: &mut Report,
    read: &mut dyn FnMut(&Node, &mut Report) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    let Some(entries) = entries(node, what, "", report) else { return found };
    if entries.len() > limit {
        report.add(node.at, code::TOO_LARGE, format!("more than {limit} entries in {what}"), "split the policy");
        return found;
    }
    for (name, node) in entries {
        if let Some(value) = read(node, report) {
            found.insert(name.text.clone(), value);
        }
    }
    found
}

fn allowed(node: &Node, report: &mut Report) -> Option<Allowed> {
    // nobody may call it
    if matches!(node.value, Value::Null) {
        return Some(Allowed::default());
    }
    entries(node, "a service", "write it like {external: false, callers: {gateway: ['GET /orders/{id}']}}", report)?;
    keys(node, &["external", "callers"], "a service", report);
    let external = match node.get("external") {
        None | Some(Node { value: Value::Bool(false), .. }) => Vec::new(),
        Some(Node { value: Value::Bool(true), .. }) => Pattern::new(EVERYTHING).into_iter().collect(),
        Some(list) => operations(list, "external", report),
    };
    let mut read = |node: &Node, report: &mut Report| Some(operations(node, "operations", report));
    let callers = node.get("callers").map(|node| named(node, "callers", CALLERS, report, &mut read));
    Some(Allowed { external, callers: callers.unwrap_or_default() })
}

fn operations(node: &Node, what: &str, report: &mut Report) -> Vec<Pattern> {
    let listed = texts(node, what, report);
    if listed.is_empty() {
        let hint = "list patterns, as in ['GET /orders/{id}'], or ['**'] for all of them";
        report.add(node.at, code::MISSING_KEY, format!("{what} lists nothing"), hint);
    }
    if let Some((_, at)) = listed.get(OPERATIONS) {
        report.add(*at, code::TOO_LARGE, format!("more than {OPERATIONS} operations"), "use ** or {name} for parts");
        return Vec::new();
    }
    let mut patterns = Vec::new();
    for (text, at) in listed {
        match Pattern::new(&text) {
            Ok(pattern) => patterns.push(pattern),
            Err(why) => {
                let hint = "* stands for text inside a part, ** for any number of whole parts";
                report.add(at, code::BAD_VALUE, format!("operation {text:?} {why}"), hint);
            }
        }
    }
    patterns
}

fn exceptions(node: &Node, report: &mut Report) -> Vec<Exception> {
    let Value::List(items) = &node.value else {
        let message = format!("exceptions must be a list, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "");
        return Vec::new();
    };
    if items.len() > EXCEPTIONS {
        report.add(node.at, code::TOO_LARGE, format!("more than {EXCEPTIONS} exceptions"), "");
        return Vec::new();
    }
    items.iter().filter_map(|item| exception(item, report)).collect()
}

fn exception(node: &Node, report: &mut Report) -> Option<Exception> {
    let shape = "write it like {caller: a, callee: b, operations: ['**'], until: 2026-12-31, reason: why}";
    entries(node, "an exception", shape, report)?;
    keys(node, &["caller", "callee", "operations", "until", "reason"], "an exception", report);
    let (caller, _) = required(node, "caller", "an exception", report)?;
    let (callee, _) = required(node, "callee", "an exception", report)?;
    let (until_text, at) = required(node, "until", "an exception", report)?;
    let (reason, _) = required(node, "reason", "an exception", report)?;
    let operations = match node.get("operations") {
        None => Pattern::new(EVERYTHING).into_iter().collect(),
        Some(list) => operations(list, "operations", report),
    };
    let until = until(&until_text, at, report)?;
    Some(Exception { caller, callee, operations, until, until_text, reason })
}

/// The end of a day, UTC.
fn until(text: &str, at: Place, report: &mut Report) -> Option<i64> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.checked_add_days(Days::new(1)));
    let end = day.and_then(|day| day.and_hms_opt(0, 0, 0)).and_then(|end| end.and_utc().timestamp_nanos_opt());
    if end.is_none() {
        let hint = "the last day on which it is allowed, UTC, as in 2026-12-31";
        report.add(at, code::BAD_VALUE, format!("{text:?} is not a date"), hint);
    }
    end
}

fn workload(node: &Node, report: &mut Report) -> Option<Workload> {
    let shape = "write it like {namespace: shop, labels: {app: orders}, service_account: orders, ports: [8080]}";
    entries(node, "a workload", shape, report)?;
    keys(node, &["namespace", "labels", "service_account", "ports"], "a workload", report);
    let (namespace, _) = required(node, "namespace", "a workload", report)?;
    let service_account = text(node, "service_account", report).map(|(name, _)| name);
    let mut labels = BTreeMap::new();
    if let Some(found) = node.get("labels") {
        for (key, value) in entries(found, "labels", "write it like {app: orders}", report).unwrap_or_default() {
            match value.scalar_text() {
                Some(value) => drop(labels.insert(key.text.clone(), value)),
                None => report.add(value.at, code::WRONG_TYPE, format!("label {} must be text", key.text), ""),
            }
        }
    }
    let mut ports = Vec::new();
    for (text, at) in node.get("ports").map(|ports| texts(ports, "ports", report)).unwrap_or_default() {
        match text.parse::<u16>() {
            Ok(port) if port > 0 => ports.push(port),
            _ => report.add(at, code::BAD_VALUE, format!("{text:?} is not a port"), "1 to 65535"),
        }
    }
    Some(Workload { namespace, labels, service_account, ports })
}
