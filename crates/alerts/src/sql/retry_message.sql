-- Notes a failed attempt that will be repeated. 1: seq. 2: attempts so far. 3: next attempt in nanoseconds. 4: error.
UPDATE outbox SET attempts = ?2, next_attempt_unix_nanos = ?3, last_error = ?4 WHERE seq = ?1 AND state = 'pending'
