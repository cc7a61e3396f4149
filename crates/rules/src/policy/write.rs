//! The policy that allows what was learned, as a rule file for people to review.
//!
//! Sorted and without anything that changes from run to run but the evidence, so that two policies can be compared line by
//! line.

use std::collections::BTreeMap;
use std::fmt::Write;

use model::UnixNanos;
use model::time::NANOS_PER_SEC;

use super::learn::{Graph, Learned, Seen};
use super::pattern::{EVERYTHING, Pattern};
use super::yaml_text::{comment, scalar};
use super::{Violation, Workload};

/// Where a policy comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Whose calls.
    pub tenant: String,
    /// First moment of the range that was read.
    pub from: UnixNanos,
    /// First moment after it.
    pub to: UnixNanos,
    /// What should be said of how it was read, one line each.
    pub notes: Vec<String>,
}

/// The file.
pub fn write(graph: &Graph, origin: &Origin) -> String {
    let mut out = String::new();
    header(&mut out, graph, origin);
    services(&mut out, graph);
    workloads(&mut out, graph);
    out
}

fn header(out: &mut String, graph: &Graph, origin: &Origin) {
    let tenant = &origin.tenant;
    let edges: usize = graph.calls.values().map(BTreeMap::len).sum();
    line(
        out,
        0,
        "# Who may call whom, as learned from history. Read it before it is put in force: what an attacker did",
    );
    line(
        out,
        0,
        "# in that time is allowed here as well. Remove what should not be, and put patterns for what differs.",
    );
    let (from, to) = (second(origin.from), second(origin.to));
    line(out, 0, &format!("# {from} to {to}: {} spans, {edges} pairs of services.", graph.spans));
    for note in &origin.notes {
        line(out, 0, &format!("# {}", comment(note)));
    }
    if graph.left_out > 0 {
        line(
            out,
            0,
            &format!(
                "# {} calls were left out: too many pairs of services, or a caller of the name *.",
                graph.left_out
            ),
        );
    }
    line(out, 0, &format!("title: {}", scalar(&format!("Service-call policy of {tenant}"))));
    line(out, 0, &format!("id: {}", scalar(&format!("service-policy-{tenant}"))));
    line(
        out,
        0,
        "description: A service was called by one that the policy does not list, or for something it does not allow.",
    );
    line(out, 0, "level: high");
    line(out, 0, "tags: [attack.t1021, owasp.api8]");
    line(out, 0, "falsepositives:");
    line(out, 2, "- A deployment that adds a call; learn again, review the difference, and put it in force");
    line(out, 0, "risk: {entity: service.name, score: 60}");
    line(out, 0, "suppress: {for: 1h}");
    line(out, 0, "service_policy:");
    line(out, 2, "version: 1");
    line(out, 2, &format!("tenant: {}", scalar(tenant)));
    let alert = Violation::ALL.map(|kind| format!("{}: {}", kind.as_str(), kind.alerts_by_default()));
    line(out, 2, &format!("alert: {{{}}}", alert.join(", ")));
}

fn services(out: &mut String, graph: &Graph) {
    let callees: Vec<&str> = graph.callees().collect();
    if callees.is_empty() {
        line(out, 2, "services: {} # no call was seen");
        return;
    }
    line(out, 2, "services:");
    for callee in callees {
        line(out, 4, &format!("{}:", scalar(callee)));
        if let Some(seen) = graph.unknown.get(callee) {
            line(out, 6, &format!("# besides, callers that sent no span: {}", evidence(Some(*seen))));
        }
        match graph.external.get(callee) {
            Some(external) => line(out, 6, &format!("external: true # {}", evidence(external.all.seen()))),
            None => line(out, 6, "external: false"),
        }
        let Some(callers) = graph.calls.get(callee) else { continue };
        line(out, 6, "callers:");
        for (caller, learned) in callers {
            self::caller(out, caller, learned);
        }
    }
}

fn caller(out: &mut String, caller: &str, learned: &Learned) {
    line(out, 8, &format!("{}: # {}", scalar(caller), evidence(learned.all.seen())));
    if learned.is_open || learned.operations.is_empty() {
        let why = match learned.operations.len() {
            0 if learned.is_open => "known from counts alone: what they ask for was not read",
            0 => "the spans do not say what they ask for",
            _ => "too many operations to list",
        };
        line(out, 10, &format!("- {} # {why}", scalar(EVERYTHING)));
        return;
    }
    for (operation, sides) in &learned.operations {
        line(out, 10, &format!("- {} # {}", scalar(Pattern::of(operation).as_str()), evidence(sides.seen())));
    }
}

fn workloads(out: &mut String, graph: &Graph) {
    let mut wanted: Vec<&str> = graph.callees().collect();
    wanted.extend(graph.calls.values().flat_map(BTreeMap::keys).map(String::as_str));
    wanted.sort_unstable();
    wanted.dedup();
    let places = wanted.into_iter().filter_map(|name| Some((name, graph.workloads.get(name)?.place()?)));
    let places: Vec<_> = places.collect();
    if places.is_empty() {
        line(
            out,
            2,
            "# workloads: spans say nothing of Kubernetes; exports need namespace, labels and service accounts",
        );
        return;
    }
    line(out, 2, "workloads:");
    for (name, place) in places {
        line(out, 4, &format!("{}:", scalar(name)));
        if !place.elsewhere.is_empty() {
            line(out, 6, &format!("# seen in other namespaces as well: {}", comment(&place.elsewhere.join(", "))));
        }
        let Workload { namespace, labels, service_account, ports } = &place.workload;
        line(out, 6, &format!("namespace: {}", scalar(namespace)));
        if !labels.is_empty() {
            let labels: Vec<String> =
                labels.iter().map(|(key, value)| format!("{}: {}", scalar(key), scalar(value))).collect();
            let assumed = if place.label_is_assumed { " # assumed from the name of the deployment" } else { "" };
            line(out, 6, &format!("labels: {{{}}}{assumed}", labels.join(", ")));
        }
        if let Some(account) = service_account {
            line(out, 6, &format!("service_account: {}", scalar(account)));
        }
        if !ports.is_empty() {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            line(out, 6, &format!("ports: [{}]", ports.join(", ")));
        }
    }
}

fn evidence(seen: Option<Seen>) -> String {
    let Some(seen) = seen else { return "no call".to_owned() };
    let (first, last) = (second(seen.first), second(seen.last));
    let calls = if seen.calls == 1 { "call" } else { "calls" };
    if first == last {
        format!("{} {calls}, {first}", seen.calls)
    } else {
        format!("{} {calls}, {first} to {last}", seen.calls)
    }
}

/// A moment to the second.
fn second(time: UnixNanos) -> String {
    let whole = time.0.div_euclid(NANOS_PER_SEC).saturating_mul(NANOS_PER_SEC);
    UnixNanos(whole).to_string().replace(".000000000", "")
}

fn line(out: &mut String, indent: usize, text: &str) {
    // writing to a text does not fail
    let _ = writeln!(out, "{:indent$}{text}", "");
}
