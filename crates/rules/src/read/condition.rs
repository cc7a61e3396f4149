//! The condition language: `and`, `or`, `not`, parentheses, `1 of x*`, `all of x*`, `2 of them`, `all of them`.

use crate::diagnostic::{Place, Report, code};
use crate::expression::Expression;
use crate::yaml::{Node, Value};

const DEPTH: usize = 64;
const TOKENS: usize = 2_000;
/// `2 of x*` becomes all ways to choose two; more ways than this are refused.
const COMBINATIONS: usize = 1_000;

/// Parses a condition over named parts; `None` after reporting.
pub fn parse<A: Clone>(node: &Node, parts: &[(String, Expression<A>)], report: &mut Report) -> Option<Expression<A>> {
    let Value::Text(text, one_line) = &node.value else {
        let message = format!("a condition must be text, got {}", node.value.type_name());
        report.add(node.at, code::WRONG_TYPE, message, "");
        return None;
    };
    let place = |offset: usize| {
        let column = if *one_line { node.at.column + u32::try_from(offset).unwrap_or(0) } else { node.at.column };
        Place { line: node.at.line, column }
    };
    let parsed = tokens(text).and_then(|tokens| {
        let mut parser = Parser { tokens: &tokens, next: 0, end: text.len(), parts, depth: 0 };
        let expression = parser.or()?;
        match parser.peek() {
            None => Ok(expression),
            Some((offset, found)) => Err(Fault::new(
                offset,
                code::BAD_CONDITION,
                format!("{found:?} cannot follow here"),
                "join parts with and, or",
            )),
        }
    });
    parsed.map_err(|fault| report.add(place(fault.offset), fault.code, fault.message, fault.hint)).ok()
}

struct Fault {
    offset: usize,
    code: &'static str,
    message: String,
    hint: String,
}

impl Fault {
    fn new(offset: usize, code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { offset, code, message: message.into(), hint: hint.into() }
    }
}

/// Words and parentheses with their offsets in characters.
fn tokens(text: &str) -> Result<Vec<(usize, String)>, Fault> {
    let mut tokens: Vec<(usize, String)> = Vec::new();
    let mut is_open = false;
    for (offset, c) in text.chars().enumerate() {
        match c {
            '(' | ')' => {
                tokens.push((offset, c.to_string()));
                is_open = false;
            }
            '|' => {
                let hint = "write a correlation rule: event_count, value_count";
                return Err(Fault::new(offset, code::BAD_CONDITION, "aggregations left Sigma with version 2", hint));
            }
            c if c.is_whitespace() => is_open = false,
            c => match tokens.last_mut() {
                Some((_, word)) if is_open => word.push(c),
                _ => {
                    tokens.push((offset, c.to_string()));
                    is_open = true;
                }
            },
        }
    }
    if tokens.len() > TOKENS {
        return Err(Fault::new(0, code::TOO_LARGE, format!("a condition of more than {TOKENS} words"), ""));
    }
    Ok(tokens)
}

struct Parser<'p, A> {
    tokens: &'p [(usize, String)],
    next: usize,
    end: usize,
    parts: &'p [(String, Expression<A>)],
    depth: usize,
}

impl<'p, A: Clone> Parser<'p, A> {
    fn peek(&self) -> Option<(usize, &'p str)> {
        self.tokens.get(self.next).map(|(offset, word)| (*offset, word.as_str()))
    }

    fn take_word(&mut self, expected: &str) -> bool {
        let found = self.peek().is_some_and(|(_, word)| word.eq_ignore_ascii_case(expected));
        self.next += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Expression<A>, Fault> {
        let mut parts = vec![self.and()?];
        while self.take_word("or") {
            parts.push(self.and()?);
        }
        Ok(Expression::any(parts))
    }

    fn and(&mut self) -> Result<Expression<A>, Fault> {
        let mut parts = vec![self.unary()?];
        while self.take_word("and") {
            parts.push(self.unary()?);
        }
        Ok(Expression::all(parts))
    }

    fn unary(&mut self) -> Result<Expression<A>, Fault> {
        let Some((offset, word)) = self.peek() else {
            return Err(Fault::new(self.end, code::BAD_CONDITION, "the condition ends too early", "name a selection"));
        };
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::new(offset, code::TOO_LARGE, format!("nested deeper than {DEPTH} levels"), ""));
        }
        self.next += 1;
        let parsed = match word {
            "(" => {
                let inner = self.or()?;
                if !self.take_word(")") {
                    return Err(Fault::new(offset, code::BAD_CONDITION, "a parenthesis is not closed", "add )"));
                }
                inner
            }
            ")" => return Err(Fault::new(offset, code::BAD_CONDITION, "a parenthesis closes nothing", "remove it")),
            word if word.eq_ignore_ascii_case("not") => Expression::not(self.unary()?),
            word if is_quantifier(word) && self.take_word("of") => self.quantified(offset, word)?,
            word if ["and", "or", "of"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) => {
                let message = format!("{word:?} stands where a selection must");
                return Err(Fault::new(offset, code::BAD_CONDITION, message, "name a selection"));
            }
            word => self.named(offset, word)?,
        };
        self.depth -= 1;
        Ok(parsed)
    }

    fn named(&self, offset: usize, name: &str) -> Result<Expression<A>, Fault> {
        let found = self.parts.iter().find(|(found, _)| found == name);
        found.map(|(_, expression)| expression.clone()).ok_or_else(|| {
            let message = format!("the condition names {name:?}, which does not exist");
            Fault::new(offset, code::UNKNOWN_SELECTION, message, self.known(name))
        })
    }

    fn quantified(&mut self, start: usize, quantifier: &str) -> Result<Expression<A>, Fault> {
        let Some((offset, pattern)) = self.peek() else {
            let hint = "as in 1 of selection_*, all of them";
            return Err(Fault::new(self.end, code::BAD_CONDITION, "\"of\" must be followed by a name", hint));
        };
        self.next += 1;
        let chosen: Vec<Expression<A>> = self
            .parts
            .iter()
            .filter(|(name, _)| match pattern {
                // selections that begin with an underscore are meant only when the pattern says so
                pattern if name.starts_with('_') && !pattern.starts_with('_') => false,
                pattern if pattern.eq_ignore_ascii_case("them") => true,
                pattern => crate::pattern::Pattern::parse(pattern).matches(name),
            })
            .map(|(_, expression)| expression.clone())
            .collect();
        if chosen.is_empty() {
            let message = format!("no selection is named like {pattern:?}");
            return Err(Fault::new(offset, code::UNKNOWN_SELECTION, message, self.known(pattern)));
        }
        match quantifier.to_ascii_lowercase().as_str() {
            "all" => Ok(Expression::all(chosen)),
            "1" | "any" => Ok(Expression::any(chosen)),
            number => {
                let wanted = number.parse::<usize>().unwrap_or(usize::MAX);
                if wanted == 0 || wanted > chosen.len() {
                    let message = format!("{number} of {pattern} can never hold: it names {} selections", chosen.len());
                    return Err(Fault::new(
                        start,
                        code::BAD_CONDITION,
                        message,
                        "write 1 of, all of or a number between",
                    ));
                }
                at_least(wanted, &chosen).ok_or_else(|| {
                    let message = format!("there are more than {COMBINATIONS} ways to choose {number} of {pattern}");
                    Fault::new(start, code::TOO_LARGE, message, "name fewer selections")
                })
            }
        }
    }

    fn known(&self, found: &str) -> String {
        let names: Vec<&str> = self.parts.iter().map(|(name, _)| name.as_str()).collect();
        super::nearest(found, &names)
    }
}

/// At least so many of the parts: some choice of them holds. `None` when there are too many choices.
fn at_least<A: Clone>(wanted: usize, parts: &[Expression<A>]) -> Option<Expression<A>> {
    let mut choices: Vec<Vec<usize>> = vec![Vec::new()];
    for taken in 0..wanted {
        let mut longer = Vec::new();
        for choice in &choices {
            let next = choice.last().map_or(0, |last| last + 1);
            // what is still to choose must fit behind
            let end = parts.len() + taken + 1 - wanted;
            longer.extend((next..end).map(|part| choice.iter().copied().chain([part]).collect::<Vec<_>>()));
            if longer.len() > COMBINATIONS {
                return None;
            }
        }
        choices = longer;
    }
    let all = |choice: Vec<usize>| Expression::all(choice.into_iter().map(|part| parts[part].clone()).collect());
    Some(Expression::any(choices.into_iter().map(all).collect()))
}

fn is_quantifier(word: &str) -> bool {
    word.eq_ignore_ascii_case("all") || word.eq_ignore_ascii_case("any") || word.bytes().all(|b| b.is_ascii_digit())
}
