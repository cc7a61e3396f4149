//! `field|modifier|modifier: values` as an expression over atoms.

mod chain;
mod encoding;
mod placeholder;
mod regex;

use std::sync::Arc;

use ipnet::IpNet;

use self::chain::{Chain, Comparison};
use crate::atom::{Anchor, AnyOf, Atom, Relation, Test};
use crate::diagnostic::{Place, Report, code};
use crate::expression::Expression;
use crate::pattern::Pattern;
use crate::pipeline::Mapping;
use crate::time_part::TimePart;
use crate::yaml::{Key, Node, Value};

pub use self::chain::NAMES;

/// What an entry of a selection comes to.
type Compiled = Expression<Arc<Atom>>;

/// Compiles one entry of a selection map: nothing when a pipeline drops it; `None` after reporting.
pub fn item(key: &Key, node: &Node, mapping: &Mapping, report: &mut Report) -> Option<Option<Compiled>> {
    let mut names = key.text.split('|');
    let field = names.next().unwrap_or_default().trim();
    let names: Vec<&str> = names.map(str::trim).collect();
    let chain = Chain::parse(&names, key.at, report)?;
    let single = std::slice::from_ref(node);
    let listed = if let Value::List(items) = &node.value { items.as_slice() } else { single };
    let Some(mapped) = mapping.item(field, key, listed, report).ok()? else { return Some(None) };
    let field = mapped.field.as_deref();
    if field.is_none() && chain.comparison == Comparison::Exists {
        report.add(key.at, code::BAD_MODIFIER, "exists needs a field", "write it like user.id|exists: true");
        return None;
    }
    let chain = chain.for_field(field);
    values(field, key.at, &mapped.values, &chain, mapping, report).map(Some)
}

/// Compiles a value without a field: it must be found somewhere in the event.
pub fn keyword(node: &Node, mapping: &Mapping, report: &mut Report) -> Option<Option<Compiled>> {
    item(&Key { at: node.at, text: String::new() }, node, mapping, report)
}

fn values(
    field: Option<&str>,
    at: Place,
    listed: &[Node],
    chain: &Chain,
    mapping: &Mapping,
    report: &mut Report,
) -> Option<Compiled> {
    if listed.is_empty() {
        report.add(at, code::BAD_VALUE, "an empty list matches nothing", "write at least one value");
        return None;
    }
    for value in listed {
        let is_nested = matches!(value.value, Value::List(_) | Value::Map(_));
        if is_nested || (field.is_none() && matches!(value.value, Value::Null)) {
            let message = format!("a value must be text, a number, a boolean or null, got {}", value.value.type_name());
            report.add(value.at, code::WRONG_TYPE, message, "");
            return None;
        }
    }
    if chain.all && listed.len() == 1 && !chain.expand {
        report.warn(at, code::STYLE, "all with one value changes nothing", "remove |all, or add the other values");
    }
    let filled;
    let listed = if chain.expand {
        filled = placeholder::expand(listed, chain.comparison == Comparison::Regex, mapping, report)?;
        filled.as_slice()
    } else {
        listed
    };
    let groups: Vec<&[Node]> = if chain.all { listed.chunks(1).collect() } else { vec![listed] };
    let compiled: Option<Vec<_>> =
        groups.into_iter().map(|group| any_of(field, group, chain, mapping, report)).collect();
    let all = Expression::all(compiled?);
    if !chain.differs {
        return Some(all);
    }
    let mut parts = vec![exists(field)];
    if chain.comparison == Comparison::Field {
        // what is absent differs from nothing
        let others = listed.iter().filter_map(Node::scalar_text);
        parts.extend(others.map(|other| exists(Some(&mapping.field(&other)))));
    }
    parts.push(Expression::not(all));
    Some(Expression::all(parts))
}

/// One of the values matches.
fn any_of(
    field: Option<&str>,
    listed: &[Node],
    chain: &Chain,
    mapping: &Mapping,
    report: &mut Report,
) -> Option<Compiled> {
    let test = match chain.comparison {
        Comparison::Text => match chain.part {
            Some(part) => return parts(field, listed, part, Relation::Eq, report),
            None => return texts(field, listed, chain, report),
        },
        Comparison::Exists => return existence(field, listed, report),
        Comparison::Order(relation) => {
            if let Some(part) = chain.part {
                return parts(field, listed, part, relation, report);
            }
            let numbers: Option<Vec<f64>> = listed.iter().map(|node| number(node, report)).collect();
            let tests = numbers?.into_iter().map(|number| atom(field, Test::Compare(relation, number)));
            return Some(Expression::any(tests.collect()));
        }
        Comparison::Field => {
            let others = listed.iter().filter_map(Node::scalar_text).map(|other| mapping.field(&other));
            let tests =
                others.map(|other| atom(field, Test::SameAs { other, anchor: chain.anchor, cased: chain.cased }));
            return Some(Expression::any(tests.collect()));
        }
        Comparison::Regex => {
            let compiled = regex::compile(listed, chain, report)?;
            let canonical = format!("{compiled:?}");
            return Some(named_atom(field, Test::Regex(compiled), &canonical));
        }
        Comparison::Cidr => {
            let networks: Option<Vec<IpNet>> = listed.iter().map(|node| network(node, report)).collect();
            Test::Cidr(networks?)
        }
    };
    Some(atom(field, test))
}

/// A part of a time in some relation to a number.
fn parts(
    field: Option<&str>,
    listed: &[Node],
    part: TimePart,
    relation: Relation,
    report: &mut Report,
) -> Option<Compiled> {
    let numbers: Option<Vec<f64>> = listed.iter().map(|node| number(node, report)).collect();
    let tests = numbers?.into_iter().map(|number| atom(field, Test::Part(part, relation, number)));
    Some(Expression::any(tests.collect()))
}

fn texts(field: Option<&str>, listed: &[Node], chain: &Chain, report: &mut Report) -> Option<Compiled> {
    let (before, after) = match chain.anchor {
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
                if chain.anchor == Anchor::Whole && chain.rewrites.is_empty() {
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
        let rewritten = encoding::rewrite(pattern, node.at, &chain.rewrites, report)?;
        patterns.extend(rewritten.into_iter().map(|pattern| pattern.open(before, after)));
    }
    let mut any = Vec::new();
    if !patterns.is_empty() {
        let canonical = format!("text {} {patterns:?} {numbers:?}", chain.cased);
        let compiled = AnyOf::new(patterns, numbers, chain.cased);
        any.push(named_atom(field, Test::AnyOf(Box::new(compiled)), &canonical));
    }
    if has_null {
        any.push(Expression::not(exists(field)));
    }
    Some(Expression::any(any))
}

fn existence(field: Option<&str>, listed: &[Node], report: &mut Report) -> Option<Compiled> {
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

fn network(node: &Node, report: &mut Report) -> Option<IpNet> {
    let text = node.scalar_text().unwrap_or_default();
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
    if parsed.is_none() {
        let message = format!("{text:?} is not a network");
        report.add(node.at, code::BAD_VALUE, message, "write it like 10.0.0.0/8 or fd00::/8");
    }
    parsed
}

fn exists(field: Option<&str>) -> Compiled {
    atom(field, Test::Exists)
}

fn atom(field: Option<&str>, test: Test) -> Compiled {
    let canonical = format!("{test:?}");
    named_atom(field, test, &canonical)
}

fn named_atom(field: Option<&str>, test: Test, canonical: &str) -> Compiled {
    let canonical = format!("{field:?} {canonical}");
    Expression::Atom(Arc::new(Atom { field: field.map(str::to_owned), test, canonical }))
}
