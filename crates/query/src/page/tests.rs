//! Cursors survive the way there and back, and nothing else is taken for one.

use super::*;

const FRAME: Frame =
    Frame { range: TimeRange { start: UnixNanos(-5), end: UnixNanos(i64::MAX) }, through: Lsn(u64::MAX) };

#[test]
fn a_cursor_reads_back_as_it_was() {
    let traces = TraceCursor { frame: FRAME, time: UnixNanos(i64::MIN), trace_id: TraceId([7; 16]) };
    assert_eq!(TraceCursor::decode(&traces.encode()).unwrap(), traces);
    let logs = LogCursor { frame: FRAME, time: UnixNanos(1), id: LogId { lsn: Lsn(9), row: u32::MAX } };
    assert_eq!(LogCursor::decode(&logs.encode()).unwrap(), logs);
}

#[test]
fn a_damaged_cursor_is_refused() {
    let good = TraceCursor { frame: FRAME, time: UnixNanos(1), trace_id: TraceId([7; 16]) }.encode();
    for length in 0..good.len() {
        assert!(TraceCursor::decode(&good[..length]).is_err(), "cut to {length}");
    }
    assert!(TraceCursor::decode(&format!("{good}AA")).is_err());
    assert!(LogCursor::decode(&good).is_err());
    assert!(TraceCursor::decode(&"A".repeat(1_000)).is_err());
}
