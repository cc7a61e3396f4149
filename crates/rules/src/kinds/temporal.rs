//! `temporal`: events of all rules (or of a boolean combination of them) in one window, in any order.
//!
//! With `not` in its condition it looks forward: the window begins with an event and the verdict falls at its end.

use super::{Finding, Kept, Kind, Settles, Window};
use crate::expression::Expression;
use crate::rule::Condition;

/// The type.
pub static KIND: Kind = Kind {
    name: "temporal",
    needs_field: false,
    needs_bounds: false,
    takes_many_fields: false,
    takes_expression: true,
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
}

impl Window for Temporal {
    fn enter(&mut self, event: &Kept) {
        self.seen[event.rule] += 1;
    }

    fn leave(&mut self, event: &Kept) {
        self.seen[event.rule] -= 1;
    }

    fn look(&self, _window: &[Kept]) -> Option<Finding> {
        let distinct = self.seen.iter().filter(|times| **times > 0).count();
        let holds = match &self.expression {
            Some(expression) => distinct > 0 && self.holds(expression),
            None => self.by_count || distinct == self.seen.len(),
        };
        holds.then(|| Finding::of_all(distinct as f64))
    }
}
