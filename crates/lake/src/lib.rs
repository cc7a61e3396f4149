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
mod order;
mod orphan;
mod parquet_file;
mod partition;
mod promotion;
mod remote;
mod retention;
mod rollup;
mod row_order;
mod scrub;
mod settings;
mod sidecar;
mod slice_index;
mod snapshot;
mod tree;
mod value_index;
mod version;
pub mod word;
mod word_index;
mod zone;

pub use error::LakeError;
pub use file_entry::{FileEntry, Level};
pub use inspection::{Fault, Inspection, Standing, Sum};
pub use lake::{Lake, SignalStats, Stats};
pub use memtable::{FrozenBatch, TraceIndex};
pub use partition::Partition;
pub use promotion::{Promoted, PromotedKey, texts_of};
pub use rollup::{Call, Cell, OTHER, Operation, Rollup, STEP_NANOS, Sketch, Table, Wanted, whole_steps};
pub use row_order::{GROUP_SLICES, SLICE_ROWS, slices_of};
pub use settings::{ObjectStore, Settings};
pub use slice_index::{SliceIndex, TraceFilter};
pub use snapshot::Snapshot;
pub use value_index::{Place, ValueIndex, value_hash};
pub use word_index::WordIndex;
pub use zone::Zone;
