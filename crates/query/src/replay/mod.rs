//! Stored events once more, in the order in which they happened: what a rule would have seen.
//!
//! The range is read window by window. A window is as long as the events in it fit into memory: it is halved when they do
//! not, doubled when there are few. Inside a window the rows of both signals are put in order of the time that rules go
//! by, the end of a span and the time of a log record, and handed out in batches. Each window is a query like any other:
//! it waits for a seat, has a deadline, and names a damaged file. What arrives after the replay began is left out.

mod ordering;
mod window;

use std::time::Duration;

use lake::FileEntry;
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, UnixNanos};

pub(crate) use ordering::in_order;

use crate::search::newest_lsn;
use crate::{Query, QueryError};
use window::{Dense, Read, Window};

/// Length of the first window, in nanoseconds.
const FIRST_NANOS: i64 = 60 * 1_000_000_000;
/// A window is not cut shorter than this; more events than fit that end within it are read piece by piece.
const SHORTEST_NANOS: i64 = 1_000_000;
/// A window that is fuller than one part in so many of its limit is not followed by a longer one.
const SPARSE_PARTS: usize = 3;
/// How often a window is tried again when the query threads have too much to do.
const ATTEMPTS: u32 = 30;
/// Pause before that.
const PAUSE: Duration = Duration::from_millis(500);

/// What to read, and how much at once.
#[derive(Debug, Clone)]
pub struct ReplayAsk {
    /// The time that rules go by: the end of a span, the time of a log record.
    pub range: TimeRange,
    /// Events in memory at once, in rows.
    pub window_rows: usize,
    /// Events in memory at once, in bytes.
    pub window_bytes: u64,
    /// Rows of one batch.
    pub batch_rows: usize,
    /// How far the events of one batch may lie apart; what is of two signals is in order only that far.
    pub batch_nanos: i64,
}

/// How far a replay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayProgress {
    /// Files with events of the range when it began.
    pub files: u64,
    /// Those that lie wholly behind.
    pub files_done: u64,
    /// Rows of these files and in memory, those outside of the range included.
    pub rows: u64,
    /// Events handed out.
    pub rows_done: u64,
    /// Everything before this moment was handed out.
    pub at: UnixNanos,
}

/// Events of one tenant, window by window.
#[derive(Debug)]
pub struct Replay {
    query: Query,
    tenant: TenantId,
    ask: ReplayAsk,
    /// The newest log position of each signal when it began.
    through: [Lsn; 2],
    /// When the events of each file end.
    ends: Vec<i64>,
    width_nanos: i64,
    dense: Option<Dense>,
    progress: ReplayProgress,
}

impl Query {
    /// Events of a range, from its beginning.
    pub fn replay(&self, tenant: &TenantId, ask: ReplayAsk) -> Replay {
        let mut through = [Lsn(0); 2];
        let mut ends = Vec::new();
        let mut progress = ReplayProgress { at: ask.range.start, ..ReplayProgress::default() };
        for (signal, through) in Signal::ALL.into_iter().zip(&mut through) {
            let snapshot = window::snapshot(&self.inner().lake, tenant, signal, &ask.range);
            *through = newest_lsn(&snapshot);
            progress.rows += snapshot.rows();
            ends.extend(snapshot.files.iter().map(|file| last_end(file).0));
        }
        ends.sort_unstable();
        progress.files = ends.len() as u64;
        let (query, tenant) = (self.clone(), tenant.clone());
        Replay { query, tenant, ask, through, ends, width_nanos: FIRST_NANOS, dense: None, progress }
    }
}

/// Events of one history that rules learn from; of a longer one the latest part is read.
pub const HISTORY_EVENTS: u64 = 20_000_000;
/// A history is not shortened below this.
const SHORTEST_HISTORY_NANOS: i64 = 3_600 * 1_000_000_000;

impl Query {
    /// The latest part of a range that does not hold more events, by what the catalog says: halved until it does not, or
    /// until it is no longer than an hour or two.
    pub fn latest_part(&self, tenant: &TenantId, whole: TimeRange, most_events: u64) -> TimeRange {
        let mut range = whole;
        loop {
            let half_nanos = range.end.0.saturating_sub(range.start.0) / 2;
            let ask = ReplayAsk { range, window_rows: 0, window_bytes: 0, batch_rows: 0, batch_nanos: 0 };
            if half_nanos < SHORTEST_HISTORY_NANOS || self.replay(tenant, ask).progress().rows <= most_events {
                return range;
            }
            range.start = range.end.plus(-half_nanos);
        }
    }
}

impl Replay {
    /// The batches of the next window that has any, in order; `None` at the end.
    ///
    /// # Errors
    /// [`QueryError::Damaged`], [`QueryError::Unreachable`], [`QueryError::Overloaded`] and [`QueryError::Timeout`] after
    /// trying for a while, or a fault of stored data. What was handed out is not handed out again.
    pub async fn next(&mut self) -> Result<Option<Vec<EventBatch>>, QueryError> {
        while self.progress.at < self.ask.range.end {
            let start = self.progress.at;
            let end = start.plus(self.width_nanos).min(self.ask.range.end);
            let is_shortest = end.0.saturating_sub(start.0) <= SHORTEST_NANOS;
            let window = Window {
                range: TimeRange { start, end },
                through: self.through,
                rows: self.ask.window_rows,
                bytes: self.ask.window_bytes,
                dense: self.dense.or(is_shortest.then(Dense::default)),
            };
            match self.read(window).await? {
                Read::TooMuch => self.width_nanos = ((end.0 - start.0) / 2).max(SHORTEST_NANOS),
                Read::Nothing { before } => {
                    // nothing happened up to there, however long that is
                    self.pass(before.max(end));
                    self.width_nanos = self.width_nanos.saturating_mul(2);
                }
                Read::Rows { batches, rows, dense } => {
                    self.progress.rows_done += rows as u64;
                    self.dense = dense;
                    if dense.is_none() {
                        self.pass(end);
                        if rows < self.ask.window_rows / SPARSE_PARTS {
                            self.width_nanos = self.width_nanos.saturating_mul(2);
                        }
                    }
                    if rows > 0 {
                        return Ok(Some(batches));
                    }
                }
            }
        }
        Ok(None)
    }

    /// How far it has come.
    pub fn progress(&self) -> ReplayProgress {
        self.progress
    }

    fn pass(&mut self, to: UnixNanos) {
        self.progress.at = to.min(self.ask.range.end);
        self.progress.files_done = self.ends.partition_point(|end| *end < self.progress.at.0) as u64;
    }

    async fn read(&self, window: Window) -> Result<Read, QueryError> {
        let mut attempt = 1;
        loop {
            let (tenant, window, ask) = (self.tenant.clone(), window.clone(), self.ask.clone());
            let read = self.query.run("replay", move |inner, _| async move { window.read(inner, tenant, ask).await });
            match read.await {
                Err(error) if error.kind().is_retryable() && attempt < ATTEMPTS && !is_of_file(&error) => {
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                read => return read,
            }
        }
    }
}

/// Whether asking again at once makes no sense: a file is at fault.
fn is_of_file(error: &QueryError) -> bool {
    matches!(error, QueryError::Damaged { .. } | QueryError::Unreachable { .. })
}

/// When the last event of a file ends.
fn last_end(file: &FileEntry) -> UnixNanos {
    file.zone.max_time.plus(file.zone.max_duration_nanos)
}
