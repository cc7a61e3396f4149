//! Which numeric comparisons of all rules a number satisfies.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::atom::Relation;

/// Comparisons with a field, looked up together.
#[derive(Debug, Default)]
pub struct Numbers {
    equal: HashMap<u64, Vec<u32>, RandomState>,
    /// Bound, whether the bound itself counts, atom; smallest bound first once finished.
    above: Vec<(f64, bool, u32)>,
    /// The same, largest bound first once finished.
    below: Vec<(f64, bool, u32)>,
    differ: Vec<(f64, u32)>,
}

impl Numbers {
    /// Asks for this relation; `false` when the bound is no number, so that no lookup finds it.
    pub fn add(&mut self, relation: Relation, bound: f64, atom: u32) -> bool {
        match relation {
            _ if bound.is_nan() => return false,
            Relation::Eq => self.equal.entry(bits(bound)).or_default().push(atom),
            Relation::Neq => self.differ.push((bound, atom)),
            Relation::Gt => self.above.push((bound, false, atom)),
            Relation::Gte => self.above.push((bound, true, atom)),
            Relation::Lt => self.below.push((bound, false, atom)),
            Relation::Lte => self.below.push((bound, true, atom)),
        }
        true
    }

    /// Puts bounds in order.
    pub fn finish(&mut self) {
        self.above.sort_by(|left, right| left.0.total_cmp(&right.0));
        self.below.sort_by(|left, right| right.0.total_cmp(&left.0));
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.equal.is_empty() && self.above.is_empty() && self.below.is_empty() && self.differ.is_empty()
    }

    /// The atoms that a number satisfies.
    pub fn find(&self, number: f64, hit: &mut impl FnMut(u32)) {
        self.equal.get(&bits(number)).into_iter().flatten().for_each(|atom| hit(*atom));
        let above = self.above.iter().take_while(|(bound, ..)| *bound <= number);
        above.filter(|(bound, inclusive, _)| *inclusive || *bound < number).for_each(|(.., atom)| hit(*atom));
        let below = self.below.iter().take_while(|(bound, ..)| *bound >= number);
        below.filter(|(bound, inclusive, _)| *inclusive || *bound > number).for_each(|(.., atom)| hit(*atom));
        self.differ.iter().filter(|(bound, _)| *bound != number).for_each(|(_, atom)| hit(*atom));
    }
}

/// Equal numbers have equal bits: zero has one sign.
fn bits(number: f64) -> u64 {
    if number == 0.0 { 0 } else { number.to_bits() }
}
