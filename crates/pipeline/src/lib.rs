//! The two walkers of the corridor behind the log: `archive` fills the lake, `detect` feeds the rules.
//!
//! *Owns* the order in which a durable frame becomes visible, archived and judged, the walkers' checkpoints and the
//! folder of rules. *Promises* that each walker sees every frame, in log order, again after a crash from where its
//! checkpoint stands, and that the log is trimmed only behind both. *Refuses to know* HTTP and sockets.

pub mod archive;
pub mod checkpoint;
pub mod corridor;
pub mod detect;
pub mod frame;
pub mod history;
pub mod peek;
pub mod places;
pub mod replay;
pub mod shelf;
mod tally;

mod quiet;

pub use corridor::Corridor;
pub use peek::Peek;
pub use shelf::RuleShelf;
