-- Who calls whom in a range: the edges of the service map.
--
-- A call is a span whose parent belongs to another service, counted with the callee's span (its status, its duration).
-- A parent id that two services share (Zipkin-style client and server spans) counts as the span's own service when one
-- of the two is. A client or producer span without a stored child that names its other side is a call as well, with
-- the caller's span: databases and services that are not instrumented appear this way.
--
-- Parameters
--   $start  timestamp(ns, UTC)  first start time of a call inside
--   $end    timestamp(ns, UTC)  first start time outside
-- Reads
--   counted (counted_spans_once.sql) and sent (counted_spans.sql); both should begin before $start, so that parents
--   which started earlier are found. Where copies make no difference the cheaper one is read.
-- Columns
--   caller, callee       text
--   is_outside           boolean; all calls were seen from the caller's side only
--   calls, errors        integer; an error is a call whose span has status 2
--   p50_nanos, p95_nanos integer, nanoseconds; percentiles of the duration, interpolated
-- Order: most calls first, then by name.
WITH parents AS (
    SELECT DISTINCT trace_id, span_id, service FROM sent
),
inside AS (
    SELECT parents.service AS caller, child.service AS callee, child.status_code, child.duration_nanos
    FROM counted child
    JOIN parents ON child.trace_id = parents.trace_id AND child.parent_span_id = parents.span_id
    WHERE child.start_time >= $start
      AND parents.service <> child.service
      AND NOT EXISTS (
          SELECT 1 FROM sent own
          WHERE own.trace_id = child.trace_id AND own.span_id = child.parent_span_id AND own.service = child.service
      )
),
outside AS (
    SELECT caller.service AS caller, caller.peer AS callee, caller.status_code, caller.duration_nanos
    FROM counted caller
    WHERE caller.start_time >= $start
      AND caller.peer IS NOT NULL AND caller.peer <> '' AND caller.peer <> caller.service
      AND NOT EXISTS (
          SELECT 1 FROM sent child
          WHERE child.trace_id = caller.trace_id AND child.parent_span_id = caller.span_id
      )
),
calls AS (
    SELECT *, false AS is_outside FROM inside
    UNION ALL
    SELECT *, true AS is_outside FROM outside
)
SELECT
    caller,
    callee,
    bool_and(is_outside) AS is_outside,
    count(*) AS calls,
    count(*) FILTER (WHERE status_code = 2) AS errors,
    approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_nanos) AS p50_nanos,
    approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_nanos) AS p95_nanos
FROM calls
GROUP BY caller, callee
ORDER BY calls DESC, caller, callee
