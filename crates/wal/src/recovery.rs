//! What is done before the log is used: total, bounded in memory, and the same when done twice.
//!
//! | found | done |
//! |---|---|
//! | empty file, short file, header only | normal: removed once a new segment stands |
//! | bytes after the last whole frame of the last segment | a write that was cut off: truncated, counted |
//! | a bad frame before a whole one, or anywhere in an earlier segment | the segment's bytes are kept under `quarantine/`, counted; whole frames before and after are read |
//! | a damaged header | the same; the name of the file says what the header said |
//! | a damaged cursor file | counted; readers begin at the first segment |
//! | a file of a newer version | refused: the only case besides an unreadable directory |

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use metrics::counter;
use model::Lsn;
use runtime::{directory, metric};

use crate::cursor::Cursors;
use crate::frame::MIN_FRAME_BYTES;
use crate::scan::{Scan, Step};
use crate::segment::{self, HeaderState, SegmentName};
use crate::shelf::{Row, quarantine};
use crate::{Settings, WalError, disk};

/// What was found when the log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// The next frame gets this position; greater than any ever given.
    pub next: Lsn,
    /// Whole frames on disk, read or not.
    pub frames: u64,
    /// Segments that were cut after their last whole frame: 0 or 1.
    pub torn_tails: u64,
    /// Bytes cut off.
    pub torn_bytes: u64,
    /// Segments with damage that is not a torn tail. Their bytes are under `quarantine/`.
    pub quarantined_segments: u64,
    /// Segments that held nothing.
    pub empty_segments: u64,
    /// Whether the cursor file was damaged, so that readers begin again.
    pub cursors_lost: bool,
}

/// The log as it stands after recovery, before a segment to write to is made.
pub(crate) struct Recovered {
    pub rows: Vec<Row>,
    /// Files that hold nothing; to be removed when a new segment stands, because their names still say how far positions went.
    pub empty: Vec<PathBuf>,
    pub cursors: Cursors,
    /// Position of the last frame that is known.
    pub end: Lsn,
    pub recovery: Recovery,
}

/// Reads the directory, mends what a crash left, and says where to go on.
pub(crate) fn recover(settings: &Settings) -> Result<Recovered, WalError> {
    let dir = &settings.dir;
    directory::make(dir).map_err(WalError::io("make directory", dir))?;
    let mut recovery = Recovery::default();
    let cursors = Cursors::load(dir).map_err(WalError::io("read cursors in", dir))?;
    recovery.cursors_lost = cursors.is_none();
    if recovery.cursors_lost {
        counter!(metric::WAL_DAMAGE, "what" => "cursors").increment(1);
        tracing::error!(dir = %dir.display(), "cursors of the write-ahead log are damaged; readers begin again");
    }
    let cursors = cursors.unwrap_or_default();
    let files = unfinished(dir, list(dir)?, cursors.lowest())?;

    let mut end = cursors.highest();
    let mut next = Lsn(end.max(settings.floor).0 + 1);
    let (mut rows, mut empty) = (Vec::new(), Vec::new());
    for (index, segment) in files.iter().enumerate() {
        let is_last = index + 1 == files.len();
        let found = examine(segment)?;
        recovery.frames += found.frames;
        end = end.max(found.last);
        // frames that were cut off had positions too, at most one for every smallest frame
        let lost = found.tail_bytes.div_ceil(MIN_FRAME_BYTES);
        let following = segment.name.first.0.max(found.last.0.saturating_add(1));
        next = next.max(Lsn(following.saturating_add(lost)));
        match settle(settings, segment, is_last, &found, &mut recovery)? {
            Some(row) => rows.push(row),
            None => empty.push(segment.path.clone()),
        }
    }
    recovery.next = next;
    Ok(Recovered { rows, empty, cursors, end, recovery })
}

/// A segment as it lies in the directory.
#[derive(Debug)]
struct Segment {
    /// What the header says, or the file name when the header cannot say it.
    name: SegmentName,
    path: PathBuf,
    file_bytes: u64,
    header: HeaderState,
}

/// Every segment of the directory in order of position.
fn list(dir: &Path) -> Result<Vec<Segment>, WalError> {
    let failed = || WalError::io("list directory", dir);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let Some(named) = entry.file_name().to_str().and_then(SegmentName::parse) else { continue };
        let path = entry.path();
        let file = File::open(&path).map_err(WalError::io("open segment", &path))?;
        let file_bytes = file.metadata().map_err(WalError::io("measure segment", &path))?.len();
        let header = segment::read_header(&file, file_bytes);
        let header = header.unwrap_or_else(|error| unreadable(&path, &error, HeaderState::Damaged));
        let name = match header {
            HeaderState::Whole(name) => name,
            HeaderState::Newer(version) => {
                return Err(WalError::NewerVersion { path, version, newest: segment::VERSION });
            }
            HeaderState::Unwritten | HeaderState::Damaged => named,
        };
        found.push(Segment { name, path, file_bytes, header });
    }
    found.sort_by_key(|segment| segment.name);
    Ok(found)
}

/// Removes segments that every reader has finished with: a crash came between the cursor and the removal.
fn unfinished(dir: &Path, mut files: Vec<Segment>, through: Lsn) -> Result<Vec<Segment>, WalError> {
    let finished = files.windows(2).take_while(|pair| pair[1].name.first.0 <= through.0.saturating_add(1)).count();
    for Segment { path, .. } in files.drain(..finished) {
        fs::remove_file(&path).map_err(WalError::io("remove segment", &path))?;
    }
    if finished > 0 {
        disk::sync_dir(dir).map_err(WalError::io("sync directory", dir))?;
    }
    Ok(files)
}

/// What a segment holds.
#[derive(Debug, Default)]
struct Found {
    frames: u64,
    /// Position of the last whole frame; zero when there is none.
    last: Lsn,
    /// Where the last whole frame ends.
    len_bytes: u64,
    /// Damage before a whole frame, or a damaged header.
    is_damaged_inside: bool,
    /// Bytes that were written after the last whole frame.
    tail_bytes: u64,
}

fn examine(segment: &Segment) -> Result<Found, WalError> {
    let Segment { name, ref path, file_bytes, header } = *segment;
    let file = File::open(path).map_err(WalError::io("open segment", path))?;
    let mut found = Found {
        len_bytes: segment::HEADER_BYTES.min(file_bytes),
        is_damaged_inside: header == HeaderState::Damaged,
        ..Found::default()
    };
    // frames under a header that was never written: the header was lost after them
    let mut is_damage_open = header == HeaderState::Unwritten;
    let mut scan = Scan::new(name);
    loop {
        let rest = Step::Rest { written_bytes: file_bytes.saturating_sub(found.len_bytes) };
        match scan.step(&file, file_bytes).unwrap_or_else(|error| unreadable(path, &error, rest)) {
            Step::Frame { at, header } => {
                if scan.is_whole(&file, at, &header).unwrap_or_else(|error| unreadable(path, &error, false)) {
                    found.is_damaged_inside |= is_damage_open;
                    is_damage_open = false;
                    found.frames += 1;
                    found.last = header.lsn;
                    found.len_bytes = at + header.size_bytes();
                    found.tail_bytes = 0;
                } else {
                    is_damage_open = true;
                    found.tail_bytes = at + header.size_bytes() - found.len_bytes;
                }
            }
            Step::Damage => is_damage_open = true,
            Step::Rest { written_bytes } => {
                found.tail_bytes += written_bytes;
                return Ok(found);
            }
        }
    }
}

/// Decides what a segment is, mends it, and gives its row; `None` when it holds nothing.
fn settle(
    settings: &Settings,
    segment: &Segment,
    is_last: bool,
    found: &Found,
    recovery: &mut Recovery,
) -> Result<Option<Row>, WalError> {
    let path = &segment.path;
    let is_torn = is_last && found.tail_bytes > 0;
    let is_damaged = found.is_damaged_inside || (!is_last && found.tail_bytes > 0);
    if is_torn {
        counter!(metric::WAL_DAMAGE, "what" => "torn_tail").increment(1);
        tracing::warn!(segment = %path.display(), at = found.len_bytes, bytes = found.tail_bytes, "write-ahead log ends in a torn write; cut off");
        recovery.torn_tails += 1;
        recovery.torn_bytes += found.tail_bytes;
    }
    if is_damaged {
        quarantine(&settings.dir, path);
        recovery.quarantined_segments += 1;
    }
    let mut file_bytes = segment.file_bytes;
    // bytes in quarantine are the same file, and stay as they were found
    if is_last && !is_damaged && found.len_bytes < segment.file_bytes {
        truncate(path, found.len_bytes).map_err(WalError::io("truncate segment", path))?;
        file_bytes = found.len_bytes;
    }
    if found.frames == 0 && !is_damaged {
        recovery.empty_segments += 1;
        return Ok(None);
    }
    Ok(Some(Row { name: segment.name, path: path.to_owned(), len_bytes: found.len_bytes, file_bytes, is_damaged }))
}

fn truncate(path: &Path, len_bytes: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_len(len_bytes)?;
    file.sync_all()
}

fn unreadable<V>(path: &Path, error: &io::Error, instead: V) -> V {
    tracing::error!(segment = %path.display(), %error, "cannot read on in a segment of the write-ahead log");
    instead
}
