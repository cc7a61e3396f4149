-- Spans to learn from who calls whom, and for what.
--
-- Read in slices of time; the two sides of a call are put together by whoever reads them.
--
-- Parameters
--   $from  timestamp(ns, UTC)  first start time inside
--   $end   timestamp(ns, UTC)  first start time outside
-- Columns
--   as stored: what names a span and its parent, its service, kind and time, and what it says of the operation
SELECT
    trace_id, span_id, parent_span_id, name, kind, start_time, duration_nanos, service, resource,
    "http.request.method", "http.route", "http.response.status_code", "url.path",
    "rpc.service", "rpc.method", "db.operation.name", "db.collection.name",
    "messaging.destination.name", "messaging.operation.type",
    "server.port", "service.peer.name", attrs_rest
FROM spans
WHERE start_time >= $from AND start_time < $end
