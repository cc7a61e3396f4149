//! One window of a replay: its rows, read as any query reads them.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, UInt32Type, UInt64Type};
use datafusion::logical_expr::{Expr, cast, lit};
use futures::TryStreamExt as _;
use lake::{Lake, Snapshot};
use model::signal::{ROW, SEQ, span};
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, UnixNanos, column as columns};

use super::{ReplayAsk, last_end, ordering};
use crate::QueryError;
use crate::filter::column;
use crate::query::{Inner, blocking};
use crate::search::{all, came_by, in_range, time_literal};
use crate::table::{Selectivity, SnapshotTable};

/// Spans that last longer are looked for by their duration, so that the start of all others tells where they may lie.
const LONG_NANOS: i64 = 60 * 1_000_000_000;

/// What to read.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// Of the time that rules go by.
    pub range: TimeRange,
    pub through: [Lsn; 2],
    pub rows: usize,
    pub bytes: u64,
    /// Set when the window cannot be cut shorter: as much as fits is read, in the order of the log.
    pub dense: Option<Dense>,
}

/// Where reading goes on in a window that holds more than fits: behind this signal and place in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dense {
    pub signal: usize,
    pub after: Option<(u64, u32)>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Read {
    /// More than fits.
    TooMuch,
    /// No event, and none before this moment either.
    Nothing { before: UnixNanos },
    /// The events in order, and where to go on when there are more.
    Rows { batches: Vec<EventBatch>, rows: usize, dense: Option<Dense> },
}

/// Files and memory that may hold an event of the range, by the time that rules go by.
pub(super) fn snapshot(lake: &Lake, tenant: &TenantId, signal: Signal, range: &TimeRange) -> Snapshot {
    let starts = TimeRange { start: UnixNanos(i64::MIN), end: range.end };
    let mut snapshot = lake.snapshot(tenant, signal, starts);
    snapshot.files.retain(|file| last_end(file) >= range.start);
    snapshot
}

impl Window {
    pub(super) async fn read(self, inner: Arc<Inner>, tenant: TenantId, ask: ReplayAsk) -> Result<Read, QueryError> {
        if let Some(dense) = self.dense {
            return self.piece(&inner, &tenant, &ask, dense).await;
        }
        let mut found: Vec<(Signal, Vec<RecordBatch>)> = Vec::new();
        let (mut rows, mut bytes) = (self.rows, self.bytes);
        let mut is_there_nothing = true;
        for signal in Signal::ALL {
            let snapshot = snapshot(&inner.lake, &tenant, signal, &self.range);
            if snapshot.files.is_empty() && snapshot.batches.is_empty() {
                continue;
            }
            is_there_nothing = false;
            let Some(batches) = self.collect(&inner, snapshot, signal, &mut rows, &mut bytes).await? else {
                return Ok(Read::TooMuch);
            };
            found.push((signal, batches));
        }
        if is_there_nothing {
            return Ok(Read::Nothing { before: self.next_event(&inner, &tenant, &ask.range) });
        }
        let rows = self.rows - rows;
        let batches = blocking(move || ordering::in_order(&tenant, found, &ask)).await?;
        Ok(Read::Rows { batches, rows, dense: None })
    }

    /// Rows of a signal; `None` when they are more than there is room for.
    async fn collect(
        &self,
        inner: &Inner,
        snapshot: Snapshot,
        signal: Signal,
        rows: &mut usize,
        bytes: &mut u64,
    ) -> Result<Option<Vec<RecordBatch>>, QueryError> {
        let engine = &inner.engine;
        let failed = |error| engine.failed(error);
        let table = Arc::new(SnapshotTable::new(&snapshot, Selectivity::Selective));
        let frame = engine.session()?.read_table(table).and_then(|frame| frame.filter(self.condition(signal)));
        let mut stream = frame.map_err(failed)?.execute_stream().await.map_err(failed)?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            let took = (batch.num_rows(), columns::memory_bytes(&batch));
            let (Some(rows_left), Some(bytes_left)) = (rows.checked_sub(took.0), bytes.checked_sub(took.1)) else {
                return Ok(None);
            };
            (*rows, *bytes) = (rows_left, bytes_left);
            batches.extend(Some(batch).filter(|batch| batch.num_rows() > 0));
        }
        Ok(Some(batches))
    }

    /// As much as fits of a window that holds more, in the order of the log.
    async fn piece(
        &self,
        inner: &Arc<Inner>,
        tenant: &TenantId,
        ask: &ReplayAsk,
        from: Dense,
    ) -> Result<Read, QueryError> {
        let Some(signal) = Signal::ALL.get(from.signal).copied() else {
            return Ok(Read::Rows { batches: Vec::new(), rows: 0, dense: None });
        };
        let snapshot = snapshot(&inner.lake, tenant, signal, &self.range);
        let mut conditions = vec![self.condition(signal)];
        if let Some((seq, row)) = from.after {
            let same = column(SEQ).eq(lit(seq)).and(column(ROW).gt(lit(row)));
            conditions.push(column(SEQ).gt(lit(seq)).or(same));
        }
        let engine = &inner.engine;
        let order = [SEQ, ROW].map(|name| column(name).sort(true, false)).to_vec();
        let wanted = ask.batch_rows;
        let table = Arc::new(SnapshotTable::new(&snapshot, Selectivity::Selective));
        let frame = engine.session()?.read_table(table);
        let frame = frame.and_then(|frame| frame.filter(all(conditions))?.sort(order)?.limit(0, Some(wanted)));
        let found = engine.collect(frame.map_err(|error| engine.failed(error))?, wanted).await?;
        let rows: usize = found.batches.iter().map(RecordBatch::num_rows).sum();
        let last = found.batches.last().and_then(place_of_last);
        let next_signal = Dense { signal: from.signal + 1, after: None };
        let dense = match last {
            Some(after) if rows == wanted => Some(Dense { signal: from.signal, after: Some(after) }),
            _ => Some(next_signal).filter(|next| next.signal < Signal::ALL.len()),
        };
        let (tenant, ask, found) = (tenant.clone(), ask.clone(), vec![(signal, found.batches)]);
        let batches = blocking(move || ordering::in_order(&tenant, found, &ask)).await?;
        Ok(Read::Rows { batches, rows, dense })
    }

    /// Rows that happened inside and came before the replay began.
    fn condition(&self, signal: Signal) -> Expr {
        let range = &self.range;
        let through = self.through[usize::from(signal == Signal::Logs)];
        let mut conditions = vec![came_by(through)];
        match signal {
            Signal::Logs => conditions.push(in_range(signal, range)),
            Signal::Spans => {
                let start = || column(span::START_TIME);
                let duration = || column(span::DURATION_NANOS);
                let end = || cast(start(), DataType::Int64) + duration();
                conditions.push(start().lt(time_literal(range.end)));
                let is_near = start().gt_eq(time_literal(range.start.plus(-LONG_NANOS)));
                conditions.push(is_near.or(duration().gt_eq(lit(LONG_NANOS))));
                conditions.push(end().gt_eq(lit(range.start.0)).and(end().lt(lit(range.end.0))));
            }
        }
        all(conditions)
    }

    /// When the next event of the range after this window may happen; the end of the range when there is none.
    fn next_event(&self, inner: &Inner, tenant: &TenantId, range: &TimeRange) -> UnixNanos {
        let mut next = range.end;
        for signal in Signal::ALL {
            let after = TimeRange { start: self.range.end, end: range.end };
            let snapshot = snapshot(&inner.lake, tenant, signal, &after);
            if !snapshot.batches.is_empty() {
                return self.range.end;
            }
            // an event ends no earlier than it starts
            let starts = snapshot.files.iter().map(|file| file.zone.min_time);
            next = starts.map(|start| start.max(self.range.end)).fold(next, UnixNanos::min);
        }
        next
    }
}

fn place_of_last(batch: &RecordBatch) -> Option<(u64, u32)> {
    let last = batch.num_rows().checked_sub(1)?;
    let seq = batch.column_by_name(SEQ)?.as_primitive_opt::<UInt64Type>()?.value(last);
    let row = batch.column_by_name(ROW)?.as_primitive_opt::<UInt32Type>()?.value(last);
    Some((seq, row))
}
