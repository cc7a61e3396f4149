//! Log records that match, newest or oldest first.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use lake::{FileEntry, SLICE_ROWS, Snapshot};
use model::signal::{ROW, SEQ, SERVICE, TRACE_ID, log};
use model::view::Logs;
use model::{LogId, Signal, SpanId, TenantId, TimeRange, TraceId, UnixNanos, Value};

use super::windows::Windows;
use super::{all, came_by, filters_of, in_range, newest_lsn, time_literal};
use crate::body::Matcher;
use crate::filter::{column, needs_of};
use crate::narrowing::{Needs, Slices, matching, narrow};
use crate::page::{Frame, LogCursor};
use crate::query::Inner;
use crate::table::{Selectivity, SnapshotTable};
use crate::{AttributeFilter, Limits, Page, Query, QueryError};

/// Rows that an index leaves over which are read at once, not window by window.
const FEW_ROWS: u64 = 16 * SLICE_ROWS as u64;

/// Order of a log search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The latest record first.
    #[default]
    NewestFirst,
    /// The earliest record first.
    OldestFirst,
}

/// Which log records to find: those that meet every condition.
#[derive(Debug, Clone)]
pub struct LogSearch {
    /// Range of the record's time. With a cursor, the range of the first page counts instead.
    pub range: TimeRange,
    /// Lowest OTLP severity number, included.
    pub min_severity: Option<i8>,
    /// Service that wrote the record.
    pub service: Option<String>,
    /// Text that the body contains, upper and lower case alike; at most 4 KiB.
    pub text: Option<String>,
    /// Word that the body has, upper and lower case alike: one run of letters and digits (see `lake::word`).
    pub word: Option<String>,
    /// Regular expression that matches somewhere in the body, in the syntax of the `regex` crate; at most 1 KiB.
    pub regex: Option<String>,
    /// Trace the record belongs to.
    pub trace_id: Option<TraceId>,
    /// Conditions on attributes, at most `Limits::max_filters`.
    pub filters: Vec<AttributeFilter>,
    /// Newest or oldest first; has to stay the same from page to page.
    pub order: Order,
    /// Records per page, 1 to `Limits::max_items`.
    pub limit: usize,
    /// Where the page starts; from [`Page::next_cursor`].
    pub cursor: Option<String>,
}

impl LogSearch {
    /// Every record of a range, newest first.
    pub fn in_range(range: TimeRange, limit: usize) -> Self {
        Self {
            range,
            min_severity: None,
            service: None,
            text: None,
            word: None,
            regex: None,
            trace_id: None,
            filters: Vec::new(),
            order: Order::NewestFirst,
            limit,
            cursor: None,
        }
    }
}

/// One log record.
#[derive(Debug, Clone, PartialEq)]
pub struct LogHit {
    /// Names the record for ever.
    pub id: LogId,
    /// Its time.
    pub time: UnixNanos,
    /// OTLP severity number, 0 to 24.
    pub severity_number: i8,
    /// Severity as sent, empty when absent.
    pub severity_text: String,
    /// Who wrote it.
    pub service: String,
    /// The body as text, and the tag of its type (see `model::attribute`); `None` when the record has none.
    pub body: Option<(String, char)>,
    /// Event name, empty when absent.
    pub event_name: String,
    /// Trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// Span it belongs to.
    pub span_id: Option<SpanId>,
    /// Attributes.
    pub attributes: Vec<(String, Value<'static>)>,
    /// Resource attributes.
    pub resource: Vec<(String, Value<'static>)>,
}

impl Query {
    /// Log records that meet the search.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] and [`QueryError::Cursor`] for a wrong search; [`QueryError::Timeout`],
    /// [`QueryError::Overloaded`] and [`QueryError::Memory`] when it is too heavy.
    pub async fn search_logs(&self, tenant: &TenantId, search: LogSearch) -> Result<Page<LogHit>, QueryError> {
        let cursor = search.cursor.as_deref().map(LogCursor::decode).transpose()?;
        let range = cursor.map_or(search.range, |cursor| cursor.frame.range);
        let Asked { conditions, needs } = Asked::of(&search, &range, self.limits())?;
        let tenant = tenant.clone();
        self.run("logs", move |inner, deadline| async move {
            let snapshot = inner.snapshot(&tenant, Signal::Logs, range);
            let through = cursor.map_or_else(|| newest_lsn(&snapshot), |cursor| cursor.frame.through);
            let mut conditions = conditions;
            if newest_lsn(&snapshot) > through {
                conditions.push(came_by(through));
            }
            let frame = Frame { range, through };
            let narrowed = narrow(&inner, snapshot, needs, deadline).await?;
            page(&inner, &narrowed, conditions, frame, cursor, &search).await
        })
        .await
    }

    /// How many log records meet the search; its order, limit and cursor are not looked at.
    ///
    /// # Errors
    /// As [`Query::search_logs`].
    pub async fn count_logs(&self, tenant: &TenantId, search: LogSearch) -> Result<u64, QueryError> {
        let range = search.range;
        let Asked { conditions, needs } = Asked::of(&search, &range, self.limits())?;
        let tenant = tenant.clone();
        self.run("log_count", move |inner, deadline| async move {
            let snapshot = inner.snapshot(&tenant, Signal::Logs, range);
            let (snapshot, slices) = narrow(&inner, snapshot, needs, deadline).await?;
            let table = SnapshotTable::new(&snapshot, Selectivity::Selective).of_slices(&slices);
            if table.is_empty() {
                return Ok(0);
            }
            matching(&inner, table, all([conditions, vec![in_range(Signal::Logs, &range)]].concat())).await
        })
        .await
    }
}

/// A search that was found to be one.
struct Asked {
    conditions: Vec<Expr>,
    needs: Needs,
}

impl Asked {
    fn of(search: &LogSearch, range: &TimeRange, limits: &Limits) -> Result<Self, QueryError> {
        let mut conditions = Vec::new();
        conditions.extend(search.min_severity.map(|number| column(log::SEVERITY_NUMBER).gt_eq(lit(number))));
        if let Some(service) = &search.service {
            conditions.push(column(SERVICE).eq(lit(service.as_str())));
        }
        if let Some(trace) = search.trace_id {
            conditions.push(column(TRACE_ID).eq(lit(ScalarValue::FixedSizeBinary(16, Some(trace.0.to_vec())))));
        }
        conditions.extend(filters_of(&search.filters, Signal::Logs, range, search.limit, limits)?);
        let mut needs = needs_of(&search.filters, Signal::Logs)?;
        for matcher in matchers(search)? {
            let condition = Arc::new(matcher);
            if !condition.words().is_empty() {
                needs.words.extend_from_slice(condition.words());
                needs.conditions.push(condition.to_expr());
            }
            conditions.push(condition.to_expr());
        }
        Ok(Self { conditions, needs })
    }
}

fn matchers(search: &LogSearch) -> Result<Vec<Matcher>, QueryError> {
    let is_asked = |text: &&str| !text.is_empty();
    let text = search.text.as_deref().filter(is_asked).map(Matcher::text);
    let word = search.word.as_deref().map(Matcher::word);
    let regex = search.regex.as_deref().filter(is_asked).map(Matcher::regex);
    [word, text, regex].into_iter().flatten().collect()
}

async fn page(
    inner: &Arc<Inner>,
    (snapshot, slices): &(Snapshot, Slices),
    mut conditions: Vec<Expr>,
    frame: Frame,
    cursor: Option<LogCursor>,
    search: &LogSearch,
) -> Result<Page<LogHit>, QueryError> {
    let newest_first = search.order == Order::NewestFirst;
    let mut range = frame.range;
    if let Some(cursor) = cursor {
        conditions.push(beyond(&cursor, newest_first));
        match search.order {
            Order::NewestFirst => range.end = range.end.min(cursor.time.plus(1)),
            Order::OldestFirst => range.start = range.start.max(cursor.time),
        }
    }
    let mut hits = Vec::new();
    let mut windows = Windows::over(snapshot, &range, newest_first);
    if !slices.is_empty() && rows_left(snapshot, slices) <= FEW_ROWS {
        windows = windows.at_once();
    }
    while let Some(window) = windows.next() {
        let before = hits.len();
        // one more than the page holds tells whether there is a next page
        let wanted = search.limit + 1 - hits.len();
        let table = SnapshotTable::within(snapshot, &window, Selectivity::Selective).of_slices(slices);
        if !table.is_empty() {
            let matching = all([conditions.clone(), vec![in_range(Signal::Logs, &window)]].concat());
            for batch in records(inner, table, matching, newest_first, wanted).await? {
                push_hits(&batch, &mut hits)?;
            }
        }
        if hits.len() > search.limit {
            break;
        }
        if hits.len() > before {
            windows.pace(hits.len(), search.limit + 1 - hits.len());
        }
    }
    let more = hits.len() > search.limit;
    hits.truncate(search.limit);
    let last = hits.last().filter(|_| more);
    let next_cursor = last.map(|hit: &LogHit| LogCursor { frame, time: hit.time, id: hit.id }.encode());
    Ok(Page { items: hits, next_cursor })
}

/// Rows that have to be looked at, at most.
fn rows_left(snapshot: &Snapshot, slices: &Slices) -> u64 {
    let of_file = |file: &Arc<FileEntry>| match slices.get(&file.name) {
        Some(slices) => (slices.iter().filter(|reads| **reads).count() * SLICE_ROWS) as u64,
        None => file.zone.rows,
    };
    let in_memory = snapshot.batches.iter().map(|batch| batch.num_rows() as u64);
    snapshot.files.iter().map(of_file).chain(in_memory).sum()
}

async fn records(
    inner: &Inner,
    table: SnapshotTable,
    matching: Expr,
    newest_first: bool,
    wanted: usize,
) -> Result<Vec<RecordBatch>, QueryError> {
    let engine = &inner.engine;
    let ascending = !newest_first;
    let order = [log::TIME, SEQ, ROW].map(|name| column(name).sort(ascending, false)).to_vec();
    let frame = engine
        .session()?
        .read_table(Arc::new(table))
        .and_then(|frame| frame.filter(matching)?.sort(order)?.limit(0, Some(wanted)))
        .map_err(|error| engine.failed(error))?;
    Ok(engine.collect(frame, wanted).await?.batches)
}

/// Records after the cursor's in the order of the search.
fn beyond(cursor: &LogCursor, newest_first: bool) -> Expr {
    let after = |left: Expr, right: Expr| if newest_first { left.lt(right) } else { left.gt(right) };
    let (time, seq, row) = (time_literal(cursor.time), lit(cursor.id.lsn.0), lit(cursor.id.row));
    let same_frame = column(SEQ).eq(seq.clone()).and(after(column(ROW), row));
    let same_time = column(log::TIME).eq(time.clone()).and(after(column(SEQ), seq).or(same_frame));
    after(column(log::TIME), time).or(same_time)
}

fn push_hits(batch: &RecordBatch, hits: &mut Vec<LogHit>) -> Result<(), QueryError> {
    let logs = Logs::new(batch)?;
    let owned = |attributes: Vec<(String, Value<'_>)>| {
        attributes.into_iter().map(|(key, value)| (key, value.into_owned())).collect::<Vec<_>>()
    };
    for row in 0..logs.len() {
        hits.push(LogHit {
            id: logs.shared.log_id(row),
            time: logs.time(row),
            severity_number: logs.severity_number(row),
            severity_text: logs.severity_text(row).to_owned(),
            service: logs.shared.service(row).to_owned(),
            body: logs.body(row).map(|(text, tag)| (text.to_owned(), tag)),
            event_name: logs.event_name(row).to_owned(),
            trace_id: logs.trace_id(row),
            span_id: logs.span_id(row),
            attributes: owned(logs.shared.attributes(row)),
            resource: owned(logs.shared.resource(row)),
        });
    }
    Ok(())
}
