//! `value_sum`: the sum of a field over the window.

use super::{Finding, Kept, Kind, LooksAt, Settles, Window, numbers};

/// The type.
pub static KIND: Kind = Kind {
    name: "value_sum",
    needs_field: true,
    needs_bounds: true,
    takes_many_fields: false,
    takes_expression: false,
    looks_at: LooksAt::Windows,
    settles: |_| Settles::OnWatermark,
    open: |_, _| Box::new(ValueSum),
    what: |condition| format!("as sum of {}", condition.fields.join(", ")),
};

/// Summed afresh for every window, so that rounding does not depend on what left it before.
struct ValueSum;

impl Window for ValueSum {
    fn look(&self, window: &[Kept]) -> Option<Finding> {
        let (chosen, numbers) = numbers(window);
        let metric = numbers.iter().sum();
        (!numbers.is_empty()).then_some(Finding { metric, chosen: Some(chosen) })
    }
}
