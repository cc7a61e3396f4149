//! Rule collections of Sigma 1: `action: global`, `reset` and `repeat` in a file of several documents.
//!
//! A global document is laid over every rule that follows it, until the next global one or a reset. A repeat is laid
//! over the rule before it, which it then replaces for the next repeat. Where both say something, the document that is
//! laid over the other wins, as in pySigma.

use crate::diagnostic::{Report, code};
use crate::yaml::{Key, Node, Value};

/// Values that all rules of a file may hold once collections are unfolded.
const NODES: usize = 200_000;

/// The documents with collections unfolded; those without `action` as they are.
pub fn unfold(documents: Vec<Node>, report: &mut Report) -> Vec<Node> {
    if !documents.iter().any(|document| document.get("action").is_some()) {
        return documents;
    }
    let mut unfolded: Vec<Node> = Vec::new();
    let mut global: Option<Node> = None;
    let mut nodes = 0;
    for mut document in documents {
        let action = document.get("action").map(|node| (node.scalar_text().unwrap_or_default(), node.at));
        without_action(&mut document);
        let mut rule = match &action {
            None => document,
            Some((action, _)) if action == "global" => {
                global = Some(document);
                continue;
            }
            Some((action, _)) if action == "reset" => {
                global = None;
                continue;
            }
            Some((action, at)) if action == "repeat" => {
                let Some(before) = unfolded.last() else {
                    report.add(
                        *at,
                        code::BAD_VALUE,
                        "there is no rule before this one to repeat",
                        "write it as a rule",
                    );
                    continue;
                };
                let mut repeated = before.clone();
                repeated.at = document.at;
                lay_over(&mut repeated, &document);
                repeated
            }
            Some((action, at)) => {
                let message = format!("action cannot be {action:?}");
                report.add(*at, code::BAD_VALUE, message, "global, reset or repeat");
                continue;
            }
        };
        if let Some(global) = &global {
            lay_over(&mut rule, global);
        }
        nodes += rule.count();
        if nodes > NODES {
            let message = format!("the collection unfolds to more than {NODES} values");
            report.add(rule.at, code::TOO_LARGE, message, "split the file");
            return Vec::new();
        }
        unfolded.push(rule);
    }
    unfolded
}

fn without_action(document: &mut Node) {
    if let Value::Map(entries) = &mut document.value {
        entries.retain(|(key, _)| key.text != "action");
    }
}

/// Lays one document over another: maps are joined, anything else is replaced.
fn lay_over(below: &mut Node, above: &Node) {
    if let (Value::Map(entries), Value::Map(over)) = (&mut below.value, &above.value) {
        for (key, node) in over {
            match entries.iter_mut().find(|(found, _)| found.text == key.text) {
                Some((_, found)) => lay_over(found, node),
                None => entries.push((Key { at: key.at, text: key.text.clone() }, node.clone())),
            }
        }
    } else {
        *below = above.clone();
    }
}
