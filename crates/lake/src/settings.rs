//! How much the lake may hold, where and for how long.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use runtime::KeyRing;

use crate::{Level, SLICE_ROWS};

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
    /// Rows from which a merged file has columns for attributes that no convention names (see [`crate::Promoted`]); in smaller
    /// ones a column costs more than it saves.
    pub promote_from_rows: u64,
    /// Where sealed files go; `None` keeps everything on the local disk.
    pub object_store: Option<ObjectStore>,
    /// Keys that files are encrypted with, unless they are off.
    pub keys: KeyRing,
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
            promote_from_rows: SLICE_ROWS as u64,
            object_store: None,
            keys: KeyRing::default(),
        }
    }
}

/// Storage that speaks the S3 protocol. What is not said here comes from the usual `AWS_*` variables.
#[derive(Clone, PartialEq)]
pub struct ObjectStore {
    /// `s3://bucket/prefix`; the prefix is for this lake alone.
    pub url: String,
    /// Where it listens, as in `https://minio.example:9000`; `None` is the one of its region.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Who we are there.
    pub access_key_id: Option<String>,
    /// And how we show it.
    pub secret_access_key: Option<String>,
    /// Levels whose files go there.
    pub levels: Vec<Level>,
    /// How old a file is at least when it goes there.
    pub min_age: Duration,
    /// Bytes of such files that stay on the local disk, or come back to it when they are read. A file that is larger, or
    /// being merged, may pass it.
    pub cache_bytes: u64,
    /// How long one request may take, and how long it is tried again.
    pub patience: Duration,
}

impl ObjectStore {
    /// The defaults, at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            levels: vec![Level::L2],
            min_age: Duration::from_secs(10 * 60),
            cache_bytes: 10 << 30,
            patience: Duration::from_secs(20),
        }
    }
}

impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // without the secret
        let Self { url, endpoint, region, levels, min_age, cache_bytes, .. } = self;
        f.debug_struct("ObjectStore")
            .field("url", url)
            .field("endpoint", endpoint)
            .field("region", region)
            .field("levels", levels)
            .field("min_age", min_age)
            .field("cache_bytes", cache_bytes)
            .finish_non_exhaustive()
    }
}
