//! `field|modifier|modifier: values` as an expression over atoms.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};

use crate::atom::{Anchor, AnyOf, Atom, Relation, Test};
use crate::diagnostic::{Place, Report, code};
use crate::expression::Expression;
use crate::pattern::Pattern;
use crate::yaml::{Key, Node, Value};

/// Compiled size that one regular expression may have.
const REGEX_BYTES: usize = 4 * 1024 * 1024;
/// `windash` tries every combination up to this many dashes, and one dash at a time beyond.
const WINDASH_COMBINED: usize = 3;
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// How a text is rewritten before it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rewrite {
    Base64,
    Base64Offset,
    Windash,
    Utf16Le,
    Utf16Be,
    Utf16,
}

/// What kind of comparison it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Comparison {
    #[default]
    Text,
    Regex,
    Cidr,
    Exists,
    Order(Relation),
    Field,
}

/// The modifiers of one key.
#[derive(Debug, Default)]
struct Modifiers {
    rewrites: Vec<Rewrite>,
    anchor: Anchor,
    comparison: Comparison,
    all: bool,
    cased: bool,
    differs: bool,
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
}

const KNOWN: &str = "known: contains, startswith, endswith, all, cased, neq, re (i, m, s), cidr, exists, gt, gte, lt, \
                     lte, fieldref, base64, base64offset, wide, utf16le, utf16be, utf16, windash";

impl Modifiers {
    fn parse(names: &[&str], at: Place, report: &mut Report) -> Option<Self> {
        let mut modifiers = Self::default();
        for name in names {
            let is_regex = modifiers.comparison == Comparison::Regex;
            match *name {
                "contains" => modifiers.anchor = Anchor::Contains,
                "startswith" => modifiers.anchor = Anchor::Start,
                "endswith" => modifiers.anchor = Anchor::End,
                "all" => modifiers.all = true,
                "cased" => modifiers.cased = true,
                "neq" => modifiers.differs = true,
                "re" => modifiers.comparison = Comparison::Regex,
                "i" | "ignorecase" if is_regex => modifiers.ignore_case = true,
                "m" | "multiline" if is_regex => modifiers.multi_line = true,
                "s" | "dotall" if is_regex => modifiers.dot_all = true,
                "cidr" => modifiers.comparison = Comparison::Cidr,
                "exists" => modifiers.comparison = Comparison::Exists,
                "fieldref" => modifiers.comparison = Comparison::Field,
                "base64" => modifiers.rewrites.push(Rewrite::Base64),
                "base64offset" => modifiers.rewrites.push(Rewrite::Base64Offset),
                "windash" => modifiers.rewrites.push(Rewrite::Windash),
                "wide" | "utf16le" => modifiers.rewrites.push(Rewrite::Utf16Le),
                "utf16be" => modifiers.rewrites.push(Rewrite::Utf16Be),
                "utf16" => modifiers.rewrites.push(Rewrite::Utf16),
                other => match Relation::ALL.into_iter().find(|relation| relation.as_str() == other) {
                    Some(relation) => modifiers.comparison = Comparison::Order(relation),
                    None => {
                        report.add(at, code::BAD_MODIFIER, format!("unknown modifier {other:?}"), KNOWN);
                        return None;
                    }
                },
            }
        }
        modifiers.check(at, report).then_some(modifiers)
    }

    fn check(&self, at: Place, report: &mut Report) -> bool {
        let is_text = self.comparison == Comparison::Text;
        let has_anchor = self.anchor != Anchor::Whole;
        let wide = |rewrite: &Rewrite| matches!(rewrite, Rewrite::Utf16Le | Rewrite::Utf16Be | Rewrite::Utf16);
        let encodes = |rewrite: &Rewrite| matches!(rewrite, Rewrite::Base64 | Rewrite::Base64Offset);
        let (message, hint) = if !is_text && !self.rewrites.is_empty() {
            ("encodings apply to plain text only", "remove the other modifier")
        } else if has_anchor && !matches!(self.comparison, Comparison::Text | Comparison::Field) {
            ("contains, startswith and endswith apply to plain text only", "remove one of the two")
        } else if self.rewrites.iter().any(wide) && !self.rewrites.last().is_some_and(encodes) {
            ("wide and utf16 give bytes, which only base64 or base64offset can compare", "add |base64offset|contains")
        } else {
            return true;
        };
        report.add(at, code::BAD_MODIFIER, message, hint);
        false
    }
}

/// Compiles one entry of a selection map; `None` after reporting.
pub fn item(key: &Key, node: &Node, report: &mut Report) -> Option<Expression<Arc<Atom>>> {
    let mut names = key.text.split('|');
    let field = names.next().unwrap_or_default().trim();
    let names: Vec<&str> = names.map(str::trim).collect();
    let modifiers = Modifiers::parse(&names, key.at, report)?;
    if field.is_empty() {
        return keywords(node, &modifiers, report);
    }
    values(Some(field), node, &modifiers, report)
}

/// Compiles values without a field: each must be found somewhere in the event.
pub fn keyword(node: &Node, report: &mut Report) -> Option<Expression<Arc<Atom>>> {
    keywords(node, &Modifiers::default(), report)
}

fn keywords(node: &Node, modifiers: &Modifiers, report: &mut Report) -> Option<Expression<Arc<Atom>>> {
    let anchor = if modifiers.comparison == Comparison::Text { Anchor::Contains } else { modifiers.anchor };
    let rewrites = modifiers.rewrites.clone();
    let modifiers = Modifiers { anchor, rewrites, ..*modifiers };
    values(None, node, &modifiers, report)
}

fn values(
    field: Option<&str>,
    node: &Node,
    modifiers: &Modifiers,
    report: &mut Report,
) -> Option<Expression<Arc<Atom>>> {
    let single = std::slice::from_ref(node);
    let listed = if let Value::List(items) = &node.value { items.as_slice() } else { single };
    if listed.is_empty() {
        report.add(node.at, code::BAD_VALUE, "an empty list matches nothing", "write at least one value");
        return None;
    }
    for value in listed {
        if matches!(value.value, Value::List(_) | Value::Map(_)) {
            let message = format!("a value must be text, a number, a boolean or null, got {}", value.value.type_name());
            report.add(value.at, code::WRONG_TYPE, message, "");
            return None;
        }
    }
    let groups: Vec<&[Node]> = if modifiers.all { listed.chunks(1).collect() } else { vec![listed] };
    let compiled: Option<Vec<_>> = groups.into_iter().map(|group| any_of(field, group, modifiers, report)).collect();
    let all = Expression::all(compiled?);
    if !modifiers.differs {
        return Some(all);
    }
    Some(Expression::all(vec![exists(field), Expression::not(all)]))
}

/// One of the values matches.
fn any_of(
    field: Option<&str>,
    listed: &[Node],
    modifiers: &Modifiers,
    report: &mut Report,
) -> Option<Expression<Arc<Atom>>> {
    let test = match modifiers.comparison {
        Comparison::Text => return texts(field, listed, modifiers, report),
        Comparison::Exists => return existence(field, listed, report),
        Comparison::Order(relation) => {
            let numbers: Option<Vec<f64>> = listed.iter().map(|node| number(node, report)).collect();
            let tests = numbers?.into_iter().map(|number| atom(field, Test::Compare(relation, number)));
            return Some(Expression::any(tests.collect()));
        }
        Comparison::Field => {
            let tests = listed
                .iter()
                .filter_map(Node::scalar_text)
                .map(|other| atom(field, Test::SameAs { other, anchor: modifiers.anchor, cased: modifiers.cased }));
            return Some(Expression::any(tests.collect()));
        }
        Comparison::Regex => {
            let compiled: Option<Vec<Regex>> = listed.iter().map(|node| regex(node, modifiers, report)).collect();
            let compiled = compiled?;
            let flags = (modifiers.ignore_case, modifiers.multi_line, modifiers.dot_all);
            let canonical = format!("{compiled:?} {flags:?}");
            return Some(named_atom(field, Test::Regex(compiled), &canonical));
        }
        Comparison::Cidr => {
            let networks: Option<Vec<IpNet>> = listed.iter().map(|node| network(node, report)).collect();
            Test::Cidr(networks?)
        }
    };
    Some(atom(field, test))
}

fn texts(
    field: Option<&str>,
    listed: &[Node],
    modifiers: &Modifiers,
    report: &mut Report,
) -> Option<Expression<Arc<Atom>>> {
    let (before, after) = match modifiers.anchor {
        Anchor::Whole => (false, false),
        Anchor::Contains => (true, true),
        Anchor::Start => (false, true),
        Anchor::End => (true, false),
    };
    let mut patterns = Vec::new();
    let mut numbers = Vec::new();
    let mut has_null = false;
    for node in listed {
        let pattern = match &node.value {
            Value::Text(text, _) => Pattern::parse(text),
            Value::Number(number, text) => {
                if modifiers.anchor == Anchor::Whole && modifiers.rewrites.is_empty() {
                    numbers.push(*number);
                }
                Pattern::plain(text.clone())
            }
            Value::Bool(flag) => Pattern::plain(flag.to_string()),
            _ => {
                has_null = true;
                continue;
            }
        };
        let rewritten = rewrite(pattern, node, &modifiers.rewrites, report)?;
        patterns.extend(rewritten.into_iter().map(|pattern| pattern.open(before, after)));
    }
    let mut any = Vec::new();
    if !patterns.is_empty() {
        let canonical = format!("text {} {patterns:?} {numbers:?}", modifiers.cased);
        let compiled = AnyOf::new(patterns, numbers, modifiers.cased);
        any.push(named_atom(field, Test::AnyOf(Box::new(compiled)), &canonical));
    }
    if has_null {
        any.push(Expression::not(exists(field)));
    }
    Some(Expression::any(any))
}

fn rewrite(pattern: Pattern, node: &Node, rewrites: &[Rewrite], report: &mut Report) -> Option<Vec<Pattern>> {
    let mut patterns = vec![pattern];
    let mut bytes: Option<Vec<u8>> = None;
    for rewrite in rewrites {
        if *rewrite == Rewrite::Windash {
            patterns = patterns.into_iter().flat_map(windash).collect();
            continue;
        }
        let Some(text) = patterns.first().and_then(Pattern::as_plain) else {
            let hint = "remove the wildcard or escape it with a backslash";
            report.add(node.at, code::BAD_VALUE, "a text with wildcards cannot be encoded", hint);
            return None;
        };
        let raw = bytes.take().unwrap_or_else(|| text.as_bytes().to_vec());
        match rewrite {
            Rewrite::Base64 => patterns = vec![Pattern::plain(STANDARD.encode(raw))],
            Rewrite::Base64Offset => patterns = base64_offsets(&raw).into_iter().map(Pattern::plain).collect(),
            Rewrite::Utf16Le => bytes = Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            Rewrite::Utf16Be => bytes = Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Rewrite::Utf16 => {
                let with_mark = std::iter::once(0xfeff).chain(text.encode_utf16());
                bytes = Some(with_mark.flat_map(u16::to_le_bytes).collect());
            }
            Rewrite::Windash => {}
        }
    }
    Some(patterns)
}

/// The three texts the bytes can have inside a longer base64 text, cut to the characters they alone decide.
fn base64_offsets(raw: &[u8]) -> Vec<String> {
    let encode = |offset: usize| {
        let mut padded = vec![b' '; offset];
        padded.extend_from_slice(raw);
        let text = STANDARD.encode(&padded);
        let start = [0, 2, 3][offset];
        let end = text.len() - [0, 3, 2][padded.len() % 3];
        text.get(start..end).unwrap_or_default().to_owned()
    };
    (0..3).map(encode).collect()
}

/// Variants of a command line in which `-x` may be written with any dash Windows accepts.
fn windash(pattern: Pattern) -> Vec<Pattern> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut spots = Vec::new();
    for (index, text) in pattern.clone().texts_mut().enumerate() {
        let mut before: Option<char> = None;
        for (at, c) in text.char_indices() {
            let after = text[at + c.len_utf8()..].chars().next();
            if matches!(c, '-' | '/') && !before.is_some_and(is_word) && after.is_some_and(is_word) {
                spots.push((index, at));
            }
            before = Some(c);
        }
    }
    let mut variants = vec![pattern];
    for (index, at) in spots.into_iter().take(WINDASH_COMBINED).rev() {
        let swap = |variant: Pattern| {
            DASHES.map(|dash| {
                let mut swapped = variant.clone();
                if let Some(text) = swapped.texts_mut().nth(index) {
                    text.replace_range(at..=at, dash.encode_utf8(&mut [0; 4]));
                }
                swapped
            })
        };
        variants = variants.into_iter().flat_map(swap).collect();
    }
    variants
}

fn existence(field: Option<&str>, listed: &[Node], report: &mut Report) -> Option<Expression<Arc<Atom>>> {
    match listed {
        [Node { value: Value::Bool(true), .. }] => Some(exists(field)),
        [Node { value: Value::Bool(false), .. }] => Some(Expression::not(exists(field))),
        _ => {
            report.add(listed[0].at, code::WRONG_TYPE, "exists takes true or false", "");
            None
        }
    }
}

fn number(node: &Node, report: &mut Report) -> Option<f64> {
    let number = match &node.value {
        Value::Number(number, _) => Some(*number),
        Value::Text(text, _) => text.trim().parse().ok(),
        _ => None,
    };
    if number.is_none() {
        let message = format!("a comparison takes a number, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "");
    }
    number
}

fn regex(node: &Node, modifiers: &Modifiers, report: &mut Report) -> Option<Regex> {
    let Some(text) = node.scalar_text() else {
        report.add(node.at, code::WRONG_TYPE, "a regular expression must be text", "");
        return None;
    };
    let flags = [('i', modifiers.ignore_case), ('m', modifiers.multi_line), ('s', modifiers.dot_all)];
    let flags: String = flags.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag)).collect();
    // the flags stand in the expression, so that whoever reads it later reads all of it
    let text = if flags.is_empty() { text } else { format!("(?{flags}){text}") };
    match RegexBuilder::new(&text).size_limit(REGEX_BYTES).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let hint = "syntax of the Rust regex crate: no look-around and no back-references";
            report.add(node.at, code::BAD_REGEX, last, hint);
            None
        }
    }
}

fn network(node: &Node, report: &mut Report) -> Option<IpNet> {
    let text = node.scalar_text().unwrap_or_default();
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
    if parsed.is_none() {
        let message = format!("{text:?} is not a network");
        report.add(node.at, code::BAD_VALUE, message, "write it like 10.0.0.0/8 or fd00::/8");
    }
    parsed
}

fn exists(field: Option<&str>) -> Expression<Arc<Atom>> {
    atom(field, Test::Exists)
}

fn atom(field: Option<&str>, test: Test) -> Expression<Arc<Atom>> {
    let canonical = format!("{test:?}");
    named_atom(field, test, &canonical)
}

fn named_atom(field: Option<&str>, test: Test, canonical: &str) -> Expression<Arc<Atom>> {
    let canonical = format!("{field:?} {canonical}");
    Expression::Atom(Arc::new(Atom { field: field.map(str::to_owned), test, canonical }))
}
