//! What an operator may say about redaction.

use super::action::Action;

/// Most rules by key.
pub const MAX_KEYS: usize = 256;
/// Most patterns of the operator's own.
pub const MAX_VALUES: usize = 32;
/// Most entries of the allow-list.
pub const MAX_ALLOWED: usize = 1_024;
/// Longest key pattern or regular expression, in bytes.
pub const MAX_PATTERN_BYTES: usize = 256;

/// A policy as it was written, not yet checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether the shipped rules apply after the ones below.
    pub defaults: bool,
    /// Rules by attribute key; the first that matches holds.
    pub keys: Vec<KeyRule>,
    /// What becomes of what a built-in value pattern finds, by the pattern's name.
    pub patterns: Vec<(String, String)>,
    /// Value patterns of the operator's own.
    pub values: Vec<ValueRule>,
    /// The only keys that keep their values; empty switches the mode off. `body` stands for bodies of log records.
    pub allow_list: Vec<String>,
    /// What becomes of a value whose key is not on the allow-list.
    pub allow_list_action: String,
}

/// What becomes of the attributes of some keys.
#[derive(Debug, Clone)]
pub struct KeyRule {
    /// A key, or a glob with `*`. Case does not count, and `-`, `_` and `.` are the same.
    pub matches: String,
    /// `drop`, `mask`, `token` or `leave`.
    pub action: String,
}

/// What becomes of the part of a text that a regular expression finds.
#[derive(Debug, Clone)]
pub struct ValueRule {
    /// What it is called in errors.
    pub name: String,
    /// In the syntax of the `regex` crate.
    pub regex: String,
    /// `drop`, `mask` or `token`.
    pub action: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            defaults: true,
            keys: Vec::new(),
            patterns: Vec::new(),
            values: Vec::new(),
            allow_list: Vec::new(),
            allow_list_action: Action::Mask.as_str().to_owned(),
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {problem}")]
pub struct PolicyError {
    /// Section and key.
    pub key: &'static str,
    /// What is allowed, and what was given.
    pub problem: String,
}

/// An error that names the setting.
pub(super) fn wrong<T>(key: &'static str, problem: String) -> Result<T, PolicyError> {
    Err(PolicyError { key, problem })
}
