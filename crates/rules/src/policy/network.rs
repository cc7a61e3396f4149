//! `NetworkPolicy` of Kubernetes: callers by namespace and labels, and ports. What is asked for it cannot say.

use serde_json::{Value as Json, json};

use super::Workload;
use super::export::{Sheet, Subject};
use super::pattern::Pattern;
use super::verdict::ANY_CALLER;

/// The label that every namespace has.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// The object for one service.
pub fn document(subject: &Subject<'_>, sheet: &mut Sheet) -> Json {
    let service = subject.service;
    let mut from: Vec<Json> = Vec::new();
    let mut is_open = false;
    let callers = subject.callers(sheet);
    let is_narrow = |patterns: &[Pattern]| patterns.iter().any(|pattern| !pattern.is_everything());
    if callers.iter().any(|(_, patterns)| is_narrow(patterns)) || is_narrow(&subject.allowed.external) {
        sheet.warn(format!("{service}: a network policy does not know operations; its callers are allowed everything"));
    }
    if !subject.allowed.external.is_empty() {
        match &subject.policy.ingress {
            Some(ingress) => from.push(peer(ingress)),
            None => {
                let what = "it is exported as open to everybody, callers in the cluster included";
                sheet.warn(format!("{service}: may be called from outside, and no ingress is given; {what}"));
                is_open = true;
            }
        }
    }
    for (caller, _) in callers {
        is_open |= caller == ANY_CALLER;
        let is_known = |workload: &Workload| !workload.labels.is_empty();
        if let Some(workload) = subject.caller(caller, sheet, is_known, "namespace and labels") {
            let peer = peer(workload);
            if !from.contains(&peer) {
                from.push(peer);
            }
        }
    }
    // without an entry nobody may call; an entry without `from` would let everybody in
    let is_closed = from.is_empty() && !is_open;
    let ingress = if is_closed { Vec::new() } else { vec![entry(subject, (!is_open).then_some(from), sheet)] };
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": subject.metadata(),
        "spec": {
            "podSelector": {"matchLabels": subject.workload.labels},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    })
}

fn entry(subject: &Subject<'_>, from: Option<Vec<Json>>, sheet: &mut Sheet) -> Json {
    let service = subject.service;
    let mut entry = serde_json::Map::new();
    if let Some(from) = from {
        entry.insert("from".to_owned(), from.into());
    }
    if subject.workload.ports.is_empty() {
        sheet.warn(format!("{service}: workloads.{service}.ports is empty; every port is exported as allowed"));
    } else {
        let what = "they must be those of the pods, where a service maps them";
        sheet.warn(format!("{service}: ports are exported as callers name them; {what}"));
        let port = |port: &u16| json!({"protocol": "TCP", "port": port});
        entry.insert("ports".to_owned(), subject.workload.ports.iter().map(port).collect());
    }
    entry.into()
}

fn peer(workload: &Workload) -> Json {
    json!({
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: workload.namespace}},
        "podSelector": {"matchLabels": workload.labels},
    })
}
