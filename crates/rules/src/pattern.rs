//! Sigma text values: wildcards, escapes and how they match.

use std::fmt::{self, Write as _};

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These very characters.
    Text(String),
    /// `*`: any characters, none included.
    Any,
    /// `?`: exactly one character.
    One,
    /// Any of [`DASHES`].
    Dash,
}

/// What Windows takes for the dash before an option.
pub const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// A text value of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

/// What a pattern comes down to; the cheap shapes are looked up together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// The whole value.
    Exact(String),
    /// `text*`.
    Start(String),
    /// `*text`.
    End(String),
    /// `*text*`.
    Contains(String),
    /// Anything else.
    Glob(Pattern),
}

impl fmt::Display for Pattern {
    /// As a rule writes it: wildcards as they are, plain `*`, `?` and backslashes behind a backslash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Any => f.write_char('*')?,
                Part::One => f.write_char('?')?,
                Part::Dash => f.write_char('-')?,
                Part::Text(text) => {
                    for c in text.chars() {
                        if matches!(c, '*' | '?' | '\\') {
                            f.write_char('\\')?;
                        }
                        f.write_char(c)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Pattern {
    /// The pieces, in order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Reads a Sigma value: `*` and `?` are wildcards, a backslash makes the next `*`, `?` or backslash plain.
    pub fn parse(text: &str) -> Self {
        let mut pattern = Self(Vec::new());
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => plain.push(chars.next_if(|next| matches!(next, '*' | '?' | '\\')).unwrap_or('\\')),
                '*' | '?' => {
                    pattern.push(Part::Text(std::mem::take(&mut plain)));
                    pattern.push(if c == '*' { Part::Any } else { Part::One });
                }
                other => plain.push(other),
            }
        }
        pattern.push(Part::Text(plain));
        pattern
    }

    /// A pattern without wildcards.
    pub fn plain(text: String) -> Self {
        let mut pattern = Self(Vec::new());
        pattern.push(Part::Text(text));
        pattern
    }

    /// The text, when there is no wildcard in it.
    pub fn as_plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The same pattern with anything allowed before or after it.
    pub fn open(mut self, before: bool, after: bool) -> Self {
        if before && self.0.first() != Some(&Part::Any) {
            self.0.insert(0, Part::Any);
        }
        if after && self.0.last() != Some(&Part::Any) {
            self.0.push(Part::Any);
        }
        self
    }

    /// The same pattern in ASCII lower case.
    pub fn lower(mut self) -> Self {
        for part in &mut self.0 {
            if let Part::Text(text) = part {
                text.make_ascii_lowercase();
            }
        }
        self
    }

    /// Replaces the text parts; used by modifiers that rewrite text and keep wildcards.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        self.0.iter_mut().filter_map(|part| if let Part::Text(text) = part { Some(text) } else { None })
    }

    /// The text parts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
    }

    /// The same pattern with any dash at these places, given as the number of the text part and the offset in it.
    pub fn with_any_dash(self, spots: &[(usize, usize)]) -> Self {
        let mut dashed = Self(Vec::new());
        let mut number = 0;
        for part in self.0 {
            let Part::Text(text) = part else {
                dashed.push(part);
                continue;
            };
            let mut from = 0;
            for (_, at) in spots.iter().filter(|(of, _)| *of == number) {
                dashed.push(Part::Text(text.get(from..*at).unwrap_or_default().to_owned()));
                dashed.push(Part::Dash);
                from = at + 1;
            }
            dashed.push(Part::Text(text.get(from..).unwrap_or_default().to_owned()));
            number += 1;
        }
        dashed
    }

    /// The cheapest equivalent shape.
    pub fn shape(self) -> Shape {
        match self.0.as_slice() {
            [] => Shape::Exact(String::new()),
            [Part::Text(text)] => Shape::Exact(text.clone()),
            [Part::Text(text), Part::Any] => Shape::Start(text.clone()),
            [Part::Any, Part::Text(text)] => Shape::End(text.clone()),
            [Part::Any, Part::Text(text), Part::Any] => Shape::Contains(text.clone()),
            _ => Shape::Glob(self),
        }
    }

    /// Whether the whole of `text` matches. Linear in text times the number of segments.
    pub fn matches(&self, text: &str) -> bool {
        let segments: Vec<&[Part]> = self.0.split(|part| *part == Part::Any).collect();
        let (first, middle, last) = match segments.as_slice() {
            [] => return text.is_empty(),
            [only] => return eat(only, text) == Some(""),
            [first, middle @ .., last] => (first, middle, last),
        };
        let Some(mut rest) = eat(first, text) else { return false };
        for segment in middle {
            match find(segment, rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        last.is_empty() || starts(rest).any(|at| eat(last, &rest[at..]) == Some(""))
    }

    fn push(&mut self, part: Part) {
        let skip = match &part {
            Part::Text(text) => text.is_empty(),
            Part::Any => self.0.last() == Some(&Part::Any),
            Part::One | Part::Dash => false,
        };
        if !skip {
            self.0.push(part);
        }
    }
}

/// What remains of `text` after a segment at its beginning.
fn eat<'t>(segment: &[Part], text: &'t str) -> Option<&'t str> {
    segment.iter().try_fold(text, |rest, part| match part {
        Part::Text(expected) => rest.strip_prefix(expected.as_str()),
        Part::One => {
            let mut chars = rest.chars();
            chars.next().map(|_| chars.as_str())
        }
        Part::Dash => rest.strip_prefix(DASHES),
        Part::Any => Some(rest),
    })
}

/// What remains of `text` after the leftmost occurrence of a segment.
fn find<'t>(segment: &[Part], text: &'t str) -> Option<&'t str> {
    starts(text).find_map(|at| eat(segment, &text[at..]))
}

fn starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.char_indices().map(|(at, _)| at).chain(std::iter::once(text.len()))
}

#[cfg(test)]
mod tests;
