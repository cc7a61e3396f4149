-- The latest messages about an incident, oldest of them first. 1: incident id. 2: most rows.
SELECT event_id, target, event_type, state, attempts, created_unix_nanos, next_attempt_unix_nanos, ended_unix_nanos,
    last_error
FROM (SELECT * FROM outbox WHERE incident_id = ?1 ORDER BY seq DESC LIMIT ?2) ORDER BY seq
