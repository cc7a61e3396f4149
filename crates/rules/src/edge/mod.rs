//! Calls between services, as spans tell of them.
//!
//! A call shows from the side that is called: a server or consumer span whose parent belongs to another service, or that
//! has no parent and so came from outside. And it shows from the caller's side: a client or producer span that names the
//! other side in `service.peer.name`, which is all there is to see of a database that sends no spans.
//!
//! | file | what it answers |
//! |---|---|
//! | `side.rs` | which side of a call a row is |
//! | `operation.rs` | what is asked for, in one text |
//! | `memory.rs` | whose span the parent is, whichever of the two arrives first |
//! | `saved.rs` | how that is written down |

pub mod memory;
pub mod operation;
pub mod saved;
pub mod side;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use model::EventId;

/// A call from one service to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When the span that tells of it ended.
    pub at: i64,
    pub caller: Caller,
    /// The service that is called.
    pub callee: Arc<str>,
    /// What is asked for; `None` where the span does not say.
    pub operation: Option<Arc<str>>,
    /// Whether it is known from the caller alone, who names the other side: that side may tell of it as well.
    pub is_named: bool,
    /// The spans that show it, the caller's first.
    pub events: Vec<EventId>,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A service.
    Service(Arc<str>),
    /// The span has no parent: the request came from outside.
    External,
    /// The span names a parent that did not come.
    Unknown,
}
