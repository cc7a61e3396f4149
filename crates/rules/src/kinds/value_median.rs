//! `value_median`: the median of a field over the events of the window that have it.

use super::{Finding, Kept, Kind, LooksAt, Settles, Window, numbers, percentile};

/// The type.
pub static KIND: Kind = Kind {
    name: "value_median",
    needs_field: true,
    needs_bounds: true,
    takes_many_fields: false,
    takes_expression: false,
    looks_at: LooksAt::Windows,
    settles: |_| Settles::OnWatermark,
    open: |_, _| Box::new(ValueMedian),
    what: |condition| format!("as median of {}", condition.fields.join(", ")),
};

struct ValueMedian;

impl Window for ValueMedian {
    fn look(&self, window: &[Kept]) -> Option<Finding> {
        let (chosen, mut numbers) = numbers(window);
        let metric = percentile(&mut numbers, 50.0)?;
        Some(Finding { metric, chosen: Some(chosen) })
    }
}
