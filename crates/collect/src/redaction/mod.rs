//! What must not be kept: secrets and personal data, taken out of requests before they reach the log.
//!
//! A [`Policy`] is compiled once from what an operator wrote. It has rules by attribute key and by value pattern, or an
//! allow-list that masks everything else. Secrets leave something behind where detection needs it: of a token its keyed
//! hash (`auth.token.hash`) and the claims that say who it is for (`auth.jwt.*`), as attributes of the same span, event
//! or log record.

mod action;
mod card;
mod jwt;
mod key;
mod literal;
mod pattern;
mod prefilter;
mod redactor;
mod settings;
mod token;

use std::borrow::Cow;

use model::{Signal, TenantId};
use otlp::DecodeError;
use otlp::rewrite::{Rewritten, rewrite};
use regex::Regex;
use regex_syntax::hir::literal::{ExtractKind, Extractor};

use action::Action;
use key::{Glob, KeyRules, Ruling};
use literal::Literal;
use pattern::Pattern;
use prefilter::{Candidates, Needles, Prefilter};
use redactor::Redactor;
use settings::wrong;

pub use settings::{KeyRule, MAX_ALLOWED, MAX_KEYS, MAX_PATTERN_BYTES, MAX_VALUES, PolicyError, Settings, ValueRule};
pub use token::MasterKey;

/// Entry of the allow-list that stands for bodies of log records.
const BODY: &str = "body";
/// Largest compiled form of a regular expression of the operator's own, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// What is taken out of requests. Immutable: another policy needs a restart.
#[derive(Debug)]
pub struct Policy {
    keys: KeyRules,
    /// Built-in patterns in force, in the order in which they are applied.
    patterns: Vec<(Pattern, Action)>,
    /// Patterns of the operator's own, applied before those.
    values: Vec<(Regex, Action)>,
    allowed: Option<Allowed>,
    prefilter: Prefilter,
    key: MasterKey,
    /// Whether every record is walked, as tests do to compare.
    is_thorough: bool,
}

/// The keys that keep their values, and what becomes of all others.
#[derive(Debug)]
struct Allowed {
    keys: Vec<Glob>,
    action: Action,
}

impl Policy {
    /// Compiles a policy whose tokens depend on `key`.
    ///
    /// # Errors
    /// Names the setting that cannot be used, and its value.
    pub fn compile(settings: &Settings, key: MasterKey) -> Result<Self, PolicyError> {
        let keys = key_rules(settings)?;
        let patterns = patterns(settings)?;
        let values = settings.values.iter().map(value_rule).collect::<Result<Vec<_>, _>>()?;
        if values.len() > MAX_VALUES {
            return wrong("redaction.values", format!("must have at most {MAX_VALUES} entries, got {}", values.len()));
        }
        let allowed = allowed(settings)?;
        let mut needles = Needles::default();
        for needle in patterns.iter().flat_map(|(pattern, _)| pattern.needles()) {
            needles.add(*needle);
        }
        values.iter().for_each(|(regex, _)| add_needles(regex, &mut needles));
        keys.add_needles(&mut needles);
        if allowed.is_some() {
            needles.add_everything();
        }
        Ok(Self { keys, patterns, values, allowed, prefilter: needles.build(), key, is_thorough: false })
    }

    /// The same policy without the quick pass that spares clean records: slower, and the same result.
    pub fn thorough(self) -> Self {
        Self { is_thorough: true, ..self }
    }

    /// Takes out of a protobuf request what must not be kept; borrowed when there was nothing. Counts what it took out.
    ///
    /// # Errors
    /// [`DecodeError`] when a record that must be walked is damaged or nested too deep: what cannot be walked cannot be
    /// vouched for.
    pub fn redact<'a>(
        &self,
        tenant: &TenantId,
        signal: Signal,
        payload: &'a [u8],
    ) -> Result<Rewritten<'a>, DecodeError> {
        let candidates = if self.is_thorough { Candidates::everything() } else { self.prefilter.scan(payload) };
        if candidates.is_empty() {
            return Ok(Rewritten { payload: Cow::Borrowed(payload), records_walked: 0 });
        }
        let mut redactor = Redactor::new(self, tenant.as_str(), candidates);
        let rewritten = rewrite(signal, payload, &mut redactor)?;
        redactor.count();
        Ok(rewritten)
    }
}

fn key_rules(settings: &Settings) -> Result<KeyRules, PolicyError> {
    if settings.keys.len() > MAX_KEYS {
        return wrong("redaction.keys", format!("must have at most {MAX_KEYS} entries, got {}", settings.keys.len()));
    }
    let mut rules = KeyRules::default();
    for rule in &settings.keys {
        let glob = Glob::read("redaction.keys.match", &rule.matches)?;
        rules.push(glob, Ruling { action: Action::read("redaction.keys.action", &rule.action)?, is_credential: false });
    }
    for (glob, is_credential) in key::DEFAULTS.iter().filter(|_| settings.defaults) {
        rules.push(Glob::new(glob), Ruling { action: Action::Mask, is_credential: *is_credential });
    }
    Ok(rules)
}

fn patterns(settings: &Settings) -> Result<Vec<(Pattern, Action)>, PolicyError> {
    let mut actions = Pattern::ALL.map(|pattern| {
        let is_on = settings.defaults && pattern != Pattern::Email;
        (pattern, if is_on { Action::Mask } else { Action::Leave })
    });
    for (name, action) in &settings.patterns {
        let Some((_, chosen)) = actions.iter_mut().find(|(pattern, _)| pattern.as_str() == name) else {
            let names = Pattern::ALL.map(Pattern::as_str).join(", ");
            return wrong("redaction.patterns", format!("must name patterns out of {names}, got {name:?}"));
        };
        *chosen = Action::read("redaction.patterns", action)?;
    }
    Ok(actions.into_iter().filter(|(_, action)| *action != Action::Leave).collect())
}

fn value_rule(rule: &ValueRule) -> Result<(Regex, Action), PolicyError> {
    if rule.regex.is_empty() || rule.regex.len() > MAX_PATTERN_BYTES {
        return wrong(
            "redaction.values.regex",
            format!("must have 1 to {MAX_PATTERN_BYTES} bytes, got {} in {:?}", rule.regex.len(), rule.name),
        );
    }
    let action = match Action::read("redaction.values.action", &rule.action)? {
        Action::Leave => {
            return wrong("redaction.values.action", format!("must be drop, mask or token in {:?}", rule.name));
        }
        action => action,
    };
    match regex::RegexBuilder::new(&rule.regex).size_limit(REGEX_BYTES).build() {
        Ok(regex) if regex.is_match("") => wrong(
            "redaction.values.regex",
            format!("must not match an empty text, got {:?} in {:?}", rule.regex, rule.name),
        ),
        Ok(regex) => Ok((regex, action)),
        Err(error) => wrong("redaction.values.regex", format!("is not valid in {:?}: {error}", rule.name)),
    }
}

fn allowed(settings: &Settings) -> Result<Option<Allowed>, PolicyError> {
    let action = Action::read("redaction.allow_list_action", &settings.allow_list_action)?;
    if action == Action::Leave {
        return wrong("redaction.allow_list_action", "must be drop, mask or token, got \"leave\"".to_owned());
    }
    if settings.allow_list.len() > MAX_ALLOWED {
        return wrong(
            "redaction.allow_list",
            format!("must have at most {MAX_ALLOWED} entries, got {}", settings.allow_list.len()),
        );
    }
    let keys = settings.allow_list.iter().map(|text| Glob::read("redaction.allow_list", text));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    Ok((!keys.is_empty()).then_some(Allowed { keys, action }))
}

/// Adds the literals one of which begins, or else ends, whatever the expression matches.
fn add_needles(regex: &Regex, needles: &mut Needles) {
    let Ok(parsed) = regex_syntax::parse(regex.as_str()) else { return needles.add_everything() };
    for kind in [ExtractKind::Prefix, ExtractKind::Suffix] {
        let found = Extractor::new().kind(kind).extract(&parsed);
        let Some(literals) = found.literals().filter(|literals| !literals.is_empty()) else { continue };
        let literals: Vec<_> = literals.iter().map(|literal| Literal::new(literal.as_bytes(), false)).collect();
        if !literals.iter().any(Literal::is_too_short) {
            return literals.into_iter().for_each(|literal| needles.add_literal(literal));
        }
    }
    needles.add_everything();
}
