//! `value_count`: how many distinct values of a field (or of several, together) the window holds.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Finding, Kept, Kind, LooksAt, Settles, Window};
use crate::rule::Condition;

/// The type.
pub static KIND: Kind = Kind {
    name: "value_count",
    needs_field: true,
    needs_bounds: true,
    takes_many_fields: true,
    takes_expression: false,
    looks_at: LooksAt::Windows,
    settles,
    open: |_, _| Box::new(ValueCount::default()),
    what: |condition| format!("distinct values of {}", condition.fields.join(", ")),
};

fn settles(condition: &Condition) -> Settles {
    if condition.only_lower_bounds() { Settles::OnArrival } else { Settles::OnWatermark }
}

/// How often each value is in the window.
#[derive(Default)]
struct ValueCount(HashMap<Arc<str>, usize, RandomState>);

impl Window for ValueCount {
    fn enter(&mut self, event: &Kept) {
        if let Some(value) = &event.value {
            *self.0.entry(Arc::clone(value)).or_default() += 1;
        }
    }

    fn leave(&mut self, event: &Kept) {
        let Some(value) = &event.value else { return };
        if let Some(times) = self.0.get_mut(value) {
            *times -= 1;
            if *times == 0 {
                self.0.remove(value);
            }
        }
    }

    fn look(&self, _window: &[Kept]) -> Option<Finding> {
        Some(Finding::of_all(self.0.len() as f64))
    }
}
