-- Forgets sessions that ended. 1: earliest creation and 2: earliest use that still count, in nanoseconds.
DELETE FROM sessions WHERE created_unix_nanos <= ?1 OR last_seen_unix_nanos <= ?2
