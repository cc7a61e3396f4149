//! `temporal`: events of all rules (or of a boolean combination of them) in one window, in any order.
//!
//! With `not` in its condition it looks forward: the window begins with an event and the verdict falls at its end.

use super::{Finding, Kept, Kind, LooksAt, Settles, Window};
use crate::expression::Expression;
use crate::rule::Condition;

/// The type.
pub static KIND: Kind = Kind {
    name: "temporal",
    needs_field: false,
    needs_bounds: false,
    takes_many_fields: false,
    takes_expression: true,
    looks_at: LooksAt::Windows,
    settles,
    open: |condition, rules| {
        Box::new(Temporal {
            seen: vec![0; rules],
            by_count: !condition.bounds.is_empty(),
            expression: condition.expression.clone(),
        })
    },
    what: |_| "of the rules matched".to_owned(),
};

fn settles(condition: &Condition) -> Settles {
    match &condition.expression {
        Some(expression) if has_negation(expression) => Settles::AtDeadline,
        _ if condition.only_lower_bounds() => Settles::OnArrival,
        _ => Settles::OnWatermark,
    }
}

fn has_negation(expression: &Expression<usize>) -> bool {
    match expression {
        Expression::Atom(_) => false,
        Expression::All(parts) | Expression::Any(parts) => parts.iter().any(has_negation),
        Expression::Not(_) => true,
    }
}

/// How many events of each rule are in the window.
struct Temporal {
    seen: Vec<usize>,
    by_count: bool,
    expression: Option<Expression<usize>>,
}

impl Temporal {
    fn holds(&self, expression: &Expression<usize>) -> bool {
        match expression {
            Expression::Atom(rule) => self.seen.get(*rule).is_some_and(|times| *times > 0),
            Expression::All(parts) => parts.iter().all(|part| self.holds(part)),
            Expression::Any(parts) => parts.iter().any(|part| self.holds(part)),
            Expression::Not(part) => !self.holds(part),
        }
    }

    /// Marks the rules whose events make a true expression true: parts that are false show nothing.
    fn witnesses(&self, expression: &Expression<usize>, shows: &mut [bool]) {
        match expression {
            Expression::Atom(rule) => shows[*rule] = true,
            Expression::All(parts) => parts.iter().for_each(|part| self.witnesses(part, shows)),
            Expression::Any(parts) => {
                parts.iter().filter(|part| self.holds(part)).for_each(|part| self.witnesses(part, shows));
            }
            Expression::Not(_) => {}
        }
    }
}

impl Window for Temporal {
    fn enter(&mut self, event: &Kept) {
        self.seen[event.rule] += 1;
    }

    fn leave(&mut self, event: &Kept) {
        self.seen[event.rule] -= 1;
    }

    fn look(&self, window: &[Kept]) -> Option<Finding> {
        let distinct = self.seen.iter().filter(|times| **times > 0).count();
        let Some(expression) = &self.expression else {
            let holds = self.by_count || distinct == self.seen.len();
            return holds.then(|| Finding::of_all(distinct as f64));
        };
        let mut shows = vec![false; self.seen.len()];
        if distinct == 0 || !self.holds(expression) {
            return None;
        }
        self.witnesses(expression, &mut shows);
        let chosen = window.iter().enumerate().filter(|(_, event)| shows[event.rule]).map(|(at, _)| at);
        Some(Finding { metric: distinct as f64, chosen: Some(chosen.collect()) })
    }
}
