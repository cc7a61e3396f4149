//! What a person may set about the log.

use std::path::PathBuf;
use std::time::Duration;

use model::Lsn;
use runtime::KeyRing;

/// Smallest segment, so that a tiny budget still makes a log.
const MIN_SEGMENT_BYTES: u64 = 4 * 1024;
/// Segments a budget is cut into at least: room comes back one segment at a time.
const SEGMENTS_PER_BUDGET: u64 = 4;

/// When bytes are forced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Before an append resolves: one fsync for all frames that were waiting. Nothing acknowledged is ever lost.
    Always,
    /// At most this long after an append resolved. **Loss window:** when the machine stops (power, kernel), frames
    /// acknowledged in the last interval, and while an fsync runs, in the time it takes, may be gone although their
    /// sender was told otherwise. A crash or kill of this process alone loses nothing: the bytes are with the kernel.
    Interval(Duration),
}

/// Where the log lies and how much it may hold.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of segments, cursors and quarantine; made when absent.
    pub dir: PathBuf,
    /// Preallocated size of one segment in bytes; never more than a quarter of the budget. The largest frame is a
    /// segment less 88 bytes.
    pub segment_bytes: u64,
    /// Most bytes of segments on disk. Past it appends answer [`crate::WalError::Full`] until readers advance.
    /// Quarantined segments are not counted.
    pub budget_bytes: u64,
    /// Bytes that must stay free on the disk. Below it appends answer [`crate::WalError::Full`].
    pub reserve_bytes: u64,
    /// Most payload bytes in memory that wait for their fsync. Past it appends answer [`crate::WalError::QueueFull`].
    pub queue_bytes: u64,
    /// When bytes are forced to disk.
    pub sync: SyncMode,
    /// New positions are greater than this, whatever the directory says. Give the highest position that any other
    /// store knows, so that a lost log directory cannot make positions repeat.
    pub floor: Lsn,
    /// Keys that payloads are encrypted with, unless they are off.
    pub keys: KeyRing,
}

impl Settings {
    /// The defaults: 256 MiB segments, 4 GiB budget, 1 GiB reserve, 64 MiB queue, fsync before every acknowledgement.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 256 << 20,
            budget_bytes: 4 << 30,
            reserve_bytes: 1 << 30,
            queue_bytes: 64 << 20,
            sync: SyncMode::Always,
            floor: Lsn(0),
            keys: KeyRing::default(),
        }
    }

    /// The segment size that the budget allows.
    pub(crate) fn effective_segment_bytes(&self) -> u64 {
        let wanted = self.segment_bytes.min(self.budget_bytes / SEGMENTS_PER_BUDGET);
        // frames begin on multiples of eight, and so segments end on one
        wanted.max(MIN_SEGMENT_BYTES) / 8 * 8
    }
}
