//! Rules and their files.

use pipeline::detect::Tally;
use pipeline::shelf::RuleFile as File;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is wrong with a rule file, and where.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Diagnostic {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// A stable word for the kind of fault.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty when the message says it all.
    pub hint: String,
    /// `error`: the text is refused. `warning`: it is taken.
    pub severity: &'static str,
}

impl From<&rules::Diagnostic> for Diagnostic {
    fn from(fault: &rules::Diagnostic) -> Self {
        Self {
            file: fault.file.clone(),
            line: fault.line,
            column: fault.column,
            code: fault.code.to_owned(),
            message: fault.message.clone(),
            hint: fault.hint.clone(),
            severity: fault.gravity.as_str(),
        }
    }
}

/// A rule, or a file that has never been valid.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rule {
    /// Sigma id or name, stable across edits; the file name for a file that has never been valid.
    pub id: String,
    /// Title.
    pub title: String,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    pub level: String,
    /// `event`, `filter`, or the correlation type, as in `value_count`; `pipeline` for a file that says how rules are
    /// read; `unknown` for a file that has never been valid.
    pub kind: String,
    /// `active`: in force. `disabled`: it cost too much; edit it or enable it again. `invalid`: its file has never been
    /// valid.
    pub status: &'static str,
    /// Why it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_because: Option<String>,
    /// The file it stands in.
    pub file: String,
    /// Hash of what the rule means; changes when an edit changes its verdicts.
    pub version: String,
    /// Tags, as in `attack.t1110.004`.
    pub tags: Vec<String>,
    /// Description.
    pub description: String,
    /// Author.
    pub author: String,
    /// Raises no alerts of its own, because a correlation refers to it.
    pub silent: bool,
    /// Its log source is one that spans or log records come from; otherwise it is never evaluated.
    pub mapped: bool,
    /// Detections since the server started.
    pub matches: u64,
    /// What is wrong with the text of the file; the rule in force is then from the last valid text.
    pub diagnostics: Vec<Diagnostic>,
}

/// A rule file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleFile {
    /// Its name: a path relative to the rules folder.
    pub file: String,
    /// Its text, which may be an invalid edit made on disk.
    pub text: String,
    /// Changes with every edit; give it back as `If-Match`.
    pub etag: String,
    /// The rules in force from this file.
    pub rules: Vec<Rule>,
    /// What is wrong with the text; empty when it is in force.
    pub diagnostics: Vec<Diagnostic>,
    /// What is likely not meant in the text in force.
    pub warnings: Vec<Diagnostic>,
}

/// What became of a validation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleCheck {
    /// Whether the text could be saved.
    pub valid: bool,
    /// The rules it would bring.
    pub rules: Vec<Rule>,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    /// What is likely not meant in it, though it could be saved.
    pub warnings: Vec<Diagnostic>,
}

/// A text to validate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleCheckRequest {
    /// The file it would be saved as, so that references among files are checked; absent for a new one.
    pub file: Option<String>,
    /// YAML, at most 512 KiB.
    pub text: String,
}

/// A text to save.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSaveRequest {
    /// YAML, at most 512 KiB.
    pub text: String,
}

impl Rule {
    /// A rule in force, or that would be.
    pub(crate) fn of(rule: &rules::RuleSummary, tally: &Tally, diagnostics: &[Diagnostic]) -> Self {
        let disabled_because = tally.stopped(&rule.info.id);
        Self {
            id: rule.info.id.clone(),
            title: rule.info.title.clone(),
            level: rule.info.level.to_string(),
            kind: rule.kind.to_owned(),
            status: if disabled_because.is_some() { "disabled" } else { "active" },
            disabled_because,
            file: rule.file.clone(),
            version: rule.info.version.clone(),
            tags: rule.info.tags.clone(),
            description: rule.info.description.clone(),
            author: rule.info.author.clone(),
            silent: rule.silent,
            mapped: rule.is_mapped,
            matches: tally.of(&rule.info.id),
            diagnostics: diagnostics.to_vec(),
        }
    }

    /// The rules of a file; one entry that stands for the file when it holds pipelines, or has nothing in force.
    pub(crate) fn all_of(file: &File, tally: &Tally) -> Vec<Self> {
        let diagnostics: Vec<_> = file.diagnostics.iter().map(Diagnostic::from).collect();
        if !file.rules.is_empty() || (diagnostics.is_empty() && file.pipelines.is_empty()) {
            return file.rules.iter().map(|rule| Self::of(rule, tally, &diagnostics)).collect();
        }
        let is_in_force = !file.pipelines.is_empty();
        vec![Self {
            id: file.name.clone(),
            title: if is_in_force { file.pipelines.join(", ") } else { file.name.clone() },
            level: model::Severity::default().to_string(),
            kind: if is_in_force { "pipeline" } else { "unknown" }.to_owned(),
            status: if is_in_force { "active" } else { "invalid" },
            disabled_because: None,
            file: file.name.clone(),
            version: String::new(),
            tags: Vec::new(),
            description: String::new(),
            author: String::new(),
            silent: true,
            mapped: true,
            matches: 0,
            diagnostics,
        }]
    }
}

impl RuleFile {
    pub(crate) fn of(file: File, tally: &Tally) -> Self {
        let diagnostics: Vec<_> = file.diagnostics.iter().map(Diagnostic::from).collect();
        Self {
            rules: file.rules.iter().map(|rule| Rule::of(rule, tally, &diagnostics)).collect(),
            file: file.name,
            text: file.text,
            etag: file.etag,
            diagnostics,
            warnings: file.warnings.iter().map(Diagnostic::from).collect(),
        }
    }
}
