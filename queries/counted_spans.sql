-- Spans to count, one for each time it was sent.
--
-- What services, operations and the service map are counted from, in one pass; copies are told apart there.
--
-- Parameters
--   $from  timestamp(ns, UTC)  first start time inside
--   $end   timestamp(ns, UTC)  first start time outside
-- Columns
--   trace_id, span_id, parent_span_id  fixed-size binary; the parent is null for a root span
--   service, name                      text
--   kind, status_code                  OTLP numbers
--   start_time                         timestamp(ns, UTC)
--   duration_nanos                     integer, nanoseconds
--   peer                               text; what a client or producer span says of the other side, null when nothing
SELECT
    trace_id, span_id, parent_span_id, service, name, kind, status_code, start_time, duration_nanos,
    CASE WHEN kind IN (3, 4) THEN coalesce(
        "service.peer.name", attribute(attrs_rest, 'peer.service'),
        "server.address", attribute(attrs_rest, 'net.peer.name'),
        "db.system.name", attribute(attrs_rest, 'db.system')
    ) END AS peer
FROM spans
WHERE start_time >= $from AND start_time < $end
