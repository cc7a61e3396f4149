//! Which rules can fire on the data there is, and which techniques of ATT&CK that covers.
//!
//! A rule cannot fire when it needs a field that no event has. What a field holds is not looked at: a rule for a status
//! that has not occurred yet can fire. Absence makes nothing impossible either: `not` over a field that nobody sends is
//! true of every event. A rule whose log source nobody has mapped is never evaluated, whatever the data have.

mod attack;
mod possible;
mod seen;

use model::detection::RuleInfo;

use crate::set::{CompiledBody, RuleSet};
pub use attack::{Technique, navigator, techniques};
pub use seen::{Seen, SeenField, SeenService};

/// One rule against the data.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleCoverage {
    /// The rule.
    pub info: RuleInfo,
    /// `event`, `service_policy` or the correlation type.
    pub kind: &'static str,
    /// Raises no alert of its own.
    pub silent: bool,
    /// Whether the data has what it needs.
    pub can_fire: bool,
    /// Fields without which it cannot fire and that no event had, by name.
    pub missing_fields: Vec<String>,
    /// What else keeps it from firing, as in `no log records were seen`.
    pub reasons: Vec<String>,
    /// Fields it asks for, found or not, by name.
    pub fields: Vec<String>,
}

/// Every rule against what was seen, in the order of the rules.
pub fn coverage(set: &RuleSet, seen: &Seen) -> Vec<RuleCoverage> {
    let verdicts = possible::verdicts(set, seen);
    let one = |(rule, verdict): (&crate::set::Compiled, possible::Verdict)| RuleCoverage {
        info: (*rule.info).clone(),
        kind: match &rule.body {
            CompiledBody::Event(_) => "event",
            CompiledBody::Correlation(correlation) => correlation.kind.name,
            CompiledBody::Policy(_) => "service_policy",
        },
        silent: rule.silent,
        can_fire: verdict.can_fire,
        missing_fields: verdict.missing.into_iter().collect(),
        reasons: verdict.reasons.into_iter().collect(),
        fields: verdict.fields.into_iter().collect(),
    };
    set.rules.iter().zip(verdicts).map(one).collect()
}
