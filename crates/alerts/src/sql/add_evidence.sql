-- Adds an event unless it is evidence already. 1: incident id. 2: event. 3: kind. 4: trace id. 5: span id. 6: log id.
-- 7: name of an event from outside. 8: event time of the detection in nanoseconds.
INSERT INTO incident_evidence (incident_id, event, kind, trace_id, span_id, log_id, external, detected_unix_nanos)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (incident_id, event) DO NOTHING
