//! `trace_pattern`: steps that one trace took and left out, and how their spans lie to each other.
//!
//! Not a window over a group: [`crate::trace`] holds the spans and finds the steps among them.

use super::{Kind, LooksAt, NoWindow, Settles};

/// The type.
pub static KIND: Kind = Kind {
    name: "trace_pattern",
    needs_field: false,
    needs_bounds: false,
    takes_many_fields: false,
    takes_expression: false,
    looks_at: LooksAt::Traces,
    settles: |_| Settles::OnWatermark,
    open: |_, _| Box::new(NoWindow),
    what: |_| "steps of a trace".to_owned(),
};
