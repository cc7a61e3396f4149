//! Which atoms a rule cannot match without: when none of them is satisfied in a batch, the rule is not asked.

use crate::atom::{AnyOf, Atom, Test};
use crate::expression::Expression;

/// A text of fewer bytes is found in many values.
const SHORT: usize = 4;

/// Atoms of which at least one is satisfied wherever the expression holds, the rarest choice; `None` when there is no
/// such choice, because it can hold where nothing is found.
pub fn of(expression: &Expression<usize>, rarity: &impl Fn(usize) -> Option<u32>) -> Option<Vec<usize>> {
    choose(expression, rarity).map(|(_, atoms)| atoms)
}

fn choose(expression: &Expression<usize>, rarity: &impl Fn(usize) -> Option<u32>) -> Option<(u32, Vec<usize>)> {
    match expression {
        Expression::Atom(atom) => rarity(*atom).map(|cost| (cost, vec![*atom])),
        Expression::All(parts) => {
            parts.iter().filter_map(|part| choose(part, rarity)).min_by_key(|(cost, atoms)| (*cost, atoms.len()))
        }
        Expression::Any(parts) => {
            let mut all = (0_u32, Vec::new());
            for part in parts {
                let (cost, atoms) = choose(part, rarity)?;
                all.0 = all.0.saturating_add(cost);
                all.1.extend(atoms);
            }
            Some(all)
        }
        Expression::Not(_) => None,
    }
}

/// How common it is that an atom is satisfied, roughly: smaller is rarer. `None` for one that is answered row by row.
pub fn rarity(atom: &Atom) -> Option<u32> {
    match &atom.test {
        Test::SameAs { .. } => None,
        Test::AnyOf(any) => Some(of_texts(any)),
        Test::Cidr(_) => Some(100),
        Test::Regex(_) => Some(200),
        Test::Compare(..) | Test::Part(..) => Some(500),
        Test::Exists => Some(1_000),
    }
}

fn of_texts(any: &AnyOf) -> u32 {
    let size = |text: &String| if text.len() < SHORT { 100 } else { 2 };
    let exact: u32 = any.exact.iter().map(|text| if text.len() < SHORT { 20 } else { 1 }).sum();
    let parts: u32 = any.contains.iter().chain(&any.starts).chain(&any.ends).map(size).sum();
    let globs = u32::try_from(any.globs.len()).unwrap_or(u32::MAX).saturating_mul(20);
    exact.saturating_add(parts).saturating_add(globs)
}
