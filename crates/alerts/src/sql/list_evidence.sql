-- Evidence in the order it came. 1: incident id. 2: most rows.
SELECT kind, trace_id, span_id, log_id, external, detected_unix_nanos
FROM incident_evidence WHERE incident_id = ?1 ORDER BY seq LIMIT ?2
