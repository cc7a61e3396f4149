//! Files are merged when it pays, in log order, within the limit, and it comes to an end.

use std::path::PathBuf;

use model::Signal;

use super::*;
use crate::Zone;

const HOUR: i64 = 500_000;
const DURING: UnixNanos = UnixNanos(HOUR * NANOS_PER_HOUR + NANOS_PER_HOUR / 2);
const AFTER: UnixNanos = UnixNanos((HOUR + 2) * NANOS_PER_HOUR);

fn file(lsn: u64, level: Level, rows: u64, created: UnixNanos) -> Arc<FileEntry> {
    Arc::new(FileEntry {
        name: format!("{lsn}"),
        path: PathBuf::new(),
        tenant: "acme".parse().unwrap(),
        signal: Signal::Spans,
        level,
        partition: Partition::Hour(HOUR),
        bytes: 1,
        index_bytes: 1,
        checksum_crc32c: 0,
        format_version: 2,
        min_lsn: Lsn(lsn),
        max_lsn: Lsn(lsn),
        created_unix_nanos: created.0,
        zone: Zone { rows, min_time: DURING, max_time: DURING, services: None, error_count: 0, max_duration_nanos: 0 },
        cover: crate::cover::Cover::default(),
    })
}

fn files(count: u64, level: Level, rows: u64) -> Vec<Arc<FileEntry>> {
    (1..=count).map(|lsn| file(lsn, level, rows, DURING)).collect()
}

fn plans(files: &[Arc<FileEntry>], now: UnixNanos) -> Vec<Plan> {
    super::plans(files, &HashSet::new(), now)
}

fn shape(plans: &[Plan]) -> Vec<(usize, Level)> {
    plans.iter().map(|plan| (plan.inputs.len(), plan.level)).collect()
}

#[test]
fn files_of_flushes_are_merged_when_there_are_eight_or_the_first_has_waited() {
    assert_eq!(shape(&plans(&files(7, Level::L0, 100), DURING)), []);
    assert_eq!(shape(&plans(&files(8, Level::L0, 100), DURING)), [(8, Level::L1)]);
    let later = DURING.plus(WAIT_NANOS);
    assert_eq!(shape(&plans(&files(2, Level::L0, 100), later)), [(2, Level::L1)]);
    assert_eq!(shape(&plans(&files(1, Level::L0, 100), later)), [], "one alone gains nothing");
    assert_eq!(shape(&plans(&files(3, Level::L0, FULL_ROWS / 2), DURING)), [(3, Level::L2)], "large already");
}

#[test]
fn files_that_are_nearly_full_together_wait_for_the_rest_and_are_merged_once() {
    let of_flushes = |count| files(count, Level::L0, FULL_ROWS / 12 + 1);
    for count in 8..12 {
        assert_eq!(shape(&plans(&of_flushes(count), DURING)), [], "{count}");
    }
    assert_eq!(shape(&plans(&of_flushes(12), DURING)), [(12, Level::L2)]);
    assert_eq!(shape(&plans(&of_flushes(9), DURING.plus(WAIT_NANOS))), [(9, Level::L1)], "but not for ever");
    // the most that wait: one file fewer would have been merged before
    let least = NEARLY_FULL_ROWS / 8;
    assert_eq!(shape(&plans(&files(15, Level::L0, least), DURING)), []);
    assert_eq!(shape(&plans(&files(16, Level::L0, least), DURING)), [(16, Level::L2)]);
}

#[test]
fn an_hour_that_is_over_is_merged_to_level_2_and_then_left_alone() {
    assert_eq!(shape(&plans(&files(1, Level::L0, 100), AFTER)), [(1, Level::L2)]);
    assert_eq!(shape(&plans(&files(5, Level::L1, 100), AFTER)), [(5, Level::L2)]);
    assert_eq!(shape(&plans(&files(1, Level::L2, 100), AFTER)), []);
    let full = files(2, Level::L1, FULL_ROWS);
    assert_eq!(shape(&plans(&full, AFTER)), [(1, Level::L2), (1, Level::L2)]);
}

#[test]
fn no_merge_passes_the_limit_or_a_full_file() {
    let plan = plans(&files(10, Level::L1, MAX_ROWS / 4), AFTER);
    assert_eq!(shape(&plan), [(4, Level::L2), (4, Level::L2), (2, Level::L2)]);
    let mut around = files(3, Level::L1, 100);
    around[1] = file(2, Level::L2, FULL_ROWS, DURING);
    assert_eq!(shape(&plans(&around, AFTER)), [(1, Level::L2), (1, Level::L2)]);
}

#[test]
fn a_straggler_does_not_rewrite_a_large_file_at_once() {
    let mut late = vec![file(1, Level::L2, 100_000, DURING), file(2, Level::L0, 10, AFTER)];
    assert_eq!(shape(&plans(&late, AFTER.plus(QUIET_NANOS))), []);
    assert_eq!(shape(&plans(&late, AFTER.plus(STRAGGLER_NANOS))), [(2, Level::L2)], "but some day");
    late.push(file(3, Level::L0, 50_000, AFTER));
    assert_eq!(shape(&plans(&late, AFTER)), [], "not while more may come");
    assert_eq!(shape(&plans(&late, AFTER.plus(QUIET_NANOS))), [(3, Level::L2)], "or when there are more");
}

#[test]
fn what_cannot_be_read_parts_the_others() {
    let found = super::plans(&files(5, Level::L1, 100), &HashSet::from(["2".to_owned()]), AFTER);
    assert_eq!(shape(&found), [(1, Level::L2), (3, Level::L2)]);
}

#[test]
fn odd_files_are_merged_by_number_and_are_never_over() {
    let odd = |count| -> Vec<Arc<FileEntry>> {
        let odd = |file: &Arc<FileEntry>| Arc::new(FileEntry { partition: Partition::Odd, ..FileEntry::clone(file) });
        files(count, Level::L0, 10).iter().map(odd).collect()
    };
    assert_eq!(shape(&plans(&odd(8), DURING)), [(8, Level::L1)]);
    assert_eq!(shape(&plans(&odd(1), AFTER)), []);
}
