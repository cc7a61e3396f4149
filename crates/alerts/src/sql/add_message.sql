-- Puts a message into the outbox. 1: event id. 2: target. 3: incident id. 4: event type. 5: body. 6: state.
-- 7: now in nanoseconds. 8: when it ended, null while it is pending. 9: why it was never tried, null when it will be.
INSERT INTO outbox (
    event_id, target, incident_id, event_type, body, state, created_unix_nanos, next_attempt_unix_nanos,
    ended_unix_nanos, last_error
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)
