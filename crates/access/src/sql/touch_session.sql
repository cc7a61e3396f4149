-- Moves the sliding end of a session. 1: SHA-256 of the cookie. 2: now in nanoseconds.
UPDATE sessions SET last_seen_unix_nanos = ?2 WHERE cookie_hash = ?1
