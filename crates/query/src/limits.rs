//! How much a query may take.

use std::time::Duration;

/// Limits of every read. What happens at each limit is said beside it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Queries that run at once; the next one waits.
    pub max_running: usize,
    /// Queries that wait; the next one is refused with `Overloaded`.
    pub max_waiting: usize,
    /// Threads that run queries, apart from those that take data in.
    pub worker_threads: usize,
    /// Wall time of a query, waiting included; then `Timeout`.
    pub time: Duration,
    /// Memory of one query; past it sorts and groupings spill to disk, and what cannot spill ends with `Memory`.
    pub memory_bytes: usize,
    /// Temporary files of all queries together; then `Memory`.
    pub spill_bytes: u64,
    /// Filters and maps of traces, indexes of values and of words, footers for trace lookups and footers for searches kept
    /// in memory, so much for each of the six; the least recently used go first. Who looks for a trace asks the filter of
    /// every file, about 1.2 bytes a trace, and the map of the few that may hold it, about 8 bytes a trace: once the maps
    /// do not fit, a lookup reads those few; once the filters do not fit, it reads them all.
    pub footer_cache_bytes: usize,
    /// One in so many answers of an index is compared with a scan of the file; at least 1.
    pub index_check_every: u64,
    /// Items of one page; a larger `limit` is an `Invalid` search.
    pub max_items: usize,
    /// Filters of one search; more are `Invalid`.
    pub max_filters: usize,
    /// Spans of one trace; past it the trace comes back `truncated`.
    pub trace_rows: usize,
    /// Spans read to summarise the traces of one page; past it the summaries are marked `truncated`.
    pub summary_rows: usize,
    /// Spans up to which services, operations and the service map are counted one by one; past it they are put together
    /// from roll-ups, so that durations are known to 4.5 % and times to ten seconds.
    pub exact_count_rows: u64,
    /// Services or operations listed; the busiest come first, the rest is cut.
    pub list_rows: usize,
    /// Length of an SQL text.
    pub sql_text_bytes: usize,
    /// Joins in one SQL text.
    pub sql_joins: usize,
    /// Rows of an SQL result; past it the result comes back `truncated`.
    pub sql_rows: usize,
    /// Bytes of any result in memory; then `ResultTooLarge`.
    pub result_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_running: 4,
            max_waiting: 32,
            worker_threads: 2,
            time: Duration::from_secs(20),
            memory_bytes: 64 << 20,
            spill_bytes: 1 << 30,
            footer_cache_bytes: 64 << 20,
            index_check_every: 4_096,
            max_items: 1_000,
            max_filters: 32,
            trace_rows: 100_000,
            summary_rows: 200_000,
            exact_count_rows: 50_000,
            list_rows: 1_000,
            sql_text_bytes: 64 << 10,
            sql_joins: 8,
            sql_rows: 10_000,
            result_bytes: 64 << 20,
        }
    }
}
