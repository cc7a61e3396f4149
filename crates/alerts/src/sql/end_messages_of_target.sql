-- Gives up all that is pending for a target, and says for which incidents. 1: target. 2: now in nanoseconds. 3: error.
UPDATE outbox SET state = 'dead', ended_unix_nanos = ?2, last_error = ?3
WHERE target = ?1 AND state = 'pending' RETURNING incident_id
