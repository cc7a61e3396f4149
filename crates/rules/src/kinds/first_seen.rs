//! `first_seen`: values that a group has not shown before, once it has been watched for long enough.
//!
//! Not a window over a group: [`crate::baseline`] remembers what is usual.

use super::{Kind, LooksAt, NoWindow, Settles};

/// The type.
pub static KIND: Kind = Kind {
    name: "first_seen",
    needs_field: false,
    needs_bounds: false,
    takes_many_fields: true,
    takes_expression: false,
    looks_at: LooksAt::Baselines,
    settles: |_| Settles::OnWatermark,
    open: |_, _| Box::new(NoWindow),
    what: |_| "values".to_owned(),
};
