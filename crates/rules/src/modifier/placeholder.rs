//! `%name%` in values with `|expand`: the values that pipelines give it.

use crate::diagnostic::{Report, code};
use crate::pipeline::Mapping;
use crate::yaml::{Node, Value};

/// Values that one value may become.
const VALUES: usize = 10_000;

/// A stretch of a value.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Placeholder(&'t str),
}

/// Fills placeholders in; `None` after reporting. In a regular expression they stand for plain text with wildcards.
pub fn expand(nodes: &[Node], in_regex: bool, mapping: &Mapping, report: &mut Report) -> Option<Vec<Node>> {
    let mut filled = Vec::new();
    for node in nodes {
        let Value::Text(text, _) = &node.value else {
            filled.push(node.clone());
            continue;
        };
        let pieces = pieces(text);
        if let [Piece::Placeholder(name)] = pieces.as_slice()
            && !in_regex
        {
            filled.extend(values(name, node, mapping, report)?);
            continue;
        }
        let mut texts = vec![String::new()];
        for piece in pieces {
            match piece {
                Piece::Text(text) => texts.iter_mut().for_each(|whole| whole.push_str(&unescaped(text))),
                Piece::Placeholder(name) => {
                    let values = values(name, node, mapping, report)?;
                    let values: Vec<String> = values
                        .iter()
                        .filter_map(Node::scalar_text)
                        .map(|value| if in_regex { as_regex(&value) } else { value })
                        .collect();
                    if texts.len().saturating_mul(values.len()) > VALUES {
                        let message = format!("placeholders make more than {VALUES} values of one");
                        report.add(node.at, code::TOO_LARGE, message, "use one placeholder, or shorter lists");
                        return None;
                    }
                    texts = texts
                        .iter()
                        .flat_map(|whole| values.iter().map(move |value| format!("{whole}{value}")))
                        .collect();
                }
            }
        }
        filled.extend(texts.into_iter().map(|text| Node { at: node.at, value: Value::Text(text, false) }));
    }
    Some(filled)
}

fn values(name: &str, node: &Node, mapping: &Mapping, report: &mut Report) -> Option<Vec<Node>> {
    let values = mapping.placeholder(name, node.at);
    if values.is_none() {
        let hint = format!("give it values in a file of the folder pipelines, as in vars: {{{name}: [a, b]}}");
        report.add(node.at, code::UNSET_PLACEHOLDER, format!("placeholder %{name}% has no values"), hint);
    }
    values
}

/// A name is letters, digits and `_`; `\%` is a plain percent sign.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut from = 0;
    while let Some(open) = text[from..].find('%').map(|at| from + at) {
        let is_escaped = text[..open].ends_with('\\');
        let inner = &text[open + 1..];
        let name = inner.find(|c: char| !c.is_alphanumeric() && c != '_').map_or(inner, |end| &inner[..end]);
        let close = open + 1 + name.len();
        if is_escaped || name.is_empty() || !text[close..].starts_with('%') {
            from = open + 1;
            continue;
        }
        if start < open {
            pieces.push(Piece::Text(&text[start..open]));
        }
        pieces.push(Piece::Placeholder(name));
        start = close + 1;
        from = start;
    }
    if start < text.len() || pieces.is_empty() {
        pieces.push(Piece::Text(&text[start..]));
    }
    pieces
}

fn unescaped(text: &str) -> String {
    text.replace("\\%", "%")
}

/// A value with `*` and `?` as a regular expression.
fn as_regex(value: &str) -> String {
    regex::escape(value).replace("\\*", ".*").replace("\\?", ".")
}

#[cfg(test)]
mod tests;
