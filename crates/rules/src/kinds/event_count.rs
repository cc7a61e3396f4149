//! `event_count`: how many events the window holds.

use super::{Finding, Kept, Kind, LooksAt, Settles, Window};
use crate::rule::Condition;

/// The type.
pub static KIND: Kind = Kind {
    name: "event_count",
    needs_field: false,
    needs_bounds: true,
    takes_many_fields: false,
    takes_expression: false,
    looks_at: LooksAt::Windows,
    settles,
    open: |_, _| Box::new(EventCount),
    what: |_| "events".to_owned(),
};

fn settles(condition: &Condition) -> Settles {
    if condition.only_lower_bounds() { Settles::OnArrival } else { Settles::OnWatermark }
}

struct EventCount;

impl Window for EventCount {
    fn look(&self, window: &[Kept]) -> Option<Finding> {
        Some(Finding::of_all(window.len() as f64))
    }
}
