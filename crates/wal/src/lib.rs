//! The write-ahead log: the spine that every accepted request passes before it is answered.
//!
//! *Owns* segments, frames, group commit with fsync, replay, the cursors of the two readers, trimming and the disk
//! budget. *Promises* that a frame whose [`Wal::append`] resolved is on disk (see [`SyncMode`] for the one exception),
//! that positions only grow and are never given twice, and that opening always ends, whatever the files hold.
//! *Refuses to know* what is inside a payload, Parquet and rules.
//!
//! The directory is expected to be locked by whoever opens it: two processes must not share one log.

mod cover;
mod cursor;
mod disk;
mod error;
mod frame;
mod log;
mod queue;
mod reader;
mod recovery;
mod scan;
mod segment;
mod settings;
mod shelf;
mod writer;

pub use cursor::ReaderName;
pub use error::WalError;
pub use frame::{Format, Frame};
pub use log::{Appending, Wal};
pub use reader::{Entry, Reader};
pub use recovery::Recovery;
pub use settings::{Settings, SyncMode};
