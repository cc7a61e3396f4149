//! What is wrong with a rule file, with the place and a way out.

use std::fmt;

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gravity {
    /// The text is refused.
    Error,
    /// The text is in use; something about it is likely not meant.
    Warning,
}

impl Gravity {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One remark on a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the text is refused for it.
    pub gravity: Gravity,
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
    /// `file:line:column: message [code] (hint)`; a warning says so before its message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gravity = if self.gravity == Gravity::Warning { "warning: " } else { "" };
        write!(f, "{}:{}:{}: {gravity}{} [{}]", self.file, self.line, self.column, self.message, self.code)?;
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
    /// A placeholder that no pipeline gives values to.
    pub const UNSET_PLACEHOLDER: &str = "unset-placeholder";
    /// A pipeline refuses the rule.
    pub const REFUSED: &str = "refused-by-pipeline";
    /// Warning: a log source that no pipeline maps, so that the rule is never evaluated.
    pub const UNMAPPED: &str = "unmapped-log-source";
    /// Warning: a key at the top of a rule that has no meaning here.
    pub const CUSTOM_KEY: &str = "custom-key";
    /// Warning: something Sigma advises against, or that is likely not meant.
    pub const STYLE: &str = "style";
    /// Warning: a filter that applies to none of the rules it names.
    pub const IDLE_FILTER: &str = "idle-filter";
}

/// A place in a rule file: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    pub line: u32,
    pub column: u32,
}

/// Collects the faults of one file, the warnings beside them, and what its regular expressions take.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    found: Vec<Diagnostic>,
    warned: Vec<Diagnostic>,
    regex_bytes: usize,
}

/// More faults than this are not listed: the first ones explain the rest.
const FAULTS_LISTED: usize = 100;

impl Report {
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new(), warned: Vec::new(), regex_bytes: 0 }
    }

    /// A fault: the file is refused.
    pub fn add(&mut self, at: Place, code: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        if self.found.len() < FAULTS_LISTED {
            self.found.push(self.diagnostic(Gravity::Error, at, code, message.into(), hint.into()));
        }
    }

    /// A warning: the file is taken.
    pub fn warn(&mut self, at: Place, code: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        if self.warned.len() < FAULTS_LISTED {
            self.warned.push(self.diagnostic(Gravity::Warning, at, code, message.into(), hint.into()));
        }
    }

    /// Books memory of a compiled regular expression; `false` when the file would take more than `limit`.
    pub fn spend_regex(&mut self, bytes: usize, limit: usize) -> bool {
        let spent = self.regex_bytes.saturating_add(bytes);
        let is_within = spent <= limit;
        if is_within {
            self.regex_bytes = spent;
        }
        is_within
    }

    /// What the regular expressions of the file may take at most, once compiled.
    pub fn regex_bytes(&self) -> usize {
        self.regex_bytes
    }

    /// Whether there is no fault.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The warnings, in the order of the file; none the second time.
    pub fn take_warnings(&mut self) -> Vec<Diagnostic> {
        let mut warned = std::mem::take(&mut self.warned);
        warned.sort_by_key(|warning| (warning.line, warning.column));
        warned
    }

    fn diagnostic(&self, gravity: Gravity, at: Place, code: &'static str, message: String, hint: String) -> Diagnostic {
        let (line, column) = (at.line.max(1), at.column.max(1));
        Diagnostic { gravity, file: self.file.clone(), line, column, code, message, hint }
    }

    pub fn into_found(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|fault| (fault.line, fault.column));
        self.found
    }
}
