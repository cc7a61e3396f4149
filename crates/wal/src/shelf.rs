//! The segments on disk: which there are, how far they are read, how much room is left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use metrics::{counter, gauge};
use model::Lsn;
use runtime::metric;

use crate::cursor::Cursors;
use crate::segment::{Active, SegmentName};
use crate::{ReaderName, Settings, WalError, disk};

/// Folder of copies of damaged segments, kept for people.
pub(crate) const QUARANTINE: &str = "quarantine";
/// A segment with less than this part left may be too full for a large request: `has_room` asks for a new one then.
const ROOM_FRACTION: u64 = 4;

/// One segment.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub name: SegmentName,
    pub path: PathBuf,
    /// Where the last frame that may be read ends.
    pub len_bytes: u64,
    /// Size of the file.
    pub file_bytes: u64,
    /// Whether damage was found in it and its bytes are in quarantine.
    pub is_damaged: bool,
}

#[derive(Debug, Default)]
struct State {
    /// In order of position; the last one may be the active one.
    rows: Vec<Row>,
    /// Bytes left for frames in the active segment; zero when there is none.
    active_room_bytes: u64,
}

/// Shared by the writer, the readers and the handles.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub settings: Settings,
    state: Mutex<State>,
    /// Held while the cursor file is replaced, so that cursors never go back.
    cursors: Mutex<Cursors>,
    end: AtomicU64,
    fsyncs: AtomicU64,
    failure: OnceLock<String>,
}

impl Shelf {
    pub(crate) fn new(settings: Settings, rows: Vec<Row>, cursors: Cursors, end: Lsn) -> Self {
        gauge!(metric::WAL_BUDGET_BYTES).set(settings.budget_bytes as f64);
        gauge!(metric::WAL_FAILED).set(0.0);
        gauge!(metric::WAL_END).set(end.0 as f64);
        for who in ReaderName::ALL {
            gauge!(metric::WAL_CURSOR, "reader" => who.as_str()).set(cursors.get(who).0 as f64);
        }
        let shelf = Self {
            settings,
            state: Mutex::new(State { rows, active_room_bytes: 0 }),
            cursors: Mutex::new(cursors),
            end: AtomicU64::new(end.0),
            fsyncs: AtomicU64::new(0),
            failure: OnceLock::new(),
        };
        shelf.report(&shelf.state());
        shelf
    }

    pub(crate) fn end(&self) -> Lsn {
        Lsn(self.end.load(Ordering::Acquire))
    }

    pub(crate) fn cursor(&self, who: ReaderName) -> Lsn {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).get(who)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.state().rows.iter().map(|row| row.file_bytes).sum()
    }

    pub(crate) fn fsyncs(&self) -> u64 {
        self.fsyncs.load(Ordering::Relaxed)
    }

    pub(crate) fn count_fsync(&self) {
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
    }

    /// Puts a new segment on the shelf; the one before it has `sealed_bytes` now.
    pub(crate) fn add(&self, active: &Active, sealed_bytes: Option<u64>) {
        let mut state = self.state();
        if let (Some(bytes), Some(last)) = (sealed_bytes, state.rows.last_mut()) {
            last.file_bytes = bytes;
        }
        state.rows.push(Row {
            name: active.name,
            path: active.path.clone(),
            len_bytes: active.len_bytes,
            file_bytes: active.capacity_bytes,
            is_damaged: false,
        });
        state.active_room_bytes = active.room_bytes();
        self.report(&state);
    }

    /// The active segment was closed and given its final size.
    pub(crate) fn sealed(&self, bytes: u64) {
        let mut state = self.state();
        state.active_room_bytes = 0;
        if let Some(last) = state.rows.last_mut() {
            last.file_bytes = bytes;
        }
        self.report(&state);
    }

    /// Lets readers see everything through `end`.
    pub(crate) fn publish(&self, active: &Active, end: Lsn) {
        let mut state = self.state();
        if let Some(last) = state.rows.last_mut() {
            last.len_bytes = active.len_bytes;
        }
        state.active_room_bytes = active.room_bytes();
        drop(state);
        self.end.store(end.0, Ordering::Release);
        gauge!(metric::WAL_END).set(end.0 as f64);
    }

    /// Whether the disk is above its reserve with `more_bytes` taken from it.
    pub(crate) fn check_reserve(&self, more_bytes: u64) -> Result<(), WalError> {
        let dir = &self.settings.dir;
        let free_bytes = disk::free_bytes(dir).map_err(WalError::io("measure free space of", dir))?;
        gauge!(metric::DISK_FREE_BYTES).set(free_bytes as f64);
        gauge!(metric::DISK_RESERVE_BYTES).set(self.settings.reserve_bytes as f64);
        if free_bytes < self.settings.reserve_bytes.saturating_add(more_bytes) {
            let reserve_bytes = self.settings.reserve_bytes;
            let reason = format!("{free_bytes} bytes are free on the disk and {reserve_bytes} must stay free");
            return Err(WalError::Full { reason });
        }
        Ok(())
    }

    /// Whether one more segment is within the budget and the disk has room for it.
    pub(crate) fn check_new_segment(&self) -> Result<(), WalError> {
        let segment_bytes = self.settings.effective_segment_bytes();
        let (used_bytes, budget_bytes) = (self.bytes(), self.settings.budget_bytes);
        if used_bytes.saturating_add(segment_bytes) > budget_bytes {
            let reason = format!("{used_bytes} of the budget of {budget_bytes} bytes are used by frames not read yet");
            return Err(WalError::Full { reason });
        }
        self.check_reserve(segment_bytes)
    }

    pub(crate) fn has_room(&self) -> bool {
        let enough_bytes = self.settings.effective_segment_bytes() / ROOM_FRACTION;
        if self.state().active_room_bytes >= enough_bytes {
            return self.check_reserve(0).is_ok();
        }
        self.check_new_segment().is_ok()
    }

    /// Stops the log for good. The first reason stays.
    pub(crate) fn fail(&self, reason: &str) {
        if self.failure.set(reason.to_owned()).is_ok() {
            gauge!(metric::WAL_FAILED).set(1.0);
            tracing::error!(reason, "write-ahead log stopped; restart to write again");
        }
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Moves a cursor forward durably, then deletes the segments that nobody needs. Going back does nothing.
    pub(crate) fn advance(&self, who: ReaderName, through: Lsn) -> Result<(), WalError> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let through = through.min(self.end());
        if through <= cursors.get(who) {
            return Ok(());
        }
        let mut moved = *cursors;
        moved.set(who, through);
        let dir = &self.settings.dir;
        moved.store(dir).map_err(WalError::io("store cursors in", dir))?;
        *cursors = moved;
        gauge!(metric::WAL_CURSOR, "reader" => who.as_str()).set(through.0 as f64);
        self.trim(moved.lowest())
    }

    /// Deletes segments wholly at or below `through`. The last one always stays: its name tells where positions go on.
    fn trim(&self, through: Lsn) -> Result<(), WalError> {
        let rows = self.state().rows.clone();
        let finished = rows.windows(2).take_while(|pair| pair[1].name.first.0 <= through.0.saturating_add(1));
        let mut removed = Vec::new();
        for row in finished.map(|pair| &pair[0]) {
            match fs::remove_file(&row.path) {
                Ok(()) => removed.push(row.name),
                Err(error) if error.kind() == io::ErrorKind::NotFound => removed.push(row.name),
                Err(error) => return Err(WalError::io("remove segment", &row.path)(error)),
            }
        }
        if removed.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        state.rows.retain(|row| !removed.contains(&row.name));
        self.report(&state);
        Ok(())
    }

    /// The segment in which the frame after `after` is, or the first one later.
    pub(crate) fn segment_for(&self, after: Lsn) -> Option<Row> {
        let state = self.state();
        let later = state.rows.partition_point(|row| row.name.first.0 <= after.0.saturating_add(1));
        state.rows.get(later.saturating_sub(1)).cloned()
    }

    /// The segment that follows the one that begins with `first`.
    pub(crate) fn segment_after(&self, first: Lsn) -> Option<Row> {
        self.state().rows.iter().find(|row| row.name.first > first).cloned()
    }

    /// Where the readable part of a segment ends; `None` when it is gone from the shelf.
    pub(crate) fn len_of(&self, name: SegmentName) -> Option<u64> {
        self.state().rows.iter().find(|row| row.name == name).map(|row| row.len_bytes)
    }

    /// A reader met damage: keeps the segment's bytes and counts it, once.
    pub(crate) fn report_damage(&self, name: SegmentName) {
        let mut state = self.state();
        let Some(row) = state.rows.iter_mut().find(|row| row.name == name && !row.is_damaged) else { return };
        row.is_damaged = true;
        let path = row.path.clone();
        drop(state);
        quarantine(&self.settings.dir, &path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, state: &State) {
        let bytes: u64 = state.rows.iter().map(|row| row.file_bytes).sum();
        gauge!(metric::WAL_BYTES).set(bytes as f64);
    }
}

/// Keeps the bytes of a damaged segment under `quarantine/` and counts it. A second name for the same bytes where the
/// file system has hard links (costs nothing, even on a full disk), else a copy. Not being able to is logged, not fatal:
/// the log goes on with what is whole.
pub(crate) fn quarantine(dir: &Path, segment: &Path) {
    counter!(metric::WAL_DAMAGE, "what" => "quarantined_segment").increment(1);
    tracing::error!(segment = %segment.display(), "segment of the write-ahead log is damaged; whole frames are still read");
    if let Err(error) = keep(dir, segment) {
        tracing::error!(segment = %segment.display(), %error, "cannot keep the bytes of the damaged segment");
    }
}

fn keep(dir: &Path, segment: &Path) -> io::Result<()> {
    let folder = dir.join(QUARANTINE);
    fs::create_dir_all(&folder)?;
    let kept = folder.join(segment.file_name().unwrap_or_default());
    if kept.exists() {
        return Ok(());
    }
    if fs::hard_link(segment, &kept).is_err() {
        let aside = kept.with_extension("tmp");
        fs::copy(segment, &aside)?;
        fs::File::open(&aside)?.sync_all()?;
        fs::rename(&aside, &kept)?;
    }
    disk::sync_dir(&folder)?;
    disk::sync_dir(dir)
}
