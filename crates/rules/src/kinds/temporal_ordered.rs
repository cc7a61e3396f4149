//! `temporal_ordered`: events of all rules in one window, each strictly later than the one before.
//!
//! The earliest event of the first rule, then the earliest later event of the second, and so on: if any chain fits the
//! window this one does, so there is nothing to backtrack.

use super::{Finding, Kept, Kind, LooksAt, Settles, Window};

/// The type.
pub static KIND: Kind = Kind {
    name: "temporal_ordered",
    needs_field: false,
    needs_bounds: false,
    takes_many_fields: false,
    takes_expression: false,
    looks_at: LooksAt::Windows,
    settles: |_| Settles::OnArrival,
    open: |_, rules| Box::new(TemporalOrdered { seen: vec![0; rules] }),
    what: |_| "steps in order".to_owned(),
};

/// How many events of each rule are in the window: most windows lack one and need no walk.
struct TemporalOrdered {
    seen: Vec<usize>,
}

impl Window for TemporalOrdered {
    fn enter(&mut self, event: &Kept) {
        self.seen[event.rule] += 1;
    }

    fn leave(&mut self, event: &Kept) {
        self.seen[event.rule] -= 1;
    }

    fn look(&self, window: &[Kept]) -> Option<Finding> {
        if self.seen.contains(&0) {
            return None;
        }
        let mut chosen = Vec::with_capacity(self.seen.len());
        let mut after = i64::MIN;
        for (at, event) in window.iter().enumerate() {
            if event.rule == chosen.len() && event.at > after {
                chosen.push(at);
                after = event.at;
            }
        }
        let steps = chosen.len();
        (steps == self.seen.len()).then_some(Finding { metric: steps as f64, chosen: Some(chosen) })
    }
}
