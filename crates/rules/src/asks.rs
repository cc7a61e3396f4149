//! What an atom asks, as people read it.

use std::fmt::{self, Write as _};

use crate::atom::{Anchor, AnyOf, Test};
use crate::pattern::{Pattern, Shape};

/// Values named; more are counted.
const VALUES_NAMED: usize = 8;

impl fmt::Display for Test {
    /// As in `is "/login"`, `contains "a" or contains "b"`, `is at least 400`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("is there"),
            Self::AnyOf(any) => any.fmt(f),
            Self::Compare(relation, right) => write!(f, "is {} {right}", relation.words()),
            Self::Regex(expressions) => {
                f.write_str("matches ")?;
                list(f, expressions.iter().map(|regex| format!("/{}/", regex.as_str())), expressions.len())
            }
            Self::Cidr(networks) => {
                f.write_str("lies in ")?;
                list(f, networks.iter().map(ToString::to_string), networks.len())
            }
            Self::Part(part, relation, right) => {
                write!(f, "has, as a time, a {} that is {} {right}", part.as_str(), relation.words())
            }
            Self::SameAs { other, anchor, cased } => {
                write!(f, "{} the value of {other}{}", verb(*anchor), if *cased { ", case counts" } else { "" })
            }
        }
    }
}

impl fmt::Display for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.written.iter().map(|pattern| {
            let (anchor, text) = parts(pattern);
            format!("{} {text}", verb(anchor))
        });
        list(f, texts, self.written.len())?;
        if self.cased { f.write_str(", case counts") } else { Ok(()) }
    }
}

fn verb(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Whole => "is",
        Anchor::Contains => "contains",
        Anchor::Start => "starts with",
        Anchor::End => "ends with",
    }
}

/// Where a text must stand, and the text in quotes; wildcards stay where no anchor says them.
fn parts(pattern: &Pattern) -> (Anchor, String) {
    let quoted = |text: String| format!("{text:?}");
    match pattern.clone().shape() {
        Shape::Exact(text) => (Anchor::Whole, quoted(text)),
        Shape::Start(text) => (Anchor::Start, quoted(text)),
        Shape::End(text) => (Anchor::End, quoted(text)),
        Shape::Contains(text) => (Anchor::Contains, quoted(text)),
        Shape::Glob(pattern) => (Anchor::Whole, quoted(pattern.to_string())),
    }
}

fn list(f: &mut fmt::Formatter<'_>, values: impl Iterator<Item = String>, count: usize) -> fmt::Result {
    let mut text = String::new();
    for (number, value) in values.take(VALUES_NAMED).enumerate() {
        if number > 0 {
            text.push_str(" or ");
        }
        text.push_str(&value);
    }
    if count > VALUES_NAMED {
        write!(text, " or {} more", count - VALUES_NAMED)?;
    }
    f.write_str(&text)
}
