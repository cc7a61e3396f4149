//! `deviation`: a stretch of time in which a group's events come to far more than they do at other times.
//!
//! Not a window over a group: [`crate::baseline`] remembers what is usual.

use super::{Kind, LooksAt, NoWindow, Settles};

/// The type.
pub static KIND: Kind = Kind {
    name: "deviation",
    needs_field: false,
    needs_bounds: false,
    takes_many_fields: true,
    takes_expression: false,
    looks_at: LooksAt::Baselines,
    settles: |_| Settles::OnWatermark,
    open: |_, _| Box::new(NoWindow),
    what: |condition| condition.fields.join(", "),
};
