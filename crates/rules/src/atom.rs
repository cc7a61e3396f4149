//! One question about one field, asked once per distinct value of a batch.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashSet;

use ipnet::IpNet;
use regex::Regex;

use crate::pattern::{Pattern, Shape};
use crate::time_part::TimePart;

/// A question: where to look, what for. Two atoms with one `canonical` text are the same atom.
#[derive(Debug)]
pub struct Atom {
    /// The field; `None` looks at every value of the event, as keywords do.
    pub field: Option<String>,
    /// What its value must be.
    pub test: Test,
    /// Names the atom among all rules.
    pub canonical: String,
}

/// What a value must be.
#[derive(Debug)]
pub enum Test {
    /// There is a value.
    Exists,
    /// One of these texts or numbers.
    AnyOf(Box<AnyOf>),
    /// A number in this relation.
    Compare(Relation, f64),
    /// Text in which one of these is found.
    Regex(Vec<Regex>),
    /// An address inside one of these networks.
    Cidr(Vec<IpNet>),
    /// A part of a time in this relation.
    Part(TimePart, Relation, f64),
    /// The same as another field's value in the same event.
    SameAs { other: String, anchor: Anchor, cased: bool },
}

/// Order relations of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Equal.
    Eq,
    /// Different.
    Neq,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 6] = [Self::Gt, Self::Gte, Self::Lt, Self::Lte, Self::Eq, Self::Neq];

    /// The name in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Eq => "eq",
            Self::Neq => "neq",
        }
    }

    /// As people read it before a number.
    pub fn words(self) -> &'static str {
        match self {
            Self::Gt => "more than",
            Self::Gte => "at least",
            Self::Lt => "less than",
            Self::Lte => "at most",
            Self::Eq => "exactly",
            Self::Neq => "other than",
        }
    }

    /// Whether `left` stands in this relation to `right`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Gt => left > right,
            Self::Gte => left >= right,
            Self::Lt => left < right,
            Self::Lte => left <= right,
            Self::Eq => left == right,
            Self::Neq => left != right,
        }
    }
}

/// Where in a value a text must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anchor {
    /// It is the whole value.
    #[default]
    Whole,
    /// Anywhere.
    Contains,
    /// At the beginning.
    Start,
    /// At the end.
    End,
}

impl Anchor {
    /// Whether `text` stands there in `value`.
    pub fn holds(self, value: &str, text: &str) -> bool {
        match self {
            Self::Whole => value == text,
            Self::Contains => value.contains(text),
            Self::Start => value.starts_with(text),
            Self::End => value.ends_with(text),
        }
    }
}

/// A value of a batch, its text prepared for comparison when first needed.
#[derive(Debug)]
pub struct Cell<'b> {
    text: Cow<'b, str>,
    lower: OnceCell<Option<Box<str>>>,
}

impl<'b> Cell<'b> {
    /// A cell with this text.
    pub fn new(text: impl Into<Cow<'b, str>>) -> Self {
        Self { text: text.into(), lower: OnceCell::new() }
    }

    /// The text as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text in ASCII lower case.
    pub fn lower(&self) -> &str {
        let lower = self.lower.get_or_init(|| {
            let has_upper = self.text.bytes().any(|byte| byte.is_ascii_uppercase());
            has_upper.then(|| self.text.to_ascii_lowercase().into_boxed_str())
        });
        lower.as_deref().unwrap_or(&self.text)
    }

    /// The value as a number, when its text reads as one.
    pub fn number(&self) -> Option<f64> {
        let text = self.text.trim();
        let plausible = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
        if plausible { text.parse().ok() } else { None }
    }
}

/// Texts and numbers of which one must match, by the place where a text must stand.
#[derive(Debug, Default)]
pub struct AnyOf {
    /// Upper and lower case differ; otherwise the texts are in ASCII lower case.
    pub cased: bool,
    /// The texts as they were written, for those who explain or convert a rule.
    pub written: Vec<Pattern>,
    pub exact: HashSet<String>,
    pub contains: Vec<String>,
    pub starts: Vec<String>,
    pub ends: Vec<String>,
    pub globs: Vec<Pattern>,
    pub numbers: Vec<f64>,
}

impl AnyOf {
    /// Sorts patterns by what they come down to.
    pub fn new(patterns: Vec<Pattern>, numbers: Vec<f64>, cased: bool) -> Self {
        let mut any = Self { cased, numbers, written: patterns.clone(), ..Self::default() };
        for pattern in patterns {
            let pattern = if cased { pattern } else { pattern.lower() };
            match pattern.shape() {
                Shape::Exact(text) => drop(any.exact.insert(text)),
                Shape::Start(text) => any.starts.push(text),
                Shape::End(text) => any.ends.push(text),
                Shape::Contains(text) => any.contains.push(text),
                Shape::Glob(pattern) => any.globs.push(pattern),
            }
        }
        any
    }

    /// Whether only whole values are looked up: the cheapest question there is.
    pub fn is_exact(&self) -> bool {
        self.contains.is_empty() && self.starts.is_empty() && self.ends.is_empty() && self.globs.is_empty()
    }
}

impl Test {
    /// A rank of what the test costs per value: cheap ones are asked first.
    pub fn cost(&self) -> u8 {
        match self {
            Self::Exists => 0,
            Self::AnyOf(any) if any.is_exact() => 1,
            Self::Compare(..) | Self::Cidr(_) => 2,
            Self::AnyOf(_) => 3,
            Self::SameAs { .. } | Self::Part(..) => 4,
            Self::Regex(_) => 5,
        }
    }
}
