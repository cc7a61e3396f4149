//! What the log does about files that are not as it left them. Nothing here may panic or refuse to open.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use model::Lsn;
use proptest::prelude::*;
use wal::{ReaderName, WalError};

use crate::{fill, frame, lsns, open, quarantined, read_all, segments};

/// Copies the files of a log (not its quarantine) to a new directory.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

fn payloads(count: u8, bytes: usize) -> Vec<Vec<u8>> {
    (0..count).map(|index| vec![index; bytes]).collect()
}

/// Where each frame ends in a segment of equal payloads, the header first.
fn boundaries(path: &Path, count: usize) -> Vec<u64> {
    let len = fs::metadata(path).unwrap().len();
    let frame_bytes = (len - 64) / count as u64;
    (0..=count as u64).map(|index| 64 + index * frame_bytes).collect()
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_off_and_the_rest_kept() {
    let source = tempfile::tempdir().unwrap();
    fill(source.path(), &payloads(3, 20)).await;
    let file = segments(source.path()).remove(0);
    let (whole, ends) = (fs::read(&file).unwrap(), boundaries(&file, 3));
    for cut in 0..whole.len() {
        // a write cut short, once as the end of the file and once followed by preallocated zeros
        for is_preallocated in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut bytes = whole[..cut].to_vec();
            if is_preallocated {
                bytes.resize(whole.len() + 4096, 0);
            }
            fs::write(dir.path().join(file.file_name().unwrap()), bytes).unwrap();
            let kept = ends.iter().filter(|end| **end > 64 && **end <= cut as u64).count() as u64;
            let (wal, recovery) = open(dir.path());
            // the last bytes of a frame may be zeros anyway
            let read = lsns(&read_all(&wal));
            assert!(
                read.len() as u64 >= kept && read.len() as u64 <= kept + u64::from(is_preallocated),
                "cut at {cut}"
            );
            assert_eq!(read, (1..=read.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
            assert!(recovery.next.0 > read.len() as u64);
            if cut >= 64 {
                assert_eq!(recovery.quarantined_segments, 0, "cut at {cut}, preallocated {is_preallocated}");
            }
            assert!(recovery.torn_tails <= 1);
            wal.close();
            assert_eq!(lsns(&read_all(&open(dir.path()).0)), read, "opening twice is the same, cut at {cut}");
        }
    }
}

#[tokio::test]
async fn a_torn_tail_is_counted_and_its_positions_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &payloads(5, 100)).await;
    let file = segments(dir.path()).remove(0);
    let ends = boundaries(&file, 5);
    fs::File::options().write(true).open(&file).unwrap().set_len(ends[4] - 3).unwrap();
    let (wal, recovery) = open(dir.path());
    assert_eq!((recovery.torn_tails, recovery.frames), (1, 3));
    assert!(recovery.torn_bytes > 0 && recovery.next > Lsn(4));
    let next = wal.append(frame("after"), ()).await.unwrap();
    assert_eq!(next, recovery.next);
    assert_eq!(lsns(&read_all(&wal)), [1, 2, 3, next.0]);
    wal.close();
    let (wal, recovery) = open(dir.path());
    assert_eq!((recovery.torn_tails, recovery.quarantined_segments, recovery.frames), (0, 0, 4));
    assert_eq!(lsns(&read_all(&wal)), [1, 2, 3, next.0]);
}

#[tokio::test]
async fn preallocated_space_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    wal.append(frame("one"), ()).await.unwrap();
    // the files as a killed process leaves them: never sealed
    let killed = copy(dir.path());
    assert!(fs::metadata(&segments(killed.path())[0]).unwrap().len() == 64 << 10);
    let (after, recovery) = open(killed.path());
    assert_eq!((recovery.torn_tails, recovery.torn_bytes, recovery.quarantined_segments), (0, 0, 0));
    assert_eq!(lsns(&read_all(&after)), [1]);
    assert_eq!(after.append(frame("two"), ()).await.unwrap(), Lsn(2));
}

#[tokio::test]
async fn a_bad_frame_in_the_middle_is_quarantined_and_all_others_are_read() {
    let source = tempfile::tempdir().unwrap();
    fill(source.path(), &payloads(20, 9_000)).await;
    let files = segments(source.path());
    assert!(files.len() >= 3, "the frames go over several segments");
    let at = fs::metadata(&files[0]).unwrap().len() / 2;
    let dir = copy(source.path());
    flip(&dir.path().join(files[0].file_name().unwrap()), at, 0x10);

    let (wal, recovery) = open(dir.path());
    assert_eq!((recovery.quarantined_segments, recovery.torn_tails, recovery.frames), (1, 0, 19));
    assert_eq!(read_all(&wal).len(), 19);
    assert_eq!(quarantined(dir.path()), 1);
    assert_eq!(recovery.next, Lsn(21));
    // the bytes stay when both readers have passed and the segment itself goes
    for who in ReaderName::ALL {
        wal.advance(who, wal.end()).unwrap();
    }
    assert!(!dir.path().join(files[0].file_name().unwrap()).exists());
    assert_eq!(quarantined(dir.path()), 1);
}

#[tokio::test]
async fn a_cut_in_an_earlier_segment_is_damage_and_later_segments_are_read() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &payloads(20, 9_000)).await;
    let files = segments(dir.path());
    let len = fs::metadata(&files[0]).unwrap().len();
    fs::File::options().write(true).open(&files[0]).unwrap().set_len(len - 100).unwrap();
    let (wal, recovery) = open(dir.path());
    assert_eq!((recovery.quarantined_segments, recovery.torn_tails, recovery.frames), (1, 0, 19));
    assert_eq!(read_all(&wal).len(), 19);
}

#[tokio::test]
async fn damage_that_comes_while_the_log_is_open_is_skipped_by_readers_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    for payload in payloads(5, 100) {
        wal.append(frame(payload), ()).await.unwrap();
    }
    flip(&segments(dir.path())[0], 64 + 150 + 30, 1);
    for _ in 0..2 {
        assert_eq!(lsns(&read_all(&wal)), [1, 3, 4, 5]);
        assert_eq!(quarantined(dir.path()), 1);
    }
}

#[tokio::test]
async fn a_damaged_header_does_not_cost_the_frames() {
    let source = tempfile::tempdir().unwrap();
    fill(source.path(), &payloads(3, 50)).await;
    for at in 0..64 {
        let dir = copy(source.path());
        flip(&segments(dir.path())[0], at, 0x04);
        let (wal, recovery) = open(dir.path());
        assert_eq!((recovery.quarantined_segments, recovery.frames), (1, 3), "flip at {at}");
        assert_eq!(lsns(&read_all(&wal)), [1, 2, 3], "flip at {at}");
    }
}

#[tokio::test]
async fn empty_short_and_foreign_files_are_normal() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &payloads(2, 50)).await;
    fs::write(dir.path().join("00000000000000000003-00000000000000aa.wal"), []).unwrap();
    fs::write(dir.path().join("00000000000000000003-00000000000000ab.wal"), b"THWALSEG\x01\0").unwrap();
    fs::write(dir.path().join("00000000000000000003-00000000000000ac.wal"), [0; 4096]).unwrap();
    fs::write(dir.path().join("notes.txt"), "not ours").unwrap();
    fs::write(dir.path().join("zz-zz.wal"), "not ours either").unwrap();
    let (wal, recovery) = open(dir.path());
    assert_eq!((recovery.frames, recovery.empty_segments), (2, 3));
    assert_eq!((recovery.torn_tails, recovery.quarantined_segments), (0, 0));
    assert_eq!(lsns(&read_all(&wal)), [1, 2]);
    assert_eq!(wal.append(frame("x"), ()).await.unwrap(), Lsn(3));
    assert!(dir.path().join("notes.txt").exists() && dir.path().join("zz-zz.wal").exists());
}

#[tokio::test]
async fn a_file_of_pure_noise_is_kept_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &payloads(2, 50)).await;
    let noise: Vec<u8> = (0..30_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(dir.path().join("00000000000000000003-00000000000000aa.wal"), &noise).unwrap();
    let (wal, recovery) = open(dir.path());
    assert_eq!((recovery.frames, recovery.quarantined_segments), (2, 1));
    let next = wal.append(frame("x"), ()).await.unwrap();
    assert!(next > Lsn(3));
    assert_eq!(lsns(&read_all(&wal)), [1, 2, next.0]);
    assert_eq!(quarantined(dir.path()), 1);
}

#[tokio::test]
async fn a_lost_cursor_file_makes_readers_begin_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &payloads(3, 50)).await;
    let (wal, _) = open(dir.path());
    wal.advance(ReaderName::Archive, Lsn(2)).unwrap();
    wal.close();
    flip(&dir.path().join("cursors"), 20, 1);
    let (wal, recovery) = open(dir.path());
    assert!(recovery.cursors_lost);
    assert_eq!(lsns(&read_all(&wal)), [1, 2, 3]);
    wal.advance(ReaderName::Archive, Lsn(3)).unwrap();
    wal.close();
    assert!(!open(dir.path()).1.cursors_lost);
}

#[tokio::test]
async fn a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &payloads(1, 50)).await;
    let file = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[8] = 4;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    let error = wal::Wal::<()>::open(crate::settings(dir.path()), |_, ()| {}).unwrap_err();
    assert!(matches!(error, WalError::NewerVersion { version: 4, newest: 3, .. }), "{error}");
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

fn flip(path: &Path, at: u64, mask: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= mask;
    fs::write(path, bytes).unwrap();
}

/// A log of forty frames over several segments, written once.
fn source() -> &'static tempfile::TempDir {
    static SOURCE: std::sync::LazyLock<tempfile::TempDir> = std::sync::LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // sizes that end on every remainder of eight; payloads that hold the marker of a frame
        let payloads: Vec<_> =
            (0..40).map(|index| [b"THfrTHfr".as_slice(), &vec![index; 4_000 + usize::from(index)]].concat()).collect();
        runtime.block_on(fill(dir.path(), &payloads));
        dir
    });
    &SOURCE
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn flipped_bits_cost_only_the_frames_they_hit(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u8..8), 1..4)) {
        let dir = copy(source().path());
        let files = segments(dir.path());
        for (file, at, bit) in &flips {
            let path = file.get(&files);
            let len = fs::metadata(path).unwrap().len() as usize;
            flip(path, at.index(len) as u64, 1 << bit);
        }
        let (wal, recovery) = open(dir.path());
        let read = read_all(&wal);
        // a flip may hit a header or padding, and two flips the same frame
        prop_assert!(read.len() >= 40 - flips.len() && read.len() <= 40, "{} frames", read.len());
        prop_assert_eq!(recovery.frames, read.len() as u64);
        prop_assert_eq!(lsns(&read).iter().collect::<BTreeSet<_>>().len(), read.len());
        for entry in &read {
            prop_assert_eq!(usize::from(entry.frame.payload[8]), entry.lsn.0 as usize - 1);
        }
        if read.len() < 40 {
            prop_assert!(recovery.torn_tails + recovery.quarantined_segments > 0);
        }
    }

    #[test]
    fn files_cut_anywhere_keep_every_frame_before_the_cut(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let dir = copy(source().path());
        let path = file.get(&segments(dir.path())).clone();
        let mut bytes = fs::read(&path).unwrap();
        let cut = at.index(bytes.len() + 1);
        bytes.truncate(cut);
        bytes.extend_from_slice(&noise);
        fs::write(&path, &bytes).unwrap();
        let (wal, recovery) = open(dir.path());
        let read = lsns(&read_all(&wal));
        let first: u64 = path.file_name().unwrap().to_str().unwrap()[..20].parse().unwrap();
        let kept_before = read.iter().filter(|lsn| **lsn < first).count() as u64;
        prop_assert_eq!(kept_before, first - 1, "frames of earlier segments");
        // frames of this segment that end before the cut are all there
        let whole = (cut.saturating_sub(64) / 4_120) as u64;
        prop_assert!(read.iter().filter(|lsn| **lsn >= first && **lsn < first + whole).count() as u64 >= whole.saturating_sub(1));
        prop_assert!(recovery.next.0 > read.iter().copied().max().unwrap_or(0));
        wal.close();
        let (again, second) = open(dir.path());
        prop_assert_eq!(lsns(&read_all(&again)), read);
        prop_assert_eq!(second.torn_tails, 0);
    }
}
