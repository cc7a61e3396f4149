-- A session with its user. 1: SHA-256 of the cookie. 2: earliest creation and 3: earliest use that still count, in nanoseconds.
SELECT users.name, users.tenant, sessions.created_unix_nanos, sessions.last_seen_unix_nanos
FROM sessions JOIN users ON users.name = sessions.user
WHERE sessions.cookie_hash = ?1 AND sessions.created_unix_nanos > ?2 AND sessions.last_seen_unix_nanos > ?3
