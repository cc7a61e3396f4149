//! Rule files: YAML documents to rules, every fault reported with its place.

mod baseline;
mod change;
mod collection;
mod condition;
mod correlation;
mod counted;
pub mod detection;
mod edge;
pub(crate) mod example;
mod geo;
mod header;
mod inherited;
mod pipeline;
mod policy;
mod trace;

use std::str::FromStr;
use std::sync::Arc;

use crate::diagnostic::{Place, Report, code};
use crate::expression::Expression;
use crate::log_source::{LogSource, Reach};
use crate::pipeline::{Mapping, Pipelines};
use crate::policy::TAGS;
use crate::rule::{Body, Correlation, EventRule, Filter, Reference, Rule};
use crate::yaml::{self, Node, Value};

pub use self::pipeline::pipelines;

/// A file may not hold more documents.
const DOCUMENTS: usize = 1_000;

/// Every key with a meaning at the top of a document. The second part is ours or SigmaHQ's. Sigma lets authors add keys
/// of their own, which converters keep: they are warned of, and refused when they look like one of these misspelt.
pub(crate) const TOP_KEYS: [&str; 33] = [
    "title",
    "id",
    "related",
    "name",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "logsource",
    "detection",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "correlation",
    "filter",
    "service_policy",
    "generate",
    "custom",
    "action",
    "tests",
    "suppress",
    "risk",
    "runbook",
    "requires",
    "simulation",
    "regression_tests_path",
    "regression_tests",
];

/// The keys that say what a document is; it has one of them.
pub(crate) const BODIES: [&str; 4] = ["detection", "correlation", "filter", "service_policy"];

/// Every key of a log source that says something to a machine, and the one for people.
pub(crate) const LOGSOURCE_KEYS: [&str; 4] = ["product", "category", "service", "definition"];

pub(crate) use baseline::{KEYS_OF_DEVIATION, KEYS_OF_FIRST_SEEN};
pub(crate) use correlation::KEYS as CORRELATION_KEYS;
pub(crate) use geo::KEYS as GEO_KEYS;
pub(crate) use header::{RELATIONS, STATUSES, TITLE_CHARS};
pub(crate) use policy::KEYS as POLICY_KEYS;
pub(crate) use trace::KEYS as TRACE_KEYS;

/// Reads a file through pipelines; the rules are complete only when `report` stays empty.
pub fn rules(text: &str, pipelines: &Pipelines, report: &mut Report) -> Vec<Rule> {
    let Some(documents) = yaml::documents(text, report) else { return Vec::new() };
    if documents.len() > DOCUMENTS {
        let message = format!("more than {DOCUMENTS} documents");
        report.add(documents[DOCUMENTS].at, code::TOO_LARGE, message, "split the file");
        return Vec::new();
    }
    if documents.is_empty() {
        report.add(Place { line: 1, column: 1 }, code::MISSING_KEY, "the file holds no rule", "");
    }
    let documents = collection::unfold(documents, report);
    documents.iter().filter_map(|document| rule(document, pipelines, report)).collect()
}

fn rule(document: &Node, pipelines: &Pipelines, report: &mut Report) -> Option<Rule> {
    let Some(entries) = document.entries() else {
        let message = format!("a rule must be a map, got {}", document.value.type_name());
        report.add(document.at, code::WRONG_TYPE, message, "begin with title:");
        return None;
    };
    open_keys(document, &TOP_KEYS, "a rule", report);
    let bodies: Vec<_> = entries.iter().filter(|(key, _)| BODIES.contains(&key.text.as_str())).collect();
    let (key, node) = match bodies.as_slice() {
        [(key, node)] => (key, node),
        [] => {
            let hint = "add one of them";
            report.add(
                document.at,
                code::MISSING_KEY,
                "a rule needs detection, correlation, filter or service_policy",
                hint,
            );
            return None;
        }
        [_, (key, _), ..] => {
            let message = format!("{} beside another of {}", key.text, BODIES.join(", "));
            report.add(key.at, code::BAD_VALUE, message, "write two documents, separated by ---");
            return None;
        }
    };
    let log_source = logsource(document, report);
    let mapping = Arc::new(pipelines.mapping(&header::subject(document, &log_source)));
    let body = match key.text.as_str() {
        "detection" => event(document, node, log_source, &mapping, report).map(Body::Event),
        "filter" => filter(document, node, log_source, &mapping, report).map(Body::Filter),
        "service_policy" => policy::read(node, report).map(|policy| Body::Policy(Arc::new(policy))),
        _ => correlation::read(node, report).map(Body::Correlation),
    };
    let unsampled = requires_unsampled(document, report);
    let body = body.map(|mut body| {
        if let Body::Correlation(Correlation { trace: Some(pattern), .. }) = &mut body {
            Arc::make_mut(pattern).unsampled = unsampled;
        }
        body
    });
    let mut header = header::read(document, report);
    if key.text == "service_policy" && header.info.tags.is_empty() {
        header.info.tags = TAGS.map(str::to_owned).to_vec();
    }
    let examples = document.get("tests").map(|tests| example::read(tests, report)).unwrap_or_default();
    let mut meaning = String::new();
    for key in ["logsource", "detection", "correlation", "filter", "service_policy", "generate", "suppress", "requires"]
    {
        if let Some(node) = document.get(key) {
            meaning.push_str(key);
            node.canonical(&mut meaning);
        }
    }
    let uses_placeholders = meaning.contains("expand");
    meaning.push_str(&mapping.fingerprint(uses_placeholders));
    Some(Rule {
        info: header.info,
        name: header.name,
        at: document.at,
        generate: flag(document, "generate", report),
        suppress: header.suppress,
        examples,
        meaning,
        body: body?,
    })
}

/// `requires: unsampled`: what is absent says nothing where spans were left out on purpose.
fn requires_unsampled(document: &Node, report: &mut Report) -> bool {
    match text(document, "requires", report) {
        None => false,
        Some((text, _)) if text == "unsampled" => true,
        Some((text, at)) => {
            report.add(at, code::BAD_VALUE, format!("requires cannot be {text:?}"), "write unsampled, or leave it out");
            false
        }
    }
}

/// A rule on single events, read through what the pipelines say of it.
fn event(
    document: &Node,
    node: &Node,
    log_source: LogSource,
    mapping: &Arc<Mapping>,
    report: &mut Report,
) -> Option<EventRule> {
    let source_at = document.get("logsource").map_or(document.at, |node| node.at);
    if let Some(message) = mapping.refused() {
        report.add(source_at, code::REFUSED, message, "a pipeline refuses rules like this one");
        return None;
    }
    let reach = mapping.reach().unwrap_or(match log_source.is_empty() {
        true => Reach::Everywhere,
        false => Reach::Nowhere,
    });
    if reach == Reach::Nowhere {
        let message = format!("no pipeline maps log source {log_source}: the rule is kept and never evaluated");
        let hint = "say where its events are with set_signal in a file of the folder pipelines";
        report.warn(source_at, code::UNMAPPED, message, hint);
    }
    // elsewhere a field may be called so
    if matches!(log_source.own_reach(), Some(Reach::Only(_))) {
        inherited::check(node, report);
    }
    let within = within(mapping);
    let expression = detection::expression(node, &[], mapping, report);
    let expression = if edge::is_source(&log_source) { edge::among_calls(expression, report) } else { expression };
    Some(EventRule { log_source, reach, within, expression: expression?, mapping: Arc::clone(mapping) })
}

/// What events look like that the pipelines show to a rule; they were checked when they were read.
fn within(mapping: &Mapping) -> Option<Expression<Arc<crate::atom::Atom>>> {
    let mut checked = Report::new("");
    let native = Mapping::default();
    let conditions = mapping.conditions().iter().filter_map(|(node, is_negated)| {
        let looks = detection::selection(node, &native, &mut checked)?;
        Some(if *is_negated { Expression::not(looks) } else { looks })
    });
    let within: Vec<_> = conditions.collect();
    (!within.is_empty()).then(|| Expression::all(within))
}

fn filter(
    document: &Node,
    node: &Node,
    log_source: LogSource,
    mapping: &Mapping,
    report: &mut Report,
) -> Option<Filter> {
    let rules = match node.get("rules") {
        None => {
            let hint = "list ids or names, or write any for every rule of the log source";
            report.add(node.at, code::MISSING_KEY, "a filter needs rules", hint);
            return None;
        }
        Some(Node { value: Value::Text(text, _), .. })
            if text.eq_ignore_ascii_case("any") || text.eq_ignore_ascii_case("all") =>
        {
            Vec::new()
        }
        Some(rules) => references(rules, report),
    };
    if document.get("logsource").is_none() {
        let hint = "as in logsource: {product: otel}; it applies to rules of that log source";
        report.warn(document.at, code::STYLE, "the filter names no log source, and applies to every one", hint);
    }
    detection::expression(node, &["rules"], mapping, report)?;
    Some(Filter { rules, log_source, detection: node.clone() })
}

/// A list of rule ids or names.
fn references(node: &Node, report: &mut Report) -> Vec<Reference> {
    let listed = texts(node, "rules", report);
    listed.into_iter().map(|(rule, at)| Reference { rule, at }).collect()
}

/// `logsource` of a document; nothing when it has none. Sigma allows further keys in it, which say nothing to a machine.
fn logsource(document: &Node, report: &mut Report) -> LogSource {
    let Some(node) = document.get("logsource") else { return LogSource::default() };
    if node.entries().is_none() {
        let message = format!("logsource must be a map, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "write it like {product: otel, category: span}");
        return LogSource::default();
    }
    open_keys(node, &LOGSOURCE_KEYS, "logsource", report);
    log_source(node, report)
}

/// The three keys of a log source.
fn log_source(node: &Node, report: &mut Report) -> LogSource {
    let mut plain = |key: &str| text(node, key, report).map(|(text, _)| text.trim().to_owned());
    LogSource { category: plain("category"), product: plain("product"), service: plain("service") }
}

/// Warns of keys of a map that are not in `known`, and refuses those that look like one of them misspelt.
fn open_keys(node: &Node, known: &[&str], what: &str, report: &mut Report) {
    for (key, _) in node.entries().unwrap_or_default() {
        if known.contains(&key.text.as_str()) {
            continue;
        }
        let hint = nearest(&key.text, known);
        let message = format!("{what} has no key {:?}", key.text);
        if hint.starts_with("did you mean") {
            report.add(key.at, code::UNKNOWN_KEY, message, hint);
        } else {
            report.warn(key.at, code::CUSTOM_KEY, format!("{message}: it is kept and means nothing"), "");
        }
    }
}

/// Reports the keys of a map that are not in `known`.
fn keys(node: &Node, known: &[&str], what: &str, report: &mut Report) {
    for (key, _) in node.entries().unwrap_or_default() {
        if !known.contains(&key.text.as_str()) {
            let message = format!("{what} has no key {:?}", key.text);
            report.add(key.at, code::UNKNOWN_KEY, message, nearest(&key.text, known));
        }
    }
}

/// A hint that names the known word most like the one found, or all of them.
fn nearest(found: &str, known: &[&str]) -> String {
    let close = known.iter().map(|word| (distance(found, word), *word)).min();
    match close {
        Some((distance, word)) if distance <= 2 => format!("did you mean {word:?}?"),
        _ => format!("known: {}", known.join(", ")),
    }
}

/// Edit distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, c) in left.chars().take(40).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

/// A true or false that is false when absent.
fn flag(node: &Node, key: &str, report: &mut Report) -> bool {
    match node.get(key) {
        None => false,
        Some(Node { value: Value::Bool(flag), .. }) => *flag,
        Some(other) => {
            let message = format!("{key} must be true or false, got {}", other.value.type_name());
            report.add(other.at, code::WRONG_TYPE, message, "");
            false
        }
    }
}

/// Text that may be absent.
fn text(node: &Node, key: &str, report: &mut Report) -> Option<(String, Place)> {
    let found = node.get(key)?;
    if matches!(found.value, Value::Null) {
        return None;
    }
    let text = found.scalar_text().map(|text| (text, found.at));
    if text.is_none() {
        let message = format!("{key} must be text, got {}", found.value.type_name());
        report.add(found.at, code::WRONG_TYPE, message, "");
    }
    text
}

/// Text that must be there.
fn required(node: &Node, key: &str, what: &str, report: &mut Report) -> Option<(String, Place)> {
    if node.get(key).is_none_or(|found| matches!(found.value, Value::Null)) {
        report.add(node.at, code::MISSING_KEY, format!("{what} needs {key}"), "");
        return None;
    }
    text(node, key, report)
}

/// The items of a list; a value alone is a list of itself, and nothing an empty one.
fn list(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Null => &[],
        _ => std::slice::from_ref(node),
    }
}

/// A list of texts, or one text.
fn texts(node: &Node, key: &str, report: &mut Report) -> Vec<(String, Place)> {
    let mut texts = Vec::new();
    for item in list(node) {
        match item.scalar_text() {
            Some(text) => texts.push((text, item.at)),
            None => {
                let message = format!("{key} must be a list of texts, got {} in it", item.value.type_name());
                report.add(item.at, code::WRONG_TYPE, message, "");
            }
        }
    }
    texts
}

/// Text that is one of a known set.
fn one_of<T: FromStr>(node: &Node, key: &str, hint: &str, report: &mut Report) -> Option<T> {
    let (text, at) = text(node, key, report)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        report.add(at, code::BAD_VALUE, format!("{key} cannot be {text:?}"), hint);
    }
    parsed
}
