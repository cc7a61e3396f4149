//! A policy at work on one request.

use std::collections::HashMap;
use std::ops::Range;

use otlp::rewrite::{Added, AddedValue, Edit, Editor, Place, Rule, Verdict};
use runtime::metric;

use super::action::{Action, MASK};
use super::key::{Ruling, normal};
use super::pattern::{Found, first_jwt};
use super::prefilter::Candidates;
use super::token::Tokens;
use super::{BODY, Policy, jwt};

/// Keys whose rulings are remembered within a request; a service uses some dozens.
const MAX_REMEMBERED: usize = 1_024;
/// Longest key that is remembered, in bytes.
const MAX_REMEMBERED_BYTES: usize = 256;

const TOKEN_HASH: &str = "auth.token.hash";
const AUTH_METHOD: &str = "auth.method";

/// Names of what is neither a key rule nor a built-in pattern, in metrics.
mod rule {
    pub(super) const KEY: &str = "key";
    pub(super) const ALLOW_LIST: &str = "allow_list";
    pub(super) const CUSTOM: &str = "custom";
    pub(super) const UNKNOWN_FIELD: &str = "unknown_field";
}

/// The numbers of [`Rule`]: which kind of rule a value is under.
mod number {
    pub(super) const NONE: u32 = 0;
    /// On the allow-list, or inside what is.
    pub(super) const ALLOWED: u32 = 1;
    pub(super) const MASK: u32 = 2;
    pub(super) const TOKEN: u32 = 3;
    pub(super) const MASK_CREDENTIAL: u32 = 4;
    pub(super) const MASK_UNLISTED: u32 = 5;
    pub(super) const TOKEN_UNLISTED: u32 = 6;
}

/// What a policy says of a key.
#[derive(Debug, Clone)]
struct Judged {
    ruling: Option<Ruling>,
    is_allowed: bool,
}

/// Edits one request.
pub(super) struct Redactor<'p> {
    policy: &'p Policy,
    tenant: &'p str,
    candidates: Candidates,
    /// Made at the first token.
    tokens: Option<Tokens>,
    judged: HashMap<String, Judged>,
    added: Vec<Added>,
    counts: HashMap<(Action, &'static str), u64>,
}

impl<'p> Redactor<'p> {
    pub fn new(policy: &'p Policy, tenant: &'p str, candidates: Candidates) -> Self {
        Self {
            policy,
            tenant,
            candidates,
            tokens: None,
            judged: HashMap::new(),
            added: Vec::new(),
            counts: HashMap::new(),
        }
    }

    /// Adds what was done to the metrics.
    pub fn count(self) {
        for ((action, rule), count) in self.counts {
            metrics::counter!(metric::REDACTED_VALUES, "action" => action.as_str(), "rule" => rule).increment(count);
        }
    }

    fn note(&mut self, action: Action, rule: &'static str) {
        *self.counts.entry((action, rule)).or_default() += 1;
    }

    fn token(&mut self, value: &str) -> String {
        let (policy, tenant) = (self.policy, self.tenant);
        self.tokens.get_or_insert_with(|| policy.key.tokens_of(tenant)).of(value)
    }

    fn judge(&mut self, key: &str) -> Judged {
        if let Some(known) = self.judged.get(key) {
            return known.clone();
        }
        let plain = normal(key);
        let allowed = self.policy.allowed.as_ref();
        let judged = Judged {
            ruling: self.policy.keys.on(&plain),
            is_allowed: allowed.is_none_or(|allowed| allowed.keys.iter().any(|glob| glob.matches(&plain))),
        };
        if self.judged.len() < MAX_REMEMBERED && key.len() <= MAX_REMEMBERED_BYTES {
            self.judged.insert(key.to_owned(), judged.clone());
        }
        judged
    }

    /// The verdict on a key: a key rule before the allow-list, and what is nested keeps the rule around it.
    fn verdict(&mut self, outer: Rule, key: &str) -> Verdict {
        if outer.is_whole {
            return Verdict::Walk(outer);
        }
        let whole = |number| Verdict::Walk(Rule { number, is_whole: true });
        let Judged { ruling, is_allowed } = self.judge(key);
        match ruling {
            Some(Ruling { action: Action::Drop, .. }) => {
                self.note(Action::Drop, rule::KEY);
                Verdict::Drop
            }
            Some(Ruling { action: Action::Mask, is_credential: true }) => whole(number::MASK_CREDENTIAL),
            Some(Ruling { action: Action::Mask, .. }) => whole(number::MASK),
            Some(Ruling { action: Action::Token, .. }) => whole(number::TOKEN),
            Some(Ruling { action: Action::Leave, .. }) | None if is_allowed || outer.number == number::ALLOWED => {
                let number = if self.policy.allowed.is_some() { number::ALLOWED } else { number::NONE };
                Verdict::Walk(Rule { number, is_whole: false })
            }
            Some(_) | None => match self.policy.allowed.as_ref().map(|allowed| allowed.action) {
                Some(Action::Token) => whole(number::TOKEN_UNLISTED),
                Some(Action::Drop) => {
                    self.note(Action::Drop, rule::ALLOW_LIST);
                    Verdict::Drop
                }
                _ => whole(number::MASK_UNLISTED),
            },
        }
    }

    /// Replaces a whole value.
    fn replace(&mut self, number: u32, text: &str) -> Edit {
        if text.is_empty() || text == MASK {
            return Edit::Keep;
        }
        let is_unlisted = matches!(number, number::MASK_UNLISTED | number::TOKEN_UNLISTED);
        let rule = if is_unlisted { rule::ALLOW_LIST } else { rule::KEY };
        if number == number::MASK_CREDENTIAL {
            let replaced = self.mask_credential(text);
            if replaced == text {
                return Edit::Keep;
            }
            self.note(Action::Mask, rule);
            return Edit::Replace(replaced);
        }
        if let Some(token) = first_jwt(text) {
            self.keep_claims(token);
        }
        if matches!(number, number::TOKEN | number::TOKEN_UNLISTED) {
            self.note(Action::Token, rule);
            return Edit::Replace(self.token(text));
        }
        self.note(Action::Mask, rule);
        Edit::Replace(MASK.to_owned())
    }

    /// Masks a credential, its scheme aside, and keeps what detection needs of it.
    fn mask_credential(&mut self, text: &str) -> String {
        let trimmed = text.trim();
        let (scheme, credential) = match trimmed.split_once([' ', '\t']) {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest.trim_start()),
            _ => (None, trimmed),
        };
        if credential.is_empty() || credential == MASK {
            return text.to_owned();
        }
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic")) {
            self.add(AUTH_METHOD, AddedValue::Text("basic".to_owned()));
        }
        match first_jwt(credential) {
            Some(token) => self.keep_claims(token),
            None => self.keep_hash(credential),
        }
        scheme.map_or_else(|| MASK.to_owned(), |scheme| format!("{scheme} {MASK}"))
    }

    /// Adds what detection needs of a JSON Web Token to the span, event or record at hand.
    fn keep_claims(&mut self, token: &str) {
        self.keep_hash(token);
        let claims = jwt::read(token);
        for (name, text) in claims.texts {
            let text = self.scrubbed(&text).unwrap_or(text);
            self.add(name, AddedValue::Text(text));
        }
        for (name, seconds) in claims.seconds {
            self.add(name, AddedValue::Int(seconds));
        }
    }

    fn keep_hash(&mut self, credential: &str) {
        let hash = self.token(credential);
        self.add(TOKEN_HASH, AddedValue::Text(hash));
    }

    /// Adds an attribute as far as the policy lets attributes of that key be.
    fn add(&mut self, key: &str, value: AddedValue) {
        let Judged { ruling, is_allowed } = self.judge(key);
        let value = match (ruling.map(|ruling| ruling.action), value) {
            (Some(Action::Drop | Action::Mask), _) => return,
            (Some(Action::Token), AddedValue::Text(text)) => AddedValue::Text(self.token(&text)),
            (Some(Action::Token), AddedValue::Int(number)) => AddedValue::Text(self.token(&number.to_string())),
            (_, _) if !is_allowed => return,
            (_, value) => value,
        };
        self.added.push(Added { key: key.to_owned(), value });
    }

    /// A text with everything replaced that a pattern finds; `None` when none does.
    fn scrubbed(&mut self, text: &str) -> Option<String> {
        let policy = self.policy;
        let mut current: Option<String> = None;
        for (regex, action) in &policy.values {
            let text = current.as_deref().unwrap_or(text);
            let found = regex.find_iter(text).filter(|found| !found.is_empty());
            let found = found.map(|found| Found { secret: found.range(), credential: false }).collect();
            if let Some(replaced) = self.replace_parts(text, found, *action, rule::CUSTOM) {
                current = Some(replaced);
            }
        }
        for (pattern, action) in &policy.patterns {
            let text = current.as_deref().unwrap_or(text);
            let found = pattern.find(text);
            if let Some(replaced) = self.replace_parts(text, found, *action, pattern.as_str()) {
                current = Some(replaced);
            }
        }
        current
    }

    fn replace_parts(&mut self, text: &str, found: Vec<Found>, action: Action, rule: &'static str) -> Option<String> {
        let mut out: Option<String> = None;
        let mut done = 0;
        for Found { secret, credential } in found {
            let part = &text[secret.clone()];
            if part == MASK {
                continue;
            }
            if let Some(token) = first_jwt(part) {
                self.keep_claims(token);
            } else if credential {
                self.keep_hash(part);
            }
            self.note(action, rule);
            let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
            out.push_str(&text[done..secret.start]);
            match action {
                Action::Token => out.push_str(&self.token(part)),
                Action::Mask => out.push_str(MASK),
                Action::Drop | Action::Leave => {}
            }
            done = secret.end;
        }
        let mut out = out?;
        out.push_str(&text[done..]);
        Some(out)
    }

    fn scrub(&mut self, text: &str) -> Edit {
        self.scrubbed(text).map_or(Edit::Keep, Edit::Replace)
    }
}

impl Editor for Redactor<'_> {
    fn is_clear(&self, range: Range<usize>) -> bool {
        self.candidates.are_outside(&range)
    }

    fn attribute(&mut self, outer: Rule, key: &str) -> Verdict {
        self.verdict(outer, key)
    }

    fn text(&mut self, place: Place, rule: Rule, text: &str) -> Edit {
        match place {
            Place::Value | Place::Body if rule.is_whole => self.replace(rule.number, text),
            // a body without a key is on the allow-list by the name of the place
            Place::Body if rule.number == number::NONE && !self.judge(BODY).is_allowed => {
                let action = self.policy.allowed.as_ref().map_or(Action::Mask, |allowed| allowed.action);
                match action {
                    Action::Drop => {
                        self.note(Action::Drop, rule::ALLOW_LIST);
                        Edit::Drop
                    }
                    Action::Token => self.replace(number::TOKEN_UNLISTED, text),
                    Action::Mask | Action::Leave => self.replace(number::MASK_UNLISTED, text),
                }
            }
            _ => self.scrub(text),
        }
    }

    fn drops_unknown(&mut self, bytes: &[u8]) -> bool {
        let added_before = self.added.len();
        let is_found = match self.scrubbed(&String::from_utf8_lossy(bytes)) {
            Some(_) => true,
            // nobody has allowed what nobody knows
            None => self.policy.allowed.is_some(),
        };
        // nobody knows either whose claims stood there
        self.added.truncate(added_before);
        if is_found {
            self.note(Action::Drop, rule::UNKNOWN_FIELD);
        }
        is_found
    }

    fn added(&mut self) -> &mut Vec<Added> {
        &mut self.added
    }
}

/// Schemes of credentials in headers that are kept for people to see.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "digest", "negotiate", "ntlm", "token", "apikey", "dpop", "aws4-hmac-sha256"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}
