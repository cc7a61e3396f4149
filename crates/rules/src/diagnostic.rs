//! What is wrong with a rule file, with the place and a way out.

use std::fmt;

/// One fault of a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
    /// A stable word for the kind of fault, as in `unknown-key`.
    pub code: &'static str,
    /// What is wrong, one lowercase sentence.
    pub message: String,
    /// What to do about it; empty when the message says it all.
    pub hint: String,
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: message [code] (hint)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {} [{}]", self.file, self.line, self.column, self.message, self.code)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " ({})", self.hint) }
    }
}

/// The codes, each written once.
pub mod code {
    /// The text is not YAML.
    pub const YAML: &str = "yaml";
    /// A file, list or nesting is larger than allowed.
    pub const TOO_LARGE: &str = "too-large";
    /// A key that has no meaning here.
    pub const UNKNOWN_KEY: &str = "unknown-key";
    /// The same key twice in one map.
    pub const DUPLICATE_KEY: &str = "duplicate-key";
    /// A required key is absent.
    pub const MISSING_KEY: &str = "missing-key";
    /// A value of another type than the key takes.
    pub const WRONG_TYPE: &str = "wrong-type";
    /// A value outside the values the key takes.
    pub const BAD_VALUE: &str = "bad-value";
    /// A modifier that does not exist, or not in this combination.
    pub const BAD_MODIFIER: &str = "bad-modifier";
    /// A regular expression that does not compile.
    pub const BAD_REGEX: &str = "bad-regex";
    /// A condition that does not parse.
    pub const BAD_CONDITION: &str = "bad-condition";
    /// A condition that names a selection that does not exist.
    pub const UNKNOWN_SELECTION: &str = "unknown-selection";
    /// A correlation type that does not exist.
    pub const UNKNOWN_TYPE: &str = "unknown-type";
    /// A correlation that refers to a rule that does not exist.
    pub const UNKNOWN_RULE: &str = "unknown-rule";
    /// Correlations that refer to each other in a circle.
    pub const CYCLE: &str = "cycle";
    /// Two rules with one id or name.
    pub const DUPLICATE_RULE: &str = "duplicate-rule";
}

/// A place in a rule file: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    pub line: u32,
    pub column: u32,
}

/// Collects the faults of one file.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    found: Vec<Diagnostic>,
}

/// More faults than this are not listed: the first ones explain the rest.
const FAULTS_LISTED: usize = 100;

impl Report {
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    pub fn add(&mut self, at: Place, code: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        if self.found.len() < FAULTS_LISTED {
            self.found.push(Diagnostic {
                file: self.file.clone(),
                line: at.line.max(1),
                column: at.column.max(1),
                code,
                message: message.into(),
                hint: hint.into(),
            });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn into_found(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|fault| (fault.line, fault.column));
        self.found
    }
}
