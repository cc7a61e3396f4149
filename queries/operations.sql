-- What one service did in a range, by operation.
--
-- Parameters
--   $service  text
--   $start    timestamp(ns, UTC)  first start time inside
--   $end      timestamp(ns, UTC)  first start time outside
-- Reads
--   counted (counted_spans_once.sql)
-- Columns
--   name                 text
--   kind                 OTLP span kind
--   spans, errors        integer; an error is a span with status 2
--   p50_nanos, p95_nanos integer, nanoseconds; percentiles of the duration, interpolated
-- Order: most spans first, then by name and kind.
SELECT
    name,
    kind,
    count(*) AS spans,
    count(*) FILTER (WHERE status_code = 2) AS errors,
    approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_nanos) AS p50_nanos,
    approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_nanos) AS p95_nanos
FROM counted
WHERE service = $service AND start_time >= $start AND start_time < $end
GROUP BY name, kind
ORDER BY spans DESC, name, kind
