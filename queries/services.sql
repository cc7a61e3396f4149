-- What each service did in a range: the list of services, and the nodes of the service map.
--
-- Parameters
--   $start  timestamp(ns, UTC)  first start time inside
--   $end    timestamp(ns, UTC)  first start time outside
-- Reads
--   counted (counted_spans_once.sql)
-- Columns
--   service              text
--   spans, errors        integer; an error is a span with status 2
--   p50_nanos, p95_nanos integer, nanoseconds; percentiles of the duration, interpolated
--   last_seen            timestamp(ns, UTC); the latest start
-- Order: most spans first, then by name.
SELECT
    service,
    count(*) AS spans,
    count(*) FILTER (WHERE status_code = 2) AS errors,
    approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_nanos) AS p50_nanos,
    approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_nanos) AS p95_nanos,
    max(start_time) AS last_seen
FROM counted
WHERE start_time >= $start AND start_time < $end
GROUP BY service
ORDER BY spans DESC, service
