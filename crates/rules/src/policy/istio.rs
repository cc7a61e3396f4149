//! `AuthorizationPolicy` of Istio: action ALLOW, callers by their principals, operations by method and path.
//!
//! A part that stands for any value becomes `{*}`, any number of parts `{**}` (Istio 1.22 and later). A remote procedure is
//! a POST to its path. What is no request over HTTP is allowed by port.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::Workload;
use super::export::{Sheet, Subject};
use super::pattern::{Pattern, is_template};
use super::verdict::ANY_CALLER;

/// What a pattern allows, as Istio says it.
#[derive(Debug, PartialEq, Eq)]
enum To {
    Everything,
    /// Method, when it is given, and path.
    Http(Option<String>, String),
    /// Not HTTP: whatever goes through the ports.
    Port,
}

/// The object for one service.
pub fn document(subject: &Subject<'_>, trust_domain: &str, sheet: &mut Sheet) -> Json {
    let mut rules = Vec::new();
    let external = &subject.allowed.external;
    if !external.is_empty() {
        let ingress = subject.policy.ingress.as_ref().and_then(|ingress| principal(ingress, trust_domain));
        if ingress.is_none() {
            let what = "it is exported as open to everybody, callers in the mesh included";
            sheet.warn(format!("{}: may be called from outside, and no ingress is given; {what}", subject.service));
        }
        rules.push(rule(ingress, external, subject, sheet));
    }
    for (caller, patterns) in subject.callers(sheet) {
        if caller == ANY_CALLER {
            rules.push(rule(Some("*".to_owned()), patterns, subject, sheet));
            continue;
        }
        let is_known = |workload: &Workload| workload.service_account.is_some();
        let workload = subject.caller(caller, sheet, is_known, "namespace and service_account");
        if let Some(principal) = workload.and_then(|workload| principal(workload, trust_domain)) {
            rules.push(rule(Some(principal), patterns, subject, sheet));
        }
    }
    let mut spec = json!({"selector": {"matchLabels": subject.workload.labels}, "action": "ALLOW"});
    // an ALLOW without rules refuses everything
    if !rules.is_empty()
        && let Some(spec) = spec.as_object_mut()
    {
        spec.insert("rules".to_owned(), rules.into());
    }
    json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": subject.metadata(), "spec": spec})
}

fn principal(workload: &Workload, trust_domain: &str) -> Option<String> {
    let account = workload.service_account.as_ref()?;
    Some(format!("{trust_domain}/ns/{}/sa/{account}", workload.namespace))
}

fn rule(from: Option<String>, patterns: &[Pattern], subject: &Subject<'_>, sheet: &mut Sheet) -> Json {
    let mut rule = serde_json::Map::new();
    if let Some(principal) = from {
        rule.insert("from".to_owned(), json!([{"source": {"principals": [principal]}}]));
    }
    if let Some(to) = operations(patterns, subject, sheet) {
        rule.insert("to".to_owned(), to);
    }
    rule.into()
}

/// `to`; `None` when everything is allowed.
fn operations(patterns: &[Pattern], subject: &Subject<'_>, sheet: &mut Sheet) -> Option<Json> {
    let mut paths: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    let mut by_port = false;
    for pattern in patterns {
        match to(pattern, subject.service, sheet) {
            To::Everything => return None,
            To::Http(method, path) => {
                let paths = paths.entry(method).or_default();
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
            To::Port => by_port = true,
        }
    }
    let mut listed: Vec<Json> = Vec::new();
    for (method, paths) in paths {
        let operation = match method {
            Some(method) => json!({"methods": [method], "paths": paths}),
            None => json!({"paths": paths}),
        };
        listed.push(json!({"operation": operation}));
    }
    if by_port {
        if subject.workload.ports.is_empty() {
            let what = "its callers are exported as allowed everything";
            sheet.warn(format!(
                "{0}: is not called over HTTP, and workloads.{0}.ports is empty; {what}",
                subject.service
            ));
            return None;
        }
        let ports: Vec<String> = subject.workload.ports.iter().map(u16::to_string).collect();
        listed.push(json!({"operation": {"ports": ports}}));
    }
    Some(listed.into())
}

fn to(pattern: &Pattern, service: &str, sheet: &mut Sheet) -> To {
    if pattern.is_everything() {
        return To::Everything;
    }
    let text = pattern.as_str();
    let is_method =
        |word: &str| word == "*" || (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase()));
    match text.split_once(' ') {
        Some((method, path)) if is_method(method) && (path.starts_with('/') || path == "**") => {
            let method = (method != "*").then(|| method.to_owned());
            To::Http(method, template(path, service, sheet))
        }
        None if text.contains('/') => {
            let path = format!("/{}", text.trim_start_matches('/'));
            To::Http(Some("POST".to_owned()), template(&path, service, sheet))
        }
        _ => {
            sheet.warn(format!("{service}: {text:?} is no request over HTTP; callers are exported by port alone"));
            To::Port
        }
    }
}

/// A path as Istio matches it.
fn template(path: &str, service: &str, sheet: &mut Sheet) -> String {
    let mut parts: Vec<String> = Vec::new();
    let all: Vec<&str> = path.split('/').collect();
    for (number, part) in all.iter().enumerate() {
        let is_last = number + 1 == all.len();
        if *part == "**" {
            if !is_last {
                let what = "nothing can follow {**} in Istio, so what follows is exported as allowed";
                sheet.warn(format!("{service}: {path:?}: {what}"));
            }
            parts.push("{**}".to_owned());
            break;
        }
        let is_mixed = part.contains(['*', '{', '}']) && *part != "*" && !is_template(part);
        if is_mixed {
            let what = "text beside * or {name} in a part of a path is exported as any part";
            sheet.warn(format!("{service}: {path:?}: {what}"));
        }
        let is_any = is_mixed || is_template(part) || *part == "*";
        parts.push(if is_any { "{*}".to_owned() } else { (*part).to_owned() });
    }
    let path = parts.join("/");
    if path.starts_with('/') { path } else { format!("/{path}") }
}
