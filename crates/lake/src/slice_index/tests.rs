//! An index denies nothing that is there, and damage is seen.

use super::*;

fn trace(number: u64) -> TraceId {
    let mut id = [7; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    TraceId(id)
}

fn trace_of_none() -> TraceId {
    trace(u64::MAX)
}

/// Ten spans a trace, in order, so that a trace now and then crosses a cut.
fn traces_of(rows: usize) -> Vec<TraceId> {
    (0..rows as u64).map(|row| trace(row / 10)).collect()
}

fn only(rows: Range<u64>) -> Vec<Range<u64>> {
    std::iter::once(rows).collect()
}

fn sidecar(rows: &[TraceId]) -> Vec<u8> {
    let mut builder = Builder::default();
    rows.chunks(SLICE_ROWS).for_each(|slice| builder.add_slice(slice.iter().map(|trace| Some(*trace))));
    sidecar::write_sections(&builder.finish(), 1_000, 0xfeed, rows.len() as u64)
}

/// Filter and map in these bytes, as those of that file.
fn read(bytes: &[u8], file_bytes: u64, file_checksum: u32) -> Option<(TraceFilter, SliceIndex)> {
    let read_at = |offset: u64, length: usize| {
        let start = usize::try_from(offset).ok()?;
        bytes.get(start..start.checked_add(length)?).map(<[u8]>::to_vec)
    };
    let (rows, sections) = sidecar::read_sections(read_at, file_bytes, file_checksum, &[FILTER, MAP])?;
    TraceFilter::read(&sections).zip(SliceIndex::read(&sections, rows))
}

#[test]
fn every_trace_is_found_where_it_is_and_nothing_else_is() {
    let rows = traces_of(5 * SLICE_ROWS + 100);
    let (filter, index) = read(&sidecar(&rows), 1_000, 0xfeed).unwrap();
    for (row, trace) in rows.iter().enumerate() {
        assert!(filter.may_hold(&[trace_of_none(), *trace]), "row {row}");
        let found = index.rows_of(&[*trace]);
        assert!(found.iter().any(|range| range.contains(&(row as u64))), "row {row}");
        let covered: u64 = found.iter().map(|range| range.end - range.start).sum();
        assert!(covered <= 2 * SLICE_ROWS as u64, "row {row} in {found:?}");
    }
    let crossing = trace(SLICE_ROWS as u64 / 10);
    assert_eq!(index.rows_of(&[crossing]), only(0..2 * SLICE_ROWS as u64), "neighbours become one range");
    let last = rows.len() as u64;
    assert_eq!(index.rows_of(&[rows[rows.len() - 1]]), only(5 * SLICE_ROWS as u64..last));
    let absent = (1_000_000..1_100_000).filter(|number| !index.rows_of(&[trace(*number)]).is_empty()).count();
    assert!(absent < 10, "{absent} of 100,000 absent traces");
    let passed = (1_000_000..1_100_000).filter(|number| filter.may_hold(&[trace(*number)])).count();
    assert!((200..800).contains(&passed), "one in 256, not {passed} of 100,000");
}

#[test]
fn rows_without_a_trace_and_files_without_rows_have_an_index() {
    let mut builder = Builder::default();
    builder.add_slice([None, Some(trace(1)), None].into_iter());
    let index = SliceIndex::read(&builder.finish(), 3).unwrap();
    assert_eq!(index.rows_of(&[trace(1), trace(2)]), only(0..3));
    let empty = SliceIndex::read(&Builder::default().finish(), 0).unwrap();
    assert!(empty.rows_of(&[trace(1)]).is_empty());
}

#[test]
fn an_index_of_another_file_is_none() {
    let bytes = sidecar(&traces_of(100));
    assert!(read(&bytes, 1_000, 0xfeed).is_some());
    assert!(read(&bytes, 1_001, 0xfeed).is_none());
    assert!(read(&bytes, 1_000, 0xfeee).is_none());
}

#[test]
fn every_flipped_bit_and_every_cut_is_seen() {
    let bytes = sidecar(&traces_of(300));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(read(&damaged, 1_000, 0xfeed).is_none(), "bit {bit} of byte {at}");
        }
        assert!(read(&bytes[..at], 1_000, 0xfeed).is_none(), "cut at {at}");
    }
}

/// Written by version 1 of the layout from [`traces_of`] 300 rows; must be readable for ever.
#[test]
fn the_kept_index_of_version_1_reads() {
    let kept = include_bytes!("../../tests/kept/index-v1.idx");
    let (filter, index) = read(kept, 1_000, 0xfeed).unwrap();
    assert!(traces_of(300).iter().all(|trace| index.rows_of(&[*trace]) == only(0..300) && filter.may_hold(&[*trace])));
    assert_eq!(kept[..], sidecar(&traces_of(300)), "the same rows give the same bytes");
}
