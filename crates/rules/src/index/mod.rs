//! What all rules ask, turned around: from the values of a batch to the atoms they satisfy, and on to the rules that can
//! match at all.
//!
//! | file | what it answers |
//! |---|---|
//! | `table.rs` | which texts of all rules a value is, begins with, ends with or holds: one automaton for a field |
//! | `field.rs` | which atoms on a field a value satisfies |
//! | `numbers.rs` | which numeric comparisons a number satisfies |
//! | `networks.rs` | which networks an address lies in |
//! | `literal.rs` | which text a regular expression cannot match without |
//! | `witness.rs` | which atoms a rule cannot match without |
//! | `answers.rs` | the rows of a batch that satisfy an atom |
//!
//! An index is made once per set of rules and signal: rules for other signals are not in it.

pub mod answers;

mod field;
mod literal;
mod networks;
mod numbers;
mod table;
mod witness;

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::Signal;

use crate::atom::Test;
use crate::expression::Expression;
use crate::set::{CompiledBody, RuleSet};
pub use field::{Desk, FieldIndex};

/// Where an atom is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// By the values of a field of the plan.
    Field(usize),
    /// By the presence of a field of the plan.
    Presence(usize),
    /// By all values of the event.
    Anywhere,
    /// By two fields of the same row.
    Pair,
    /// Nowhere: no rule of the signal asks.
    Nowhere,
}

/// The rules on single events of one signal, by what they ask.
#[derive(Debug)]
pub struct Index {
    fields: HashMap<usize, FieldIndex, RandomState>,
    anywhere: Option<FieldIndex>,
    /// By atom.
    places: Vec<Place>,
    /// For each field, the atoms that are satisfied by its presence.
    presence: HashMap<usize, Vec<u32>, RandomState>,
    /// For each atom, the rules that need it or one of its alternatives.
    waiting: Vec<Vec<usize>>,
    /// Rules without a witness, which are asked of every batch.
    always: Vec<usize>,
    /// For each atom that needs more than a lookup, the rules that ask for it.
    checked: HashMap<u32, Vec<usize>, RandomState>,
}

impl Index {
    /// The index of the rules that look at a signal; of all rules when `None`.
    pub fn new(set: &RuleSet, signal: Option<Signal>) -> Self {
        let mut index = Self {
            fields: HashMap::default(),
            anywhere: None,
            places: vec![Place::Nowhere; set.atoms.len()],
            presence: HashMap::default(),
            waiting: vec![Vec::new(); set.atoms.len()],
            always: Vec::new(),
            checked: HashMap::default(),
        };
        for (number, rule) in set.rules.iter().enumerate() {
            let CompiledBody::Event(event) = &rule.body else { continue };
            if !event.reach.admits(signal) {
                continue;
            }
            index.place(set, &event.expression, number);
            if signal.is_some() {
                event.within.iter().for_each(|within| index.place(set, within, number));
            }
            match witness::of(&event.expression, &|atom| witness::rarity(&set.atoms[atom])) {
                Some(atoms) => atoms.into_iter().for_each(|atom| index.waiting[atom].push(number)),
                None => index.always.push(number),
            }
        }
        index.fields.values_mut().for_each(FieldIndex::finish);
        index.anywhere.iter_mut().for_each(FieldIndex::finish);
        index
    }

    /// Whether some rule looks at every value of an event.
    pub fn looks_everywhere(&self) -> bool {
        self.anywhere.is_some()
    }

    /// Gives every atom of a rule's expression its place.
    fn place(&mut self, set: &RuleSet, expression: &Expression<usize>, rule: usize) {
        match expression {
            Expression::Atom(atom) => {
                self.place_atom(set, *atom);
                let is_checked = match &set.atoms[*atom].test {
                    Test::Regex(_) | Test::Part(..) => true,
                    Test::AnyOf(any) => !any.globs.is_empty(),
                    _ => false,
                };
                if is_checked {
                    self.checked.entry(u32::try_from(*atom).unwrap_or(u32::MAX)).or_default().push(rule);
                }
            }
            Expression::All(parts) | Expression::Any(parts) => {
                parts.iter().for_each(|part| self.place(set, part, rule));
            }
            Expression::Not(part) => self.place(set, part, rule),
        }
    }

    fn place_atom(&mut self, set: &RuleSet, number: usize) {
        if self.places[number] != Place::Nowhere {
            return;
        }
        let atom = &set.atoms[number];
        let id = u32::try_from(number).unwrap_or(u32::MAX);
        let field = atom.field.as_ref().map(|field| set.plan.number(field));
        self.places[number] = match (field, &atom.test) {
            (Some(Some(_)), Test::SameAs { .. }) => Place::Pair,
            (Some(Some(field)), Test::Exists) => {
                self.presence.entry(field).or_default().push(id);
                Place::Presence(field)
            }
            (Some(Some(field)), _) => {
                self.fields.entry(field).or_default().add(id, atom);
                Place::Field(field)
            }
            (None, _) => {
                self.anywhere.get_or_insert_default().add(id, atom);
                Place::Anywhere
            }
            (Some(None), _) => Place::Nowhere,
        };
    }
}

#[cfg(test)]
mod tests;
