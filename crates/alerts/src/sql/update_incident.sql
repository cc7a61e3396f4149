-- Writes back what detections, evidence, messages and people change.
-- 1: id. 2: severity. 3: status. 4: reason. 5: detections. 6: first seen. 7: last seen. 8: now in nanoseconds.
-- 9: trace ids (JSON). 10: evidence kept. 11: evidence omitted. 12: messages.
UPDATE incidents SET
    severity = ?2, status = ?3, reason = ?4, detections = ?5, first_seen_unix_nanos = ?6, last_seen_unix_nanos = ?7,
    updated_unix_nanos = ?8, trace_ids = ?9, evidence_kept = ?10, evidence_omitted = ?11, messages = ?12
WHERE id = ?1
