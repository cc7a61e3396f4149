//! What spans and logs inherit: fields of the entry span of their trace, `entry.*`, and of their parent, `parent.*`.
//!
//! The entry span of a row is the root of its trace; where the root lacks a field, the topmost server span on the way
//! from the root down to the row, itself included. `parent.*` is the span right above; above a log record stands the
//! span it names.
//!
//! A parent ends after its children, so a row mostly comes before the spans it inherits from. It is held: what its rule
//! asks of the row itself is answered at once, and a row that cannot match is let go. The others wait
//!
//! * until the way up to the root is known, which later spans cannot change any more; or
//! * until the watermark has passed [`REACH_NANOS`] after the row's own time. Then the first root of the trace counts,
//!   though the way up to it has gaps, then the topmost server span that was found; what nobody said is absent.
//!
//! Spans that lie further than [`REACH_NANOS`] from the row in time, to either side, are as if not there. So what a row
//! inherits follows from the events alone, and the order of arrival decides nothing.
//!
//! A row that was held takes part at its own time. Correlations it is fed to therefore lag behind the watermark by that
//! reach, and so do those that build on them; no other rule is touched.
//!
//! | file | what it answers |
//! |---|---|
//! | `plan.rs` | which fields are inherited by whom, found out once for a set of rules |
//! | `facts.rs` | what is remembered of the spans that others inherit from |
//! | `row.rs` | what is kept of a row, and whether it matches in the end |
//! | `held.rs` | which rows wait, and for what |
//! | `deal.rs` | how rows come in, and go on to rules and correlations |
//! | `lines.rs` | which lines of a file match |
//! | `saved.rs` | how that is written down |

pub mod deal;
pub mod facts;
pub mod held;
pub mod lines;
pub mod plan;
pub mod row;
pub mod saved;

/// How far, in time, a row may lie from a span it inherits from, in nanoseconds.
pub const REACH_NANOS: i64 = 30 * 1_000_000_000;

/// Fields of the entry span; also of the parent.
pub const FIELDS: [&str; 9] = [
    "client.address",
    "user.id",
    "user.roles",
    "session.id",
    "user_agent.original",
    "http.route",
    "http.request.method",
    "url.path",
    "service.name",
];

/// Fields of the parent alone.
pub const FIELDS_OF_PARENT: [&str; 3] = ["name", "kind", "status"];

/// Whom a field is inherited from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ancestor {
    /// The entry span of the trace.
    Entry,
    /// The span right above.
    Parent,
}

/// Whom a field is inherited from, and what it is called there; `None` when it is the row's own.
pub fn parse(field: &str) -> Option<(Ancestor, &str)> {
    if let Some(inner) = field.strip_prefix("entry.") {
        return FIELDS.contains(&inner).then_some((Ancestor::Entry, inner));
    }
    let inner = field.strip_prefix("parent.")?;
    (FIELDS.contains(&inner) || FIELDS_OF_PARENT.contains(&inner)).then_some((Ancestor::Parent, inner))
}

/// What is wrong with a field that looks inherited and is not, with a hint.
pub fn fault(field: &str) -> Option<(String, String)> {
    let known = match field.split_once('.')?.0 {
        "entry" => FIELDS.join(", "),
        "parent" => [FIELDS.as_slice(), &FIELDS_OF_PARENT].concat().join(", "),
        _ => return None,
    };
    let message = format!("{field:?} is not inherited");
    parse(field).is_none().then(|| (message, format!("inherited are {known}")))
}

#[cfg(test)]
mod tests;
