//! Thousands of torn tails and changed bytes: what was durable is read as it was written, or not at all, and never less
//! than what lies outside the damage.
//!
//! A short run is part of the tests; `TRACEHOUND_FAULTS=full` makes it the full one. Seeds are printed.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use wal::{Entry, Recovery};

use crate::dice::Dice;
use crate::{frame, lsns, open, read_all, segments};

/// Cases of a short run and of a full one.
const CASES: (u64, u64) = (250, 5_000);
/// Bytes of a segment's header.
const HEADER_BYTES: u64 = 64;
/// Damage comes in disk blocks as well as in bits.
const BLOCK_BYTES: usize = 512;

fn cases() -> u64 {
    let is_full = std::env::var("TRACEHOUND_FAULTS").is_ok_and(|form| form == "full");
    if is_full { CASES.1 } else { CASES.0 }
}

/// A log as a killed process leaves it: several segments, the last one with room that was never written.
struct Source {
    dir: tempfile::TempDir,
    /// Every frame by position.
    frames: BTreeMap<u64, Entry>,
    /// Where each frame lies: its segment's file name and its bytes.
    places: BTreeMap<u64, (PathBuf, Range<u64>)>,
}

impl Source {
    async fn write() -> Self {
        let (dir, live) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (wal, _) = open(live.path());
        let (mut frames, mut places) = (BTreeMap::new(), BTreeMap::new());
        let mut dice = Dice::new(7);
        let mut end_of: BTreeMap<PathBuf, u64> = BTreeMap::new();
        for index in 0..45_u8 {
            let payload: Vec<u8> = (0..500 + dice.below(3_000)).map(|_| dice.roll() as u8).collect();
            let made = frame([&[index], b"THfrTHfr".as_slice(), &payload, &[0xff]].concat());
            let lsn = wal.append(made.clone(), ()).await.unwrap();
            let path = segments(live.path()).pop().unwrap();
            let segment = PathBuf::from(path.file_name().unwrap());
            let begin = *end_of.get(&segment).unwrap_or(&HEADER_BYTES);
            // a frame ends with its payload, which ends in no zero, and with zeros up to a multiple of eight
            let last = fs::read(&path).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
            let end = (last + 1).next_multiple_of(8);
            end_of.insert(segment.clone(), end);
            places.insert(lsn.0, (segment, begin..end));
            frames.insert(lsn.0, Entry { lsn, frame: made });
        }
        copy(live.path(), dir.path());
        wal.close();
        Self { dir, frames, places }
    }

    fn last_segment(&self) -> &Path {
        &self.places.values().next_back().unwrap().0
    }

    /// Looks at a damaged copy, twice, with a frame appended between. `hit` says whether bytes of a frame were changed.
    async fn look(&self, dir: &Path, hit: impl Fn(u64) -> bool, what: &str) -> Recovery {
        let (wal, recovery) = open(dir);
        let read = read_all(&wal);
        self.compare(&read, &hit, what);
        let known = read.last().map_or(0, |entry| entry.lsn.0);
        assert!(recovery.next.0 > known, "{what}: position {} again", recovery.next);
        let added = wal.append(frame("after"), ()).await.unwrap();
        wal.close();
        let (wal, _) = open(dir);
        let mut again = lsns(&read_all(&wal));
        assert_eq!(again.pop(), Some(added.0), "{what}: what was appended after the damage");
        assert_eq!(again, lsns(&read), "{what}: the second look");
        recovery
    }

    fn compare(&self, read: &[Entry], hit: impl Fn(u64) -> bool, what: &str) {
        let found: BTreeMap<u64, &Entry> = read.iter().map(|entry| (entry.lsn.0, entry)).collect();
        assert_eq!(found.len(), read.len(), "{what}: a frame twice");
        for (lsn, entry) in &found {
            let written = self.frames.get(lsn).unwrap_or_else(|| panic!("{what}: a frame {lsn} that nobody wrote"));
            assert_eq!(format!("{entry:?}"), format!("{written:?}"), "{what}: frame {lsn} is not what was written");
        }
        for lsn in self.frames.keys().filter(|lsn| !hit(**lsn)) {
            assert!(found.contains_key(lsn), "{what}: frame {lsn} was not touched and is lost");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// In memory where there is such a place: cases are many.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

#[tokio::test]
async fn torn_short_and_zeroed_tails_cost_nothing_that_was_synced() {
    let source = Source::write().await;
    let last: Vec<u64> = source
        .places
        .iter()
        .filter(|(_, (segment, _))| segment == source.last_segment())
        .map(|(lsn, _)| *lsn)
        .collect();
    assert!(last.len() > 3, "the last segment has a tail");
    let (mut torn, mut cut_off) = (0, 0);
    for seed in 0..cases() {
        let mut dice = Dice::new(seed);
        let dir = scratch();
        copy(source.dir.path(), dir.path());
        let path = dir.path().join(source.last_segment());
        let mut bytes = fs::read(&path).unwrap();
        // everything before this frame was synced, and from it on the disk did as it pleased
        let unsynced = last[1 + dice.below(last.len() - 1)];
        let (from, end) =
            (source.places[&unsynced].1.start as usize, source.places[&last[last.len() - 1]].1.end as usize);
        let kind = dice.below(5);
        match kind {
            0 => bytes.truncate(from + dice.below(bytes.len() - from)),
            1 => {
                bytes.truncate(from + dice.below(end - from));
                bytes.extend((0..dice.below(8_192)).map(|_| dice.roll() as u8));
            }
            2 => {
                let begin = end.saturating_sub(4_096).max(from);
                bytes[begin..end].fill(0);
            }
            3 => {
                let begin = from + dice.below(end - from);
                bytes[begin..].fill(0);
            }
            _ => {
                for block in bytes[from..end].chunks_mut(BLOCK_BYTES) {
                    if dice.below(2) == 0 {
                        block.fill(0);
                    }
                }
            }
        }
        fs::write(&path, bytes).unwrap();
        let recovery = source.look(dir.path(), |lsn| lsn >= unsynced, &format!("seed {seed}, kind {kind}")).await;
        torn += recovery.torn_tails;
        cut_off += recovery.torn_bytes;
    }
    println!("torn tails: {} cases, all started, nothing synced lost; {torn} torn, {cut_off} bytes cut off", cases());
    assert!(torn > 0);
}

#[tokio::test]
async fn changed_bytes_anywhere_are_seen_and_cost_only_the_frames_they_are_in() {
    let source = Source::write().await;
    let (mut seen, mut in_frames) = (0, 0);
    for seed in 0..cases() {
        let mut dice = Dice::new(seed ^ 0xb17);
        let dir = scratch();
        copy(source.dir.path(), dir.path());
        let files = segments(dir.path());
        let path = &files[dice.below(files.len())];
        let segment = PathBuf::from(path.file_name().unwrap());
        let written = source.places.values().filter(|place| place.0 == segment).map(|place| place.1.end).max().unwrap();
        let mut bytes = fs::read(path).unwrap();
        let before = bytes.clone();
        // among what was written; room that never was is nothing to lose
        let at = dice.below(written as usize);
        match dice.below(4) {
            0 => bytes[at] = dice.roll() as u8,
            1 => bytes[at..(at + BLOCK_BYTES).min(written as usize)].fill(0),
            _ => (0..=dice.below(3)).for_each(|_| bytes[dice.below(written as usize)] ^= 1 << dice.below(8)),
        }
        let changed = |range: &Range<u64>| {
            let range = range.start as usize..range.end as usize;
            bytes[range.clone()] != before[range]
        };
        let hit = |lsn: u64| source.places[&lsn].0 == segment && changed(&source.places[&lsn].1);
        let hits = source.frames.keys().filter(|lsn| hit(**lsn)).count() as u64;
        fs::write(path, &bytes).unwrap();
        let recovery = source.look(dir.path(), hit, &format!("seed {seed}")).await;
        if bytes != before {
            assert!(
                recovery.torn_tails + recovery.quarantined_segments > 0
                    || recovery.frames == source.frames.len() as u64,
                "seed {seed}: {recovery:?}"
            );
            let lost = source.frames.len() as u64 - recovery.frames;
            assert!(lost <= hits, "seed {seed}: {lost} lost, {hits} hit");
            in_frames += u64::from(hits > 0);
            seen += u64::from(recovery.torn_tails + recovery.quarantined_segments > 0);
        }
    }
    println!("changed bytes: {} cases, {in_frames} in frames, {seen} seen at the start, none read wrongly", cases());
    assert!(seen > 0);
}
