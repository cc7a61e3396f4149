//! Where events live once they are durable: memory first, then Parquet.
//!
//! *Owns* the memtable, the file layout, Parquet writing, the catalog, retention and snapshots. *Promises* that a
//! snapshot sees each inserted event exactly once, whether it lies in memory or in a file, and that the mark never
//! passes an event that is not in a committed file. *Refuses to know* rules, query text, and where events come from.

mod catalog;
mod compaction;
mod cover;
mod disk;
mod error;
mod file_entry;
mod flush;
mod guard;
mod inspection;
mod lake;
mod layout;
mod memtable;
mod merge;
mod opening;
mod orphan;
mod parquet_file;
mod partition;
mod remote;
mod retention;
mod row_order;
mod scrub;
mod settings;
mod sidecar;
mod slice_index;
mod snapshot;
mod tree;
mod value_index;
mod version;
mod zone;

pub use error::LakeError;
pub use file_entry::{FileEntry, Level};
pub use inspection::{Fault, Inspection, Standing, Sum};
pub use lake::{Lake, SignalStats, Stats};
pub use memtable::{FrozenBatch, TraceIndex};
pub use partition::Partition;
pub use settings::{ObjectStore, Settings};
pub use slice_index::SliceIndex;
pub use snapshot::Snapshot;
pub use value_index::{Place, ValueIndex, value_hash};
pub use zone::Zone;
