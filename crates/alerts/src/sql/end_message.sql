-- Ends a message. 1: seq. 2: state, delivered or dead. 3: attempts. 4: now in nanoseconds. 5: error, null when delivered.
UPDATE outbox SET state = ?2, attempts = ?3, ended_unix_nanos = ?4, last_error = ?5 WHERE seq = ?1 AND state = 'pending'
