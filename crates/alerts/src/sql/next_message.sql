-- When the next message of a target is due, in nanoseconds; null when none is pending. 1: target.
SELECT MIN(next_attempt_unix_nanos) AS due
FROM outbox AS message
WHERE target = ?1 AND state = 'pending' AND NOT EXISTS (
    SELECT 1 FROM outbox AS earlier
    WHERE earlier.target = message.target AND earlier.incident_id = message.incident_id
        AND earlier.state = 'pending' AND earlier.seq < message.seq
)
