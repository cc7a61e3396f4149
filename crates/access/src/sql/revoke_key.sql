-- Revokes a key that is not revoked yet. 1: tenant. 2: id. 3: now in nanoseconds.
UPDATE ingest_keys SET revoked_unix_nanos = ?3 WHERE tenant = ?1 AND id = ?2 AND revoked_unix_nanos IS NULL
