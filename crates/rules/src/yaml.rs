//! YAML text as trees that remember where every node stands.
//!
//! Built on the event parser beneath serde-saphyr, because rules need two things serde hides: the text of a plain
//! number as it was written, and the place of every key.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};

use crate::diagnostic::{Place, Report, code};

/// A rule file may not be larger. The largest public Sigma rule, a list of driver hashes, has 295,078 bytes.
pub const FILE_BYTES: usize = 512 * 1024;
const NODES: usize = 60_000;
const DEPTH: usize = 24;

/// A node and the place where it begins.
#[derive(Debug, Clone)]
pub struct Node {
    pub at: Place,
    pub value: Value,
}

/// What a node holds. Maps keep the order of the file.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Bool(bool),
    /// A number, with the text it was written as.
    Number(f64, String),
    /// Text; the flag says whether it was written on one line without quotes, so that offsets into it are columns.
    Text(String, bool),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of a map entry.
#[derive(Debug, Clone)]
pub struct Key {
    pub at: Place,
    pub text: String,
}

impl Value {
    /// How a message names the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(..) => "a number",
            Self::Text(..) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    /// Plain text, or a number or boolean as it reads.
    pub fn scalar_text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text, _) | Value::Number(_, text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    /// The entries of a map.
    pub fn entries(&self) -> Option<&[(Key, Node)]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(found, _)| found.text == key).map(|(_, node)| node)
    }

    /// How many values it is made of, keys counted.
    pub fn count(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(_, node)| 1 + node.count()).sum::<usize>(),
            _ => 1,
        }
    }

    /// Writes the node in one canonical form, so that layout, comments and quoting do not change a hash.
    pub fn canonical(&self, out: &mut String) {
        match &self.value {
            Value::Null => out.push('~'),
            Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Value::Number(_, text) => out.push_str(text),
            Value::Text(text, _) => out.push_str(&format!("{text:?}")),
            Value::List(items) => {
                out.push('[');
                for item in items {
                    item.canonical(out);
                    out.push(',');
                }
                out.push(']');
            }
            Value::Map(entries) => {
                out.push('{');
                for (key, node) in entries {
                    out.push_str(&format!("{:?}:", key.text));
                    node.canonical(out);
                    out.push(',');
                }
                out.push('}');
            }
        }
    }
}

/// The documents of a file, empty ones left out; `None` after reporting why there are none to be had.
pub fn documents(text: &str, report: &mut Report) -> Option<Vec<Node>> {
    if text.len() > FILE_BYTES {
        let message = format!("the file has {} bytes, more than the {FILE_BYTES} allowed", text.len());
        report.add(Place { line: 1, column: 1 }, code::TOO_LARGE, message, "split it into several files");
        return None;
    }
    let mut builder = Builder { anchors: HashMap::new(), stack: Vec::new(), nodes: 0, done: Vec::new() };
    for next in Parser::new_from_str(text) {
        let fault = match next {
            Ok((event, span)) => builder.take(event, span).err(),
            Err(error) => Some(Fault { at: place(error.marker()), code: code::YAML, message: error.info(), hint: "" }),
        };
        if let Some(fault) = fault {
            report.add(fault.at, fault.code, fault.message, fault.hint);
            return None;
        }
    }
    Some(builder.done)
}

struct Fault {
    at: Place,
    code: &'static str,
    message: String,
    hint: &'static str,
}

/// A collection that is still open.
enum Open {
    List { at: Place, anchor: usize, items: Vec<Node> },
    Map { at: Place, anchor: usize, entries: Vec<(Key, Node)>, seen: HashSet<String>, key: Option<Key> },
}

struct Builder {
    anchors: HashMap<usize, Node>,
    stack: Vec<Open>,
    nodes: usize,
    done: Vec<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let at = place(&span.start);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let one_line = style == ScalarStyle::Plain && span.start.line() == span.end.line();
                let value = scalar(&text, style, one_line);
                self.finish(Node { at, value }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(at, Open::List { at, anchor, items: Vec::new() }),
            Event::MappingStart(_, anchor, _) => {
                let map = Open::Map { at, anchor, entries: Vec::new(), seen: HashSet::new(), key: None };
                self.open(at, map)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open::List { at, anchor, items }) => self.finish(Node { at, value: Value::List(items) }, anchor),
                Some(Open::Map { at, anchor, entries, .. }) => {
                    self.finish(Node { at, value: Value::Map(entries) }, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.nodes += node.count();
                    self.finish(node, 0)
                }
                None => Err(Fault { at, code: code::YAML, message: "an alias inside its own anchor".into(), hint: "" }),
            },
            _ => Ok(()),
        }
    }

    fn open(&mut self, at: Place, open: Open) -> Result<(), Fault> {
        if self.stack.len() >= DEPTH {
            let message = format!("nested deeper than {DEPTH} levels");
            return Err(Fault { at, code: code::TOO_LARGE, message, hint: "" });
        }
        self.stack.push(open);
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > NODES {
            let message = format!("more than {NODES} values, aliases counted as what they stand for");
            return Err(Fault { at: node.at, code: code::TOO_LARGE, message, hint: "split the file" });
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            None if matches!(node.value, Value::Null) => {}
            None => self.done.push(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, seen, key, .. }) => match key.take() {
                Some(found) => entries.push((found, node)),
                None => {
                    let at = node.at;
                    let text = node.scalar_text().or(matches!(node.value, Value::Null).then(|| "null".to_owned()));
                    let Some(text) = text else {
                        let message = format!("a key must be text, got {}", node.value.type_name());
                        return Err(Fault { at, code: code::WRONG_TYPE, message, hint: "" });
                    };
                    if !seen.insert(text.clone()) {
                        let message = format!("key {text:?} appears twice in one map");
                        return Err(Fault { at, code: code::DUPLICATE_KEY, message, hint: "remove or rename one" });
                    }
                    *key = Some(Key { at, text });
                }
            },
        }
        Ok(())
    }
}

fn place(marker: &Marker) -> Place {
    Place {
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
        column: u32::try_from(marker.col() + 1).unwrap_or(u32::MAX),
    }
}

/// YAML 1.2 core types for plain text; anything quoted is text.
fn scalar(text: &str, style: ScalarStyle, one_line: bool) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned(), false);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(hex) = digits.strip_prefix("0x").and_then(|hex| i64::from_str_radix(hex, 16).ok()) {
        return Value::Number(hex as f64, hex.to_string());
    }
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>() {
        Ok(number) if numeric => Value::Number(number, text.to_owned()),
        _ => Value::Text(text.to_owned(), one_line),
    }
}
