//! `value_percentile`: a percentile of a field over the events of the window that have it.

use super::{Finding, Kept, Kind, LooksAt, Settles, Window, numbers, percentile};

/// The type.
pub static KIND: Kind = Kind {
    name: "value_percentile",
    needs_field: true,
    needs_bounds: true,
    takes_many_fields: false,
    takes_expression: false,
    looks_at: LooksAt::Windows,
    settles: |_| Settles::OnWatermark,
    open: |condition, _| Box::new(ValuePercentile(condition.percentile)),
    what: |condition| format!("as percentile {} of {}", condition.percentile, condition.fields.join(", ")),
};

struct ValuePercentile(f64);

impl Window for ValuePercentile {
    fn look(&self, window: &[Kept]) -> Option<Finding> {
        let (chosen, mut numbers) = numbers(window);
        let metric = percentile(&mut numbers, self.0)?;
        Some(Finding { metric, chosen: Some(chosen) })
    }
}
