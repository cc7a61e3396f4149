//! The section `[redaction]`: what is taken out of requests before they are kept.

use std::collections::BTreeMap;
use std::path::PathBuf;

use collect::redaction::{self, MasterKey, Policy};
use serde::{Deserialize, Serialize};

use super::resolved::{SettingsError, secret, wrong};

/// What is taken out of requests before they are kept. docs/guides/redaction.md has examples.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redaction {
    /// Without it everything is kept as it came.
    pub enabled: bool,
    /// The shipped rules, after the ones below.
    pub defaults: bool,
    /// File with the key of all tokens, at least 32 bytes; `redaction-key` in the data directory when absent.
    pub key_file: Option<PathBuf>,
    /// The only keys that keep their values, `*` for any part; empty switches the mode off.
    pub allow_list: Vec<String>,
    /// What becomes of values whose keys are not on that list: `mask`, `drop` or `token`.
    pub allow_list_action: String,
    /// Built-in patterns by name, with `mask`, `drop`, `token` or `leave`.
    pub patterns: BTreeMap<String, String>,
    /// Rules by attribute key; the first that matches holds.
    pub keys: Vec<KeyRule>,
    /// Patterns of one's own.
    pub values: Vec<ValueRule>,
}

/// What becomes of the attributes of some keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRule {
    /// A key, `*` for any part. Case does not count, and `-`, `_` and `.` are the same.
    #[serde(rename = "match")]
    pub matches: String,
    /// `mask`, `drop`, `token` or `leave`.
    pub action: String,
}

/// What becomes of what a regular expression finds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueRule {
    /// What it is called in errors.
    pub name: String,
    /// In the syntax of Rust's `regex`; the whole match is replaced.
    pub regex: String,
    /// `mask`, `drop` or `token`.
    pub action: String,
}

impl Default for Redaction {
    fn default() -> Self {
        let redaction::Settings { defaults, allow_list_action, .. } = redaction::Settings::default();
        Self {
            enabled: true,
            defaults,
            key_file: None,
            allow_list: Vec::new(),
            allow_list_action,
            patterns: BTreeMap::new(),
            keys: Vec::new(),
            values: Vec::new(),
        }
    }
}

/// A policy that was checked, and its key if one was given.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The rules.
    pub settings: redaction::Settings,
    /// The key of the file that was named.
    pub key: Option<MasterKey>,
}

impl Redaction {
    /// Checks the rules and reads the key; `None` when redaction is off.
    ///
    /// # Errors
    /// Names the key and the value that cannot be used.
    pub(super) fn plan(&self) -> Result<Option<Plan>, SettingsError> {
        if !self.enabled {
            return Ok(None);
        }
        let key = self.key()?;
        let settings = self.policy();
        let stand_in = MasterKey::new(&[0; MasterKey::MIN_BYTES]).expect("is long enough");
        match Policy::compile(&settings, stand_in) {
            Ok(_) => Ok(Some(Plan { settings, key })),
            Err(error) => wrong(error.key, error.problem),
        }
    }

    fn key(&self) -> Result<Option<MasterKey>, SettingsError> {
        let Some(file) = &self.key_file else { return Ok(None) };
        let text = secret("redaction.key_file", file)?;
        match MasterKey::new(text.as_bytes()) {
            Some(key) => Ok(Some(key)),
            None => wrong(
                "redaction.key_file",
                format!("must hold at least {} bytes, got {}", MasterKey::MIN_BYTES, text.len()),
            ),
        }
    }

    fn policy(&self) -> redaction::Settings {
        let key_rule =
            |rule: &KeyRule| redaction::KeyRule { matches: rule.matches.clone(), action: rule.action.clone() };
        let value_rule = |rule: &ValueRule| redaction::ValueRule {
            name: rule.name.clone(),
            regex: rule.regex.clone(),
            action: rule.action.clone(),
        };
        redaction::Settings {
            defaults: self.defaults,
            keys: self.keys.iter().map(key_rule).collect(),
            patterns: self.patterns.clone().into_iter().collect(),
            values: self.values.iter().map(value_rule).collect(),
            allow_list: self.allow_list.clone(),
            allow_list_action: self.allow_list_action.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
