//! What a rule says about itself: names, texts, tags, suppression.

use model::Severity;
use model::detection::RuleInfo;
use sha2::{Digest, Sha256};

use super::{keys, list, nearest, one_of, required, text, texts};
use crate::diagnostic::{Report, code};
use crate::log_source::LogSource;
use crate::pipeline::Subject;
use crate::rule::Suppress;
use crate::timespan;
use crate::yaml::{Node, Value};

/// What `status` may be.
pub const STATUSES: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];
/// The longest title.
pub const TITLE_CHARS: usize = 256;
const DESCRIPTION_CHARS: usize = 65_535;
/// How rules may be related, as in `related: [{id: .., type: derived}]`.
pub const RELATIONS: [&str; 5] = ["derived", "obsolete", "merged", "renamed", "similar"];
/// Taxonomies whose field names are read as they are or have shipped pipelines.
const TAXONOMIES: [&str; 2] = ["sigma", "otel"];
/// Attributes that conditions of pipelines may ask for.
const ATTRIBUTES: [&str; 6] = ["id", "title", "name", "status", "level", "author"];

/// What a rule says about itself.
pub struct Header {
    pub info: RuleInfo,
    pub name: Option<String>,
    pub suppress: Option<Suppress>,
}

/// What pipelines look at in a document.
pub fn subject(document: &Node, log_source: &LogSource) -> Subject {
    let plain = |key: &str| document.get(key).and_then(Node::scalar_text);
    let attributes = ATTRIBUTES.iter().filter_map(|key| Some(((*key).to_owned(), plain(key)?)));
    Subject {
        log_source: log_source.clone(),
        taxonomy: plain("taxonomy").unwrap_or_else(|| TAXONOMIES[0].to_owned()),
        tags: document.get("tags").map(list).unwrap_or_default().iter().filter_map(Node::scalar_text).collect(),
        attributes: attributes.collect(),
    }
}

/// Reads the header of a document.
pub fn read(document: &Node, report: &mut Report) -> Header {
    let title = required(document, "title", "a rule", report);
    for (key, limit) in [("title", TITLE_CHARS), ("name", TITLE_CHARS), ("description", DESCRIPTION_CHARS)] {
        if let Some((text, at)) = document.get(key).and_then(|node| Some((node.scalar_text()?, node.at)))
            && text.chars().count() > limit
        {
            report.add(at, code::TOO_LARGE, format!("{key} is longer than {limit} characters"), "");
        }
    }
    related(document, report);
    advice(document, report);
    let title = title.map(|(title, _)| title).unwrap_or_default();
    let mut plain = |key: &str| text(document, key, report).map(|(text, _)| text.trim().to_owned());
    let id = plain("id");
    let name = plain("name");
    let description = plain("description").unwrap_or_default();
    let runbook = plain("runbook").unwrap_or_default();
    let author = plain("author").unwrap_or_default();
    plain("license");
    if let Some((status, at)) = text(document, "status", report)
        && !STATUSES.contains(&status.as_str())
    {
        report.add(at, code::BAD_VALUE, format!("status cannot be {status:?}"), nearest(&status, &STATUSES));
    }
    let level = one_of::<Severity>(document, "level", "informational, low, medium, high or critical", report);
    let mut listed = |key: &str| -> Vec<String> {
        let found = document.get(key).map(|node| texts(node, key, report)).unwrap_or_default();
        found.into_iter().map(|(text, _)| text).collect()
    };
    let info = RuleInfo {
        id: id.or_else(|| name.clone()).unwrap_or_else(|| hex::encode(&Sha256::digest(&title)[..8])),
        version: String::new(),
        title,
        description,
        author,
        level: level.unwrap_or_default(),
        tags: listed("tags"),
        references: listed("references"),
        false_positives: listed("falsepositives"),
        runbook,
    };
    risk(document, report);
    Header { info, name, suppress: suppress(document, report) }
}

/// `related` is for people; its shape is checked so that a typing error shows.
fn related(document: &Node, report: &mut Report) {
    for item in document.get("related").map(list).unwrap_or_default() {
        if item.entries().is_none() {
            let message = format!("a related rule must be a map, got {}", item.value.type_name());
            report.add(item.at, code::WRONG_TYPE, message, "write it like {id: .., type: derived}");
            continue;
        }
        keys(item, &["id", "type"], "a related rule", report);
        required(item, "id", "a related rule", report);
        if let Some((kind, at)) = required(item, "type", "a related rule", report)
            && !RELATIONS.contains(&kind.as_str())
        {
            report.add(at, code::BAD_VALUE, format!("type cannot be {kind:?}"), nearest(&kind, &RELATIONS));
        }
    }
}

/// What Sigma asks for and no verdict depends on.
fn advice(document: &Node, report: &mut Report) {
    for key in ["date", "modified"] {
        if let Some((text, at)) = text(document, key, report)
            && !is_date(&text)
        {
            report.warn(at, code::STYLE, format!("{key} {text:?} is not a date"), "write it like 2026-01-31");
        }
    }
    for (tag, at) in document.get("tags").map(|node| texts(node, "tags", report)).unwrap_or_default() {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
        let is_named = tag.split_once('.').is_some_and(|(space, name)| !space.is_empty() && !name.is_empty());
        if !is_named || !tag.chars().all(plain) {
            let hint = "lower-case letters, digits, _ and -, with a namespace, as in attack.t1110";
            report.warn(at, code::STYLE, format!("tag {tag:?} is not written as Sigma asks"), hint);
        }
    }
    if let Some((taxonomy, at)) = text(document, "taxonomy", report)
        && !TAXONOMIES.contains(&taxonomy.as_str())
    {
        let hint = "map its names with pipelines whose rule_conditions name the taxonomy";
        let message =
            format!("taxonomy {taxonomy:?} has no shipped names: what pipelines do not map is taken as written");
        report.warn(at, code::STYLE, message, hint);
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

fn suppress(document: &Node, report: &mut Report) -> Option<Suppress> {
    let node = document.get("suppress")?;
    if node.entries().is_none() {
        let message = format!("suppress must be a map, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "write it like {by: [user.id], for: 1h}");
        return None;
    }
    keys(node, &["by", "for"], "suppress", report);
    let (text, at) = required(node, "for", "suppress", report)?;
    let Some(for_nanos) = timespan::parse_nanos(&text) else {
        report.add(at, code::BAD_VALUE, format!("{text:?} is not a length of time"), "write it like 30m, 1h or 7d");
        return None;
    };
    let by = node.get("by").map(|by| texts(by, "by", report)).unwrap_or_default();
    Some(Suppress { by: by.into_iter().map(|(field, _)| field).collect(), for_nanos })
}

/// `risk` is for later use by incident scoring; its shape is checked so that a typing error shows today.
fn risk(document: &Node, report: &mut Report) {
    let Some(node) = document.get("risk") else { return };
    if node.entries().is_none() {
        let message = format!("risk must be a map, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "write it like {entity: user.id, score: 70}");
        return;
    }
    keys(node, &["entity", "score"], "risk", report);
    if let Some(score) = node.get("score").filter(|score| !matches!(score.value, Value::Number(..))) {
        report.add(score.at, code::WRONG_TYPE, "score must be a number", "");
    }
}
