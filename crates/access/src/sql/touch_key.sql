-- Notes when a key was last used. 1: id. 2: nanoseconds.
UPDATE ingest_keys SET last_used_unix_nanos = ?2 WHERE id = ?1
