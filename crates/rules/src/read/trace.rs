//! What a correlation of type `trace_pattern` asks for.

use super::{condition, counted, flag, keys, nearest, text, texts};
use crate::diagnostic::{Place, Report, code};
use crate::expression::Expression;
use crate::rule::Reference;
use crate::timespan;
use crate::trace::path::ServicePath;
use crate::trace::relation::{self, How, Relation};
use crate::trace::{Comparison, Pick, STEPS, TracePattern, Wait, bit};
use crate::yaml::{Node, Value};

/// The keys of the type.
pub const KEYS: [&str; 13] = [
    "type", "rules", "where", "relate", "compare", "count", "links", "path", "complete", "group-by", "alias",
    "timespan", "generate",
];

const DEMANDS: usize = 32;
const SPAN_NANOS: i64 = 60 * 1_000_000_000;
const SPAN_NANOS_MAX: i64 = 86_400 * 1_000_000_000;
const QUIET_NANOS: i64 = 10 * 1_000_000_000;

/// Reads the pattern and the names of its group; `None` after reporting.
pub fn read(node: &Node, rules: &[Reference], report: &mut Report) -> Option<(TracePattern, Vec<String>)> {
    let steps: Vec<String> = rules.iter().map(|rule| rule.rule.clone()).collect();
    if let Some(extra) = rules.get(STEPS) {
        report.add(extra.at, code::TOO_LARGE, format!("more than {STEPS} steps"), "split the pattern into two rules");
        return None;
    }
    for (number, rule) in rules.iter().enumerate() {
        if steps[..number].contains(&rule.rule) {
            let hint = "one step stands for one span; give the rule a second name in a second document";
            report.add(rule.at, code::BAD_VALUE, format!("the step {:?} is listed twice", rule.rule), hint);
            return None;
        }
    }
    let mut pattern = TracePattern { fields: vec![Vec::new(); steps.len()], steps, ..TracePattern::default() };
    taken(node, &mut pattern, report)?;
    pattern.follows_links = flag(node, "links", report);
    relations(node, &mut pattern, report)?;
    pattern.counts = counted::read(node, &pattern, report)?;
    comparisons(node, &mut pattern, report)?;
    pattern.path = match text(node, "path", report) {
        Some((path, at)) => match ServicePath::parse(&path) {
            Ok(path) => Some(path),
            Err(wrong) => {
                report.add(at, code::BAD_VALUE, wrong, "write it like \"gateway > ** > *\"");
                return None;
            }
        },
        None => None,
    };
    pattern.span_nanos = length(node, "timespan", SPAN_NANOS, report)?;
    if pattern.span_nanos > SPAN_NANOS_MAX {
        let at = node.get("timespan").map_or(node.at, |found| found.at);
        report.add(at, code::BAD_VALUE, "a trace is held for at most a day", "as in 2m");
        return None;
    }
    pattern.wait = wait(node, &pattern, report)?;
    let named = aliases(node, &mut pattern, report)?;
    let group = group(node, &named, &mut pattern, report)?;
    pattern.aliases = named;
    Some((pattern, group))
}

/// `where`: which steps must have been taken.
fn taken(node: &Node, pattern: &mut TracePattern, report: &mut Report) -> Option<()> {
    let steps = pattern.steps.len();
    let numbered = pattern.steps.iter().enumerate().map(|(step, name)| (name.clone(), Expression::Atom(step)));
    let (mut plain, mut negated) = ((0..steps).fold(0, |all, step| all | bit(step)), 0);
    if let Some(found) = node.get("where") {
        let expression = condition::parse(found, &numbered.collect::<Vec<_>>(), report)?;
        plain = 0;
        polarity(&expression, true, &mut plain, &mut negated);
        for step in 0..steps {
            let name = &pattern.steps[step];
            let (message, hint) = match (plain & bit(step) != 0, negated & bit(step) != 0) {
                (false, false) => {
                    (format!("where does not name {name:?}, which is among the rules"), "name or remove it")
                }
                (true, true) => {
                    (format!("where names {name:?} both with and without not"), "split the pattern into two rules")
                }
                _ => continue,
            };
            report.add(found.at, code::BAD_VALUE, message, hint);
            return None;
        }
        pattern.expression = Some(expression);
    }
    pattern.absent = negated;
    let holding = (0..=u8::MAX).filter(|choice| choice & !plain == 0 && pattern.holds(*choice));
    let mut choices: Vec<u8> = holding.collect();
    choices.sort_by_key(|choice| choice.count_ones());
    let mut smallest: Vec<u8> = Vec::new();
    for choice in choices {
        if !smallest.iter().any(|known| known & choice == *known) {
            smallest.push(choice);
        }
    }
    if smallest.is_empty() || smallest.contains(&0) {
        let at = node.get("where").map_or(node.at, |found| found.at);
        let message = "where must ask for at least one span that was seen";
        report.add(at, code::BAD_VALUE, message, "as in payment and not authorization");
        return None;
    }
    pattern.choices = smallest;
    Some(())
}

fn polarity(expression: &Expression<usize>, is_plain: bool, plain: &mut u8, negated: &mut u8) {
    match expression {
        Expression::Atom(step) if is_plain => *plain |= bit(*step),
        Expression::Atom(step) => *negated |= bit(*step),
        Expression::All(parts) | Expression::Any(parts) => {
            parts.iter().for_each(|part| polarity(part, is_plain, plain, negated));
        }
        Expression::Not(part) => polarity(part, !is_plain, plain, negated),
    }
}

/// `relate`: how the steps must lie to each other.
fn relations(node: &Node, pattern: &mut TracePattern, report: &mut Report) -> Option<()> {
    let hint = "write it like metadata_call descendant_of public_entry";
    for sentence in sentences(node, "relate", report)? {
        let [left, how, right] = sentence.words.as_slice() else {
            report.add(sentence.at, code::BAD_VALUE, "a relation is step, relation, step", hint);
            return None;
        };
        let names = How::ALL.map(How::as_str);
        let Some(known) = How::ALL.into_iter().find(|known| known.as_str() == how.text) else {
            let message = format!("there is no relation {:?}", how.text);
            report.add(how.at, code::BAD_VALUE, message, nearest(&how.text, &names));
            return None;
        };
        let (from, to) = (step(left, pattern, report)?, step(right, pattern, report)?);
        both_absent(pattern, from, to, sentence.at, report)?;
        if known == How::LinkedTo && pattern.is_absent(from) {
            let hint = "a trace is judged with those it links to, not with those that link to it";
            report.add(sentence.at, code::BAD_VALUE, "who would have linked here is not looked for", hint);
            return None;
        }
        pattern.relations.push(Relation { left: from, how: known, right: to });
        if relation::contradiction(pattern.steps.len(), &pattern.relations).is_some() {
            let message = format!("no trace can satisfy \"{} {} {}\"", left.text, how.text, right.text);
            let hint = "it contradicts itself, or relations before it";
            report.add(sentence.at, code::CYCLE, message, hint);
            return None;
        }
    }
    Some(())
}

/// `compare`: which values must or must not be the same.
fn comparisons(node: &Node, pattern: &mut TracePattern, report: &mut Report) -> Option<()> {
    for sentence in sentences(node, "compare", report)? {
        let [left, how, right] = sentence.words.as_slice() else {
            let hint = "write it like payment.user.id != gateway.user.id";
            report.add(sentence.at, code::BAD_VALUE, "a comparison is value, == or !=, value", hint);
            return None;
        };
        let same = match how.text.as_str() {
            "==" => true,
            "!=" => false,
            other => {
                report.add(how.at, code::BAD_VALUE, format!("{other:?} does not compare"), "write == or !=");
                return None;
            }
        };
        let (left, right) = (value(left, pattern, report)?, value(right, pattern, report)?);
        both_absent(pattern, left.0, right.0, sentence.at, report)?;
        pattern.comparisons.push(Comparison { left, right, same });
    }
    Some(())
}

fn both_absent(pattern: &TracePattern, one: usize, other: usize, at: Place, report: &mut Report) -> Option<()> {
    if one == other || !pattern.is_absent(one) || !pattern.is_absent(other) {
        return Some(());
    }
    let hint = "one of the two must be a step that was taken";
    report.add(at, code::BAD_VALUE, "both steps stand under not, so there is nothing to hold on to", hint);
    None
}

/// `complete`, or what stands for it: a pattern with `not`, or along links, must wait, any other need not.
fn wait(node: &Node, pattern: &TracePattern, report: &mut Report) -> Option<Option<Wait>> {
    let mut wait = Wait { root: true, quiet_nanos: QUIET_NANOS.min(pattern.span_nanos) };
    let Some(found) = node.get("complete") else {
        return Some((pattern.absent != 0 || pattern.looks_along_links()).then_some(wait));
    };
    if found.entries().is_none() {
        let message = format!("complete must be a map, got {}", found.value.type_name());
        report.add(found.at, code::WRONG_TYPE, message, "write it like {root: true, quiet: 10s}");
        return None;
    }
    keys(found, &["root", "quiet"], "complete", report);
    wait.root = match found.get("root") {
        None => true,
        Some(Node { value: Value::Bool(root), .. }) => *root,
        Some(other) => {
            let message = format!("root must be true or false, got {}", other.value.type_name());
            report.add(other.at, code::WRONG_TYPE, message, "");
            return None;
        }
    };
    wait.quiet_nanos = length(found, "quiet", wait.quiet_nanos, report)?;
    if wait.quiet_nanos > pattern.span_nanos {
        let at = found.get("quiet").map_or(found.at, |quiet| quiet.at);
        let message = format!("quiet is longer than the timespan of {}", timespan::show_nanos(pattern.span_nanos));
        report.add(at, code::BAD_VALUE, message, "a trace is forgotten after its timespan; make that longer");
        return None;
    }
    Some(Some(wait))
}

/// A length of time greater than nothing.
fn length(node: &Node, key: &str, absent: i64, report: &mut Report) -> Option<i64> {
    let Some((text, at)) = text(node, key, report) else { return Some(absent) };
    let nanos = timespan::parse_nanos(&text).filter(|nanos| *nanos > 0);
    if nanos.is_none() {
        let hint = "a whole number and s, m, h or d, as in 10s";
        report.add(at, code::BAD_VALUE, format!("{text:?} is not a length of time"), hint);
    }
    nanos
}

/// `alias`: names for values of steps.
fn aliases(node: &Node, pattern: &mut TracePattern, report: &mut Report) -> Option<Vec<(String, Pick)>> {
    let Some(found) = node.get("alias") else { return Some(Vec::new()) };
    let Some(entries) = found.entries() else {
        let message = format!("alias must be a map, got {}", found.value.type_name());
        report.add(found.at, code::WRONG_TYPE, message, "write it like {culprit: metadata_call.service.name}");
        return None;
    };
    let mut named = Vec::new();
    for (name, of) in entries {
        let Some(text) = of.scalar_text() else {
            report.add(of.at, code::WRONG_TYPE, "an alias stands for a value of a step", "as in call.service.name");
            return None;
        };
        let word = Word { at: of.at, text };
        named.push((name.text.clone(), vec![taken_value(&word, pattern, report)?]));
    }
    Some(named)
}

/// `group-by`: aliases, values of steps, or fields, which the first step that has one gives its value.
fn group(
    node: &Node,
    named: &[(String, Pick)],
    pattern: &mut TracePattern,
    report: &mut Report,
) -> Option<Vec<String>> {
    let mut listed = node.get("group-by").map(|group| texts(group, "group-by", report)).unwrap_or_default();
    if listed.is_empty() {
        listed.push(("trace_id".to_owned(), node.at));
    }
    if let Some((_, at)) = listed.get(super::correlation::KEYS_OF_GROUP) {
        report.add(*at, code::TOO_LARGE, "too many group-by fields", "");
        return None;
    }
    for (name, at) in &listed {
        let alias = named.iter().find(|(known, _)| known == name).map(|(_, pick)| pick.clone());
        let is_of_step =
            pattern.steps.iter().any(|step| name.strip_prefix(step.as_str()).is_some_and(|rest| rest.starts_with('.')));
        let pick = match alias {
            Some(pick) => pick,
            None if is_of_step => vec![taken_value(&Word { at: *at, text: name.clone() }, pattern, report)?],
            None => {
                let taken: Vec<usize> = (0..pattern.steps.len()).filter(|step| !pattern.is_absent(*step)).collect();
                taken.into_iter().map(|step| pattern.field(step, name)).collect()
            }
        };
        pattern.group.push(pick);
    }
    Some(listed.into_iter().map(|(name, _)| name).collect())
}

/// A value of a step that was taken.
fn taken_value(word: &Word, pattern: &mut TracePattern, report: &mut Report) -> Option<(usize, usize)> {
    let (step, slot) = value(word, pattern, report)?;
    if pattern.is_absent(step) {
        let message = format!("{:?} stands under not, so it has no values", pattern.steps[step]);
        report.add(word.at, code::BAD_VALUE, message, "name a step that was taken");
        return None;
    }
    Some((step, slot))
}

/// `step.field`, where the field may have dots of its own.
fn value(word: &Word, pattern: &mut TracePattern, report: &mut Report) -> Option<(usize, usize)> {
    let named =
        |(step, name): (usize, &String)| Some((step, word.text.strip_prefix(name.as_str())?.strip_prefix('.')?));
    let found = pattern.steps.iter().enumerate().filter_map(named).filter(|(_, field)| !field.is_empty());
    let longest_name = found.min_by_key(|(_, field)| field.len()).map(|(step, field)| (step, field.to_owned()));
    let Some((step, field)) = longest_name else {
        let message = format!("{:?} is not a step of this rule, a dot and a field", word.text);
        report.add(word.at, code::UNKNOWN_RULE, message, format!("steps: {}", pattern.steps.join(", ")));
        return None;
    };
    Some(pattern.field(step, &field))
}

fn step(word: &Word, pattern: &TracePattern, report: &mut Report) -> Option<usize> {
    let found = pattern.steps.iter().position(|step| *step == word.text);
    if found.is_none() {
        let known: Vec<&str> = pattern.steps.iter().map(String::as_str).collect();
        let message = format!("{:?} is not a step of this rule", word.text);
        report.add(word.at, code::UNKNOWN_RULE, message, nearest(&word.text, &known));
    }
    found
}

struct Sentence {
    at: Place,
    words: Vec<Word>,
}

struct Word {
    at: Place,
    text: String,
}

/// The texts of a list, or one text, as words with their places.
fn sentences(node: &Node, key: &str, report: &mut Report) -> Option<Vec<Sentence>> {
    let Some(found) = node.get(key) else { return Some(Vec::new()) };
    let single = std::slice::from_ref(found);
    let listed = if let Value::List(items) = &found.value { items.as_slice() } else { single };
    if let Some(extra) = listed.get(DEMANDS) {
        report.add(extra.at, code::TOO_LARGE, format!("more than {DEMANDS} entries in {key}"), "");
        return None;
    }
    let mut sentences = Vec::new();
    for item in listed {
        let Value::Text(text, one_line) = &item.value else {
            let message = format!("{key} must be a list of texts, got {} in it", item.value.type_name());
            report.add(item.at, code::WRONG_TYPE, message, "");
            return None;
        };
        let mut words: Vec<Word> = Vec::new();
        let mut is_open = false;
        for (offset, c) in text.chars().enumerate() {
            match words.last_mut().filter(|_| is_open && !c.is_whitespace()) {
                Some(word) => word.text.push(c),
                None if c.is_whitespace() => is_open = false,
                None => {
                    let column = if *one_line { u32::try_from(offset).unwrap_or(0) } else { 0 };
                    words.push(Word { at: Place { column: item.at.column + column, ..item.at }, text: c.to_string() });
                    is_open = true;
                }
            }
        }
        sentences.push(Sentence { at: item.at, words });
    }
    Some(sentences)
}
