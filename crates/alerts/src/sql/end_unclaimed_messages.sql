-- Gives up messages to targets that are not configured, once they are too old. 1: configured targets as a JSON array.
-- 2: earliest creation that still counts. 3: now, both in nanoseconds.
UPDATE outbox SET state = 'dead', ended_unix_nanos = ?3, last_error = 'target is not configured any more'
WHERE state = 'pending' AND created_unix_nanos < ?2 AND target NOT IN (SELECT value FROM json_each(?1))
