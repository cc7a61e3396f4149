//! Every metric name, once.
//!
//! Names follow Prometheus: prefix `tracehound_`, base units, `_total` for counters. Labels are named in the comment.

/// 1 while a background task runs. Label `task`.
pub const TASK_RUNNING: &str = "tracehound_task_running";

/// Requests that arrived over OTLP. Labels `transport` (grpc, http), `signal`, `outcome` (an OTLP code name).
pub const COLLECT_REQUESTS: &str = "tracehound_collect_requests_total";
/// Events accepted and acknowledged. Label `signal`.
pub const COLLECT_ACCEPTED: &str = "tracehound_collect_accepted_events_total";
/// Events refused for good by partial success. Label `signal`.
pub const COLLECT_REJECTED: &str = "tracehound_collect_rejected_events_total";
/// Bytes of accepted requests after inflating. Label `signal`.
pub const COLLECT_BYTES: &str = "tracehound_collect_inflated_bytes_total";
/// Values taken out of requests before the log. Labels `action` (drop, mask, token), `rule` (key, allow_list, a value
/// pattern's name, custom, unknown_field).
pub const REDACTED_VALUES: &str = "tracehound_redacted_values_total";
/// Seconds from the whole request read to the answer. Label `signal`.
pub const COLLECT_SECONDS: &str = "tracehound_collect_request_seconds";
/// Requests refused. Label `reason`.
pub const COLLECT_REFUSED: &str = "tracehound_collect_refused_requests_total";
/// Events of services that the credential does not list, stored or not. Label `signal`.
pub const COLLECT_UNVERIFIED: &str = "tracehound_collect_unverified_events_total";
/// What the limits of keys turned away. Label `limit`: requests for events_per_sec, bytes_per_sec and cidrs; events for
/// services, max_operations and max_trace_events.
pub const COLLECT_OVER_QUOTA: &str = "tracehound_collect_over_quota_total";
/// Requests acknowledged without being stored, for they had been before. Label `signal`.
pub const COLLECT_RESENDS: &str = "tracehound_collect_resent_requests_total";
/// Requests forgotten before their time because too many were remembered: when they come again they are stored again.
pub const COLLECT_RESENDS_FORGOTTEN: &str = "tracehound_collect_resends_forgotten_total";
/// What is remembered for the limits of keys (`what` is keys, operations, traces), and to know what was sent twice
/// (requests).
pub const COLLECT_TRACKED: &str = "tracehound_collect_tracked";
/// Open connections. Label `transport`.
pub const COLLECT_CONNECTIONS: &str = "tracehound_collect_connections";
/// Limit of open connections. Label `transport`.
pub const COLLECT_CONNECTIONS_LIMIT: &str = "tracehound_collect_connections_limit";
/// Requests that wait until there is room in memory and in the log, a second at most.
pub const COLLECT_WAITING: &str = "tracehound_collect_waiting_requests";
/// Requests being worked on.
pub const COLLECT_IN_FLIGHT: &str = "tracehound_collect_in_flight";
/// Limit of requests being worked on, which follows from that of their bytes.
pub const COLLECT_IN_FLIGHT_LIMIT: &str = "tracehound_collect_in_flight_limit";
/// Bytes of requests being worked on.
pub const COLLECT_IN_FLIGHT_BYTES: &str = "tracehound_collect_in_flight_bytes";
/// Limit of bytes of requests being worked on.
pub const COLLECT_IN_FLIGHT_LIMIT_BYTES: &str = "tracehound_collect_in_flight_limit_bytes";
/// Large requests being decoded on the blocking pool; further ones wait.
pub const COLLECT_DECODES: &str = "tracehound_collect_decodes";
/// Limit of large requests being decoded at once.
pub const COLLECT_DECODES_LIMIT: &str = "tracehound_collect_decodes_limit";
/// Seconds to inflate, decode and judge one request; their sum is the time that decoding was busy.
pub const COLLECT_DECODE_SECONDS: &str = "tracehound_collect_decode_seconds";
/// Connections closed because they sent too many frames that asked for nothing.
pub const COLLECT_FLOODS: &str = "tracehound_collect_flood_connections_total";
/// TLS handshakes under way; each holds a place among the connections.
pub const COLLECT_TLS_HANDSHAKES: &str = "tracehound_collect_tls_handshakes";
/// TLS handshakes that failed. Labels `transport` (grpc, http), `reason` (see `collect::tls`).
pub const COLLECT_TLS_FAILURES: &str = "tracehound_collect_tls_handshake_failures_total";
/// End of our certificate, in seconds since 1970.
pub const COLLECT_TLS_EXPIRY: &str = "tracehound_collect_tls_certificate_expiry_timestamp_seconds";
/// Changes of certificate files. Label `outcome` (swapped, failed); after failed the old ones stay in force.
pub const COLLECT_TLS_RELOADS: &str = "tracehound_collect_tls_reloads_total";

/// Bytes of log segments on disk.
pub const WAL_BYTES: &str = "tracehound_wal_bytes";
/// Limit of log segments on disk.
pub const WAL_BUDGET_BYTES: &str = "tracehound_wal_budget_bytes";
/// Frames waiting for the next fsync.
pub const WAL_QUEUE_FRAMES: &str = "tracehound_wal_queue_frames";
/// Bytes waiting for the next fsync.
pub const WAL_QUEUE_BYTES: &str = "tracehound_wal_queue_bytes";
/// Limit of bytes waiting for the next fsync.
pub const WAL_QUEUE_LIMIT_BYTES: &str = "tracehound_wal_queue_limit_bytes";
/// Seconds the writer spent on one group: write, fsync, and handing it on; their sum is the time that it was busy.
pub const WAL_GROUP_SECONDS: &str = "tracehound_wal_group_seconds";
/// Frames made durable.
pub const WAL_FRAMES: &str = "tracehound_wal_frames_total";
/// Seconds one fsync took.
pub const WAL_FSYNC_SECONDS: &str = "tracehound_wal_fsync_seconds";
/// Frames per fsync.
pub const WAL_GROUP_FRAMES: &str = "tracehound_wal_group_frames";
/// Position of the last durable frame.
pub const WAL_END: &str = "tracehound_wal_end_lsn";
/// Position a reader has finished with. Label `reader`.
pub const WAL_CURSOR: &str = "tracehound_wal_cursor_lsn";
/// Damage found at start. Label `what` (torn_tail, quarantined_segment).
pub const WAL_DAMAGE: &str = "tracehound_wal_damage_total";
/// Bytes that an ordinary process may still write to the log's disk, as of the last time somebody asked for room.
pub const DISK_FREE_BYTES: &str = "tracehound_disk_free_bytes";
/// Bytes of the log's disk that stay free: below, requests are refused until there is room.
pub const DISK_RESERVE_BYTES: &str = "tracehound_disk_reserve_bytes";
/// 1 once a write or an fsync failed and the log refuses to write.
pub const WAL_FAILED: &str = "tracehound_wal_failed";

/// Bytes of events in memory that are not in a file yet.
pub const MEMTABLE_BYTES: &str = "tracehound_memtable_bytes";
/// Limit of the memtable.
pub const MEMTABLE_LIMIT_BYTES: &str = "tracehound_memtable_limit_bytes";
/// Rows in memory. Label `signal`.
pub const MEMTABLE_ROWS: &str = "tracehound_memtable_rows";
/// Files in the catalog. Label `signal`.
pub const LAKE_FILES: &str = "tracehound_lake_files";
/// Bytes of files in the catalog. Label `signal`.
pub const LAKE_BYTES: &str = "tracehound_lake_bytes";
/// Bytes of the indexes beside files of the catalog. Label `signal`.
pub const LAKE_INDEX_BYTES: &str = "tracehound_lake_index_bytes";
/// Rows in files of the catalog. Label `signal`.
pub const LAKE_ROWS: &str = "tracehound_lake_rows";
/// Seconds one flush took, fsync and commit included; their sum is the time that flushing was busy.
pub const LAKE_FLUSH_SECONDS: &str = "tracehound_lake_flush_seconds";
/// Seconds one commit of files to the catalog took.
pub const LAKE_COMMIT_SECONDS: &str = "tracehound_lake_commit_seconds";
/// Flushes that failed and will be tried again.
pub const LAKE_FLUSH_FAILURES: &str = "tracehound_lake_flush_failures_total";
/// Merges that could be done now. Compaction takes its time until it is behind (16), then all it can get.
pub const LAKE_MERGES_WAITING: &str = "tracehound_lake_merges_waiting";
/// Seconds one merge took, its pauses included. Label `level`: that of the merged file.
pub const LAKE_MERGE_SECONDS: &str = "tracehound_lake_merge_seconds";
/// Files that were merged into others. Label `level`: that of the merged file.
pub const LAKE_MERGED_FILES: &str = "tracehound_lake_merged_files_total";
/// Merges that failed and will be tried again.
pub const LAKE_MERGE_FAILURES: &str = "tracehound_lake_merge_failures_total";
/// Keys of attributes that have columns in merged files, of the tenant whose files were merged last; at most 192. Label
/// `signal`.
pub const LAKE_PROMOTED_COLUMNS: &str = "tracehound_lake_promoted_columns";
/// Keys that a merge found in one row of a hundred and that got no column, because all 192 of the tenant's signal are used.
pub const LAKE_PROMOTIONS_REFUSED: &str = "tracehound_lake_promotions_refused_total";
/// Lookups that scanned a file because its index was missing or damaged.
pub const LAKE_INDEX_MISSES: &str = "tracehound_lake_index_misses_total";
/// Bytes of files that were read again and compared with their checksums.
pub const LAKE_SCRUBBED_BYTES: &str = "tracehound_lake_scrubbed_bytes_total";
/// Files found damaged and quarantined.
pub const LAKE_DAMAGED_FILES: &str = "tracehound_lake_damaged_files_total";
/// Answers of an index that were compared with a scan of the file; one in 4,096.
pub const LAKE_INDEX_CHECKS: &str = "tracehound_lake_index_checks_total";
/// Comparisons that found rows which the index denied: a fault of ours.
pub const LAKE_INDEX_LIES: &str = "tracehound_lake_index_lies_total";
/// Spans of the last flushes that are remembered, so that calls with later spans are counted; bounded at 524,288 of a
/// tenant and 2,097,152 of all, but for those of the last flush.
pub const LAKE_REMEMBERED_SPANS: &str = "tracehound_lake_remembered_spans";
/// Spans whose parent has not come yet, and that wait to be counted as calls; bounded at 131,072 of a
/// tenant.
pub const LAKE_WAITING_CALLS: &str = "tracehound_lake_waiting_calls";
/// Files deleted by retention.
pub const LAKE_RETIRED_FILES: &str = "tracehound_lake_retired_files_total";
/// Files without a catalog row that were removed.
pub const LAKE_ORPHANS: &str = "tracehound_lake_orphans_total";
/// Files in the object store.
pub const LAKE_REMOTE_FILES: &str = "tracehound_lake_remote_files";
/// Files put into the object store. Label `outcome` (done, failed); failed is tried again.
pub const LAKE_UPLOADS: &str = "tracehound_lake_uploads_total";
/// Bytes of files put into the object store.
pub const LAKE_UPLOADED_BYTES: &str = "tracehound_lake_uploaded_bytes_total";
/// Files whose last way into the object store failed; they are tried again behind the others.
pub const LAKE_UPLOAD_FAILING_FILES: &str = "tracehound_lake_upload_failing_files";
/// Bytes of files that wait for being put into the object store.
pub const LAKE_UPLOAD_WAITING_BYTES: &str = "tracehound_lake_upload_waiting_bytes";
/// Files fetched from the object store. Label `outcome` (done, failed).
pub const LAKE_FETCHES: &str = "tracehound_lake_fetches_total";
/// Bytes of files fetched from the object store.
pub const LAKE_FETCHED_BYTES: &str = "tracehound_lake_fetched_bytes_total";
/// Requests to the object store that failed. Label `action` (put, begin, complete, look for, fetch, delete, list, claim,
/// read).
pub const LAKE_STORE_FAILURES: &str = "tracehound_lake_store_failures_total";
/// Objects without a catalog row that were deleted from the object store.
pub const LAKE_STORE_ORPHANS: &str = "tracehound_lake_store_orphans_total";
/// Readers of files in the object store that found a copy on the local disk.
pub const LAKE_CACHE_HITS: &str = "tracehound_lake_cache_hits_total";
/// Readers of files in the object store that had to wait for a fetch.
pub const LAKE_CACHE_MISSES: &str = "tracehound_lake_cache_misses_total";
/// Copies of files in the object store that were removed from the local disk to make room.
pub const LAKE_CACHE_EVICTIONS: &str = "tracehound_lake_cache_evictions_total";
/// Bytes of copies on the local disk of files in the object store.
pub const LAKE_CACHE_BYTES: &str = "tracehound_lake_cache_bytes";
/// Limit of copies on the local disk.
pub const LAKE_CACHE_LIMIT_BYTES: &str = "tracehound_lake_cache_limit_bytes";
/// Files of the catalog that are missing or damaged; their rows are missing from answers.
pub const LAKE_QUARANTINED_FILES: &str = "tracehound_lake_quarantined_files";

/// Bytes of batches waiting for the rule engine.
pub const DETECT_QUEUE_BYTES: &str = "tracehound_detect_queue_bytes";
/// Limit of that queue; past it the engine reads from the log.
pub const DETECT_QUEUE_LIMIT_BYTES: &str = "tracehound_detect_queue_limit_bytes";
/// Batches that the engine had to read back from the log.
pub const DETECT_REREADS: &str = "tracehound_detect_rereads_total";
/// Events evaluated. Label `signal`.
pub const DETECT_EVENTS: &str = "tracehound_detect_events_total";
/// Detections. Label `rule`.
pub const DETECT_DETECTIONS: &str = "tracehound_detect_detections_total";
/// Seconds to evaluate one batch; their sum is the time that detection was busy.
pub const DETECT_SECONDS: &str = "tracehound_detect_batch_seconds";
/// Seconds to put the state of the rule engine on disk; a fiftieth of the time at most, once a minute at least.
pub const DETECT_CHECKPOINT_SECONDS: &str = "tracehound_detect_checkpoint_seconds";
/// Events that came later than the allowed lateness. Label `rule`.
pub const DETECT_LATE: &str = "tracehound_detect_late_events_total";
/// Events forgotten before their time because a rule reached a limit of its state. Label `rule`.
pub const DETECT_EVICTED: &str = "tracehound_detect_evicted_events_total";
/// Events that matched a rule, or moments at which it fired. Label `rule`.
pub const DETECT_MATCHED: &str = "tracehound_detect_matched_total";
/// Detections held back as repeats. Label `rule`.
pub const DETECT_SUPPRESSED: &str = "tracehound_detect_suppressed_total";
/// Matches without a detection because one batch had too many, and verdicts given up. Label `rule`.
pub const DETECT_LIMITED: &str = "tracehound_detect_limited_total";
/// Groups that the windows of a rule hold. Label `rule`.
pub const DETECT_STATE_GROUPS: &str = "tracehound_detect_state_groups";
/// Bytes that they take; an estimate that errs upwards. Label `rule`.
pub const DETECT_STATE_BYTES: &str = "tracehound_detect_state_bytes";
/// Rules that are disabled because they cost more than they may.
pub const DETECT_STOPPED: &str = "tracehound_detect_stopped_rules";
/// Tenants whose baselines wait for their history, or are reading it.
pub const DETECT_HISTORY_TENANTS: &str = "tracehound_detect_history_tenants";
/// Stored events that baselines have learned from.
pub const DETECT_HISTORY_EVENTS: &str = "tracehound_detect_history_events_total";
/// Seconds of event time that the history being read still goes on.
pub const DETECT_HISTORY_LEFT: &str = "tracehound_detect_history_left_seconds";
/// Histories read, or not. Label `outcome` (whole, shortened, failed).
pub const DETECT_HISTORIES: &str = "tracehound_detect_histories_total";
/// Rules loaded. Label `state` (active, invalid).
pub const RULES: &str = "tracehound_rules";

/// Whether the file of `geo.database` can be used: 1 or 0; absent without the setting.
pub const GEO_READY: &str = "tracehound_geo_database_ready";
/// Addresses looked up. Label `outcome` (found, unknown, no_database).
pub const GEO_LOOKUPS: &str = "tracehound_geo_lookups_total";

/// Incidents created. Label `severity`.
pub const ALERTS_INCIDENTS: &str = "tracehound_alerts_incidents_total";
/// Deliveries waiting in the outbox.
pub const OUTBOX_PENDING: &str = "tracehound_outbox_pending";
/// Delivery attempts. Labels `notifier`, `outcome` (delivered, retry, dead).
pub const OUTBOX_ATTEMPTS: &str = "tracehound_outbox_attempts_total";
/// Deliveries given up.
pub const OUTBOX_DEAD: &str = "tracehound_outbox_dead_letters";

/// Requests to the API. Labels `route`, `method`, `status`.
pub const API_REQUESTS: &str = "tracehound_api_requests_total";
/// Seconds to answer a request. Label `route`.
pub const API_SECONDS: &str = "tracehound_api_request_seconds";
/// Clients on the alert stream.
pub const API_STREAMS: &str = "tracehound_api_streams";

/// Queries that ended. Labels `kind`, `outcome` (ok, limited, timeout, error).
pub const QUERY_TOTAL: &str = "tracehound_query_total";
/// Seconds a query took. Label `kind`.
pub const QUERY_SECONDS: &str = "tracehound_query_seconds";
/// Queries running.
pub const QUERY_RUNNING: &str = "tracehound_query_running";
/// Bytes of indexes and footers of files kept in memory for queries. Label `kind` (filters, maps, values, words, footers).
pub const QUERY_CACHE_BYTES: &str = "tracehound_query_cache_bytes";
/// Indexes and footers that went from memory because others needed the room. Label `kind`, as above.
pub const QUERY_CACHE_DROPPED: &str = "tracehound_query_cache_dropped_total";

/// Backtests running.
pub const BACKTESTS_RUNNING: &str = "tracehound_backtests_running";
/// Backtests that ended. Label `outcome` (whole, cancelled, event_limit, time_limit, failed).
pub const BACKTESTS_ENDED: &str = "tracehound_backtests_ended_total";
/// Stored events that backtests have judged.
pub const BACKTEST_EVENTS: &str = "tracehound_backtest_events_total";
/// Limits of backtests. Label `limit` (memory_bytes, events, seconds, compared_alerts, running, waiting, kept).
pub const BACKTEST_LIMIT: &str = "tracehound_backtest_limit";

/// Spans of our own that could not be exported.
pub const SELF_TRACE_DROPPED: &str = "tracehound_self_trace_dropped_total";
