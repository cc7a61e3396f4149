//! What a rule says about itself: names, texts, tags, suppression.

use model::Severity;
use model::detection::RuleInfo;
use sha2::{Digest, Sha256};

use super::{keys, nearest, one_of, required, text, texts};
use crate::diagnostic::{Report, code};
use crate::rule::Suppress;
use crate::timespan;
use crate::yaml::{Node, Value};

const STATUSES: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];
const TITLE_CHARS: usize = 256;

/// What a rule says about itself.
pub struct Header {
    pub info: RuleInfo,
    pub name: Option<String>,
    pub suppress: Option<Suppress>,
}

/// Reads the header of a document.
pub fn read(document: &Node, report: &mut Report) -> Header {
    let title = required(document, "title", "a rule", report);
    if let Some((title, at)) = &title
        && title.chars().count() > TITLE_CHARS
    {
        report.add(*at, code::TOO_LARGE, format!("title is longer than {TITLE_CHARS} characters"), "");
    }
    let title = title.map(|(title, _)| title).unwrap_or_default();
    let mut plain = |key: &str| text(document, key, report).map(|(text, _)| text.trim().to_owned());
    let id = plain("id");
    let name = plain("name");
    let description = plain("description").unwrap_or_default();
    let runbook = plain("runbook").unwrap_or_default();
    let author = plain("author").unwrap_or_default();
    plain("date");
    plain("modified");
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
