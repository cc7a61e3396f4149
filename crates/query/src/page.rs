//! One page of a list, with the place where the next one starts.
//!
//! A cursor is opaque to callers. Inside it is the base64url text of these bytes, numbers big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version and kind: `0x11` traces, `0x12` logs |
//! | 8 + 8 | start and end of the searched range, nanoseconds |
//! | 8 | log position of the newest event the first page could see |
//! | 8 | time of the last item given out |
//! | 16 (traces) | trace id of that item |
//! | 8 + 4 (logs) | log position and row of that item |
//!
//! Range and log position are those of the first page, so that events that arrive meanwhile neither move items to
//! another page nor make one appear twice.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{LogId, Lsn, TimeRange, TraceId, UnixNanos};

use crate::QueryError;

const TRACES: u8 = 0x11;
const LOGS: u8 = 0x12;

/// Some items of a list and the way to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items, in the order of the search.
    pub items: Vec<T>,
    /// Give this back to get the next page; `None` when this is the last.
    pub next_cursor: Option<String>,
}

/// What the pages of one search have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub range: TimeRange,
    /// Events that came later are left out.
    pub through: Lsn,
}

/// After this trace the next page starts. Traces are in descending order of (time, trace id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceCursor {
    pub frame: Frame,
    pub time: UnixNanos,
    pub trace_id: TraceId,
}

/// After this record the next page starts. Records are in order of (time, log position, row).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogCursor {
    pub frame: Frame,
    pub time: UnixNanos,
    pub id: LogId,
}

impl TraceCursor {
    pub(crate) fn encode(&self) -> String {
        let mut bytes = head(TRACES, &self.frame, self.time);
        bytes.extend(self.trace_id.0);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Result<Self, QueryError> {
        let mut bytes = Bytes::open(text, TRACES)?;
        let (frame, time) = bytes.head()?;
        let trace_id = TraceId::from_slice(&bytes.take::<16>()?).ok_or(QueryError::Cursor)?;
        bytes.end(Self { frame, time, trace_id })
    }
}

impl LogCursor {
    pub(crate) fn encode(&self) -> String {
        let mut bytes = head(LOGS, &self.frame, self.time);
        bytes.extend(self.id.lsn.0.to_be_bytes());
        bytes.extend(self.id.row.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Result<Self, QueryError> {
        let mut bytes = Bytes::open(text, LOGS)?;
        let (frame, time) = bytes.head()?;
        let lsn = Lsn(u64::from_be_bytes(bytes.take()?));
        let row = u32::from_be_bytes(bytes.take()?);
        bytes.end(Self { frame, time, id: LogId { lsn, row } })
    }
}

fn head(kind: u8, frame: &Frame, time: UnixNanos) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(frame.range.start.0.to_be_bytes());
    bytes.extend(frame.range.end.0.to_be_bytes());
    bytes.extend(frame.through.0.to_be_bytes());
    bytes.extend(time.0.to_be_bytes());
    bytes
}

struct Bytes(std::vec::IntoIter<u8>);

impl Bytes {
    fn open(text: &str, kind: u8) -> Result<Self, QueryError> {
        // no cursor is longer than this
        if text.len() > 128 {
            return Err(QueryError::Cursor);
        }
        let mut bytes = Self(URL_SAFE_NO_PAD.decode(text).map_err(|_| QueryError::Cursor)?.into_iter());
        let [found] = bytes.take()?;
        if found == kind { Ok(bytes) } else { Err(QueryError::Cursor) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], QueryError> {
        let taken: Vec<u8> = self.0.by_ref().take(N).collect();
        taken.try_into().map_err(|_| QueryError::Cursor)
    }

    fn head(&mut self) -> Result<(Frame, UnixNanos), QueryError> {
        let start = UnixNanos(i64::from_be_bytes(self.take()?));
        let end = UnixNanos(i64::from_be_bytes(self.take()?));
        let through = Lsn(u64::from_be_bytes(self.take()?));
        let time = UnixNanos(i64::from_be_bytes(self.take()?));
        Ok((Frame { range: TimeRange { start, end }, through }, time))
    }

    fn end<T>(mut self, cursor: T) -> Result<T, QueryError> {
        if self.0.next().is_none() { Ok(cursor) } else { Err(QueryError::Cursor) }
    }
}

#[cfg(test)]
mod tests;
