-- Messages whose time has come; of each incident the oldest alone, so that its order is kept.
-- 1: target. 2: now in nanoseconds. 3: most rows.
SELECT seq, event_id, incident_id, body, attempts, created_unix_nanos
FROM outbox AS message
WHERE target = ?1 AND state = 'pending' AND next_attempt_unix_nanos <= ?2 AND NOT EXISTS (
    SELECT 1 FROM outbox AS earlier
    WHERE earlier.target = message.target AND earlier.incident_id = message.incident_id
        AND earlier.state = 'pending' AND earlier.seq < message.seq
)
ORDER BY seq LIMIT ?3
