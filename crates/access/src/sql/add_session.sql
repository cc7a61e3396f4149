-- Begins a session. 1: SHA-256 of the cookie. 2: user. 3: now in nanoseconds.
INSERT INTO sessions (cookie_hash, user, created_unix_nanos, last_seen_unix_nanos) VALUES (?1, ?2, ?3, ?3)
