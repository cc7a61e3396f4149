//! How much the lake may hold, where and for how long.

use std::path::PathBuf;
use std::time::Duration;

/// What a person may set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The lake's own directory; made when absent.
    pub dir: PathBuf,
    /// Bytes of events in memory past which [`crate::Lake::is_full`] holds. A request already accepted may still pass it.
    /// At most 1 GiB, so that the columns of one flush keep 32-bit offsets.
    pub memtable_limit_bytes: u64,
    /// Bytes of events in memory past which [`crate::Lake::wants_flush`] holds.
    pub flush_bytes: u64,
    /// Age of the oldest unflushed event past which [`crate::Lake::wants_flush`] holds.
    pub flush_interval: Duration,
    /// How long events are kept, by their own time; whole hours are dropped once their last moment is older.
    pub retention: Duration,
    /// How long a retired file stays on disk at least; longer than the longest query.
    pub unlink_grace: Duration,
    /// Share of one core that merging files may take, 0 to 1; 0 turns it off.
    pub compaction_share: f64,
    /// Hour files one flush writes per tenant and signal at most; events of further hours go to one `odd` file.
    pub max_hours_per_flush: usize,
}

impl Settings {
    /// The most [`Settings::memtable_limit_bytes`] may be.
    pub const MAX_MEMTABLE_LIMIT_BYTES: u64 = 1 << 30;

    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            memtable_limit_bytes: 192 << 20,
            flush_bytes: 64 << 20,
            flush_interval: Duration::from_secs(30),
            retention: Duration::from_secs(14 * 24 * 3_600),
            unlink_grace: Duration::from_secs(10 * 60),
            compaction_share: 0.35,
            max_hours_per_flush: 48,
        }
    }
}
