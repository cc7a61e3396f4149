//! `value_avg`: the mean of a field over the events of the window that have it.

use super::{Finding, Kept, Kind, LooksAt, Settles, Window, numbers};

/// The type.
pub static KIND: Kind = Kind {
    name: "value_avg",
    needs_field: true,
    needs_bounds: true,
    takes_many_fields: false,
    takes_expression: false,
    looks_at: LooksAt::Windows,
    settles: |_| Settles::OnWatermark,
    open: |_, _| Box::new(ValueAvg),
    what: |condition| format!("as mean of {}", condition.fields.join(", ")),
};

struct ValueAvg;

impl Window for ValueAvg {
    fn look(&self, window: &[Kept]) -> Option<Finding> {
        let (chosen, numbers) = numbers(window);
        let metric = numbers.iter().sum::<f64>() / numbers.len() as f64;
        (!numbers.is_empty()).then_some(Finding { metric, chosen: Some(chosen) })
    }
}
