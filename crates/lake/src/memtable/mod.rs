//! Events that are not in a file yet.

mod frozen;
mod generation;
mod table;
mod trace_index;

pub use frozen::FrozenBatch;
pub use trace_index::TraceIndex;

pub(crate) use generation::{Generation, TableKey};
pub(crate) use table::Table;
