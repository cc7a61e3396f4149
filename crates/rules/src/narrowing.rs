//! Which filters narrow which rules.

use std::collections::HashMap;
use std::sync::Arc;

use crate::atom::Atom;
use crate::diagnostic::{Place, Report};
use crate::expression::Expression;
use crate::read::detection;
use crate::rule::{EventRule, Filter, Rule};

/// Filters that may apply to one rule.
const FILTERS_OF_RULE: usize = 64;

/// The filters of all files, by the rules they name.
#[derive(Debug, Default)]
pub struct Narrowing<'r> {
    filters: Vec<Placed<'r>>,
    /// Filters that name a rule, by its number.
    named: HashMap<usize, Vec<usize>>,
    /// Filters for every rule of a log source.
    general: Vec<usize>,
    /// Compiled once for each mapping they are read through.
    compiled: HashMap<(usize, String), Option<Expression<Arc<Atom>>>>,
}

#[derive(Debug)]
struct Placed<'r> {
    number: usize,
    at: Place,
    meaning: &'r str,
    filter: &'r Filter,
    is_used: bool,
}

impl<'r> Narrowing<'r> {
    /// Takes a filter, with its number among all rules and the numbers of those it names.
    pub fn add(&mut self, number: usize, rule: &'r Rule, filter: &'r Filter, rules: &[usize]) {
        let place = self.filters.len();
        self.filters.push(Placed { number, at: rule.at, meaning: &rule.meaning, filter, is_used: false });
        if filter.rules.is_empty() {
            self.general.push(place);
        }
        for rule in rules {
            self.named.entry(*rule).or_default().push(place);
        }
    }

    /// The conditions that narrow a rule; what decides them is added to its meaning.
    ///
    /// # Errors
    /// When there are too many; none applies then.
    pub fn of(
        &mut self,
        number: usize,
        event: &EventRule,
        meaning: &mut String,
    ) -> Result<Vec<Expression<Arc<Atom>>>, String> {
        let named = self.named.get(&number).into_iter().flatten();
        let places: Vec<usize> = self.general.iter().chain(named).copied().collect();
        let covers = |place: &usize| self.filters[*place].filter.log_source.covers(&event.log_source);
        let places: Vec<usize> = places.into_iter().filter(covers).take(FILTERS_OF_RULE + 1).collect();
        if places.len() > FILTERS_OF_RULE {
            return Err(format!("more than {FILTERS_OF_RULE} filters apply to this rule"));
        }
        let mut expressions = Vec::new();
        for place in places {
            let placed = &mut self.filters[place];
            placed.is_used = true;
            meaning.push_str(placed.meaning);
            let key = (place, event.mapping.key());
            let compiled = self.compiled.entry(key).or_insert_with(|| {
                // it was checked when it was read; what a mapping of this rule drops cannot narrow it
                let mut report = Report::new("");
                detection::expression(&placed.filter.detection, &["rules"], &event.mapping, &mut report)
            });
            expressions.extend(compiled.clone());
        }
        Ok(expressions)
    }

    /// Filters that name rules and apply to none, by their number and place.
    pub fn idle(&self) -> Vec<(usize, Place)> {
        let idle = self.filters.iter().filter(|placed| !placed.is_used && !placed.filter.rules.is_empty());
        idle.map(|placed| (placed.number, placed.at)).collect()
    }
}
