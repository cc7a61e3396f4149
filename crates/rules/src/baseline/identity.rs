//! What makes two baselines the same: what is learned from, and nothing of how it is judged.
//!
//! In it: which events (conditions and filters of the rules referred to, not their names or texts), which values of them,
//! what the group is, and the metric and bucket. Not in it: times to learn and forget, windows, seasons, thresholds.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Asks, Baseline};
use crate::atom::Atom;
use crate::expression::Expression;
use crate::log_source::Reach;
use crate::rule::Correlation;
use crate::set::{CompiledBody, RuleSet};

/// The identity of a rule's baseline: 16 hexadecimal digits.
pub fn of(correlation: &Correlation, baseline: &Baseline, inputs: &[usize], set: &RuleSet) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    part(correlation.kind.name);
    for (input, reference) in inputs.iter().zip(&correlation.rules) {
        match set.rules.get(*input).map(|rule| (&rule.body, &rule.info)) {
            Some((CompiledBody::Event(event), _)) => {
                part(match event.reach {
                    Reach::Everywhere => "any",
                    Reach::Only(signal) => signal.as_str(),
                    Reach::Nowhere => "none",
                });
                part(&event.within.as_ref().map_or_else(String::new, |within| spelled(within, &set.atoms)));
                part(&spelled(&event.expression, &set.atoms));
            }
            Some((CompiledBody::Correlation(_) | CompiledBody::Policy(_), info)) => part(&info.version),
            None => {}
        }
        for alias in &correlation.aliases {
            let stands_for = alias.fields.iter().find(|(of, _)| of.rule == reference.rule);
            part(stands_for.map_or("", |(_, field)| field));
        }
    }
    correlation.aliases.iter().for_each(|alias| part(&alias.name));
    for (name, how) in correlation.group_by.iter().zip(&baseline.parts) {
        part(name);
        part(if how.may_be_absent { "may be absent" } else { "" });
    }
    part(&baseline.groups.to_string());
    correlation.condition.fields.iter().for_each(|field| part(field));
    if let Asks::Deviation(asks) = &baseline.asks {
        part(&format!("{:?}", asks.metric));
        part(&asks.bucket_nanos.to_string());
    }
    hex::encode(&hash.finalize()[..8])
}

/// An expression as text; the order of its parts does not matter.
fn spelled(expression: &Expression<usize>, atoms: &[Arc<Atom>]) -> String {
    let joined = |word: &str, parts: &[Expression<usize>]| {
        let mut parts: Vec<String> = parts.iter().map(|part| spelled(part, atoms)).collect();
        parts.sort();
        format!("({word} {})", parts.join(" "))
    };
    match expression {
        Expression::Atom(number) => atoms.get(*number).map_or(String::new(), |atom| format!("{:?}", atom.canonical)),
        Expression::All(parts) => joined("all", parts),
        Expression::Any(parts) => joined("any", parts),
        Expression::Not(part) => joined("not", std::slice::from_ref(part)),
    }
}
