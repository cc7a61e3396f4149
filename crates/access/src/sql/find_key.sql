-- One key that is not revoked. 1: tenant. 2: id.
SELECT id, name, created_by, created_unix_nanos, revoked_unix_nanos, last_used_unix_nanos, limits
FROM ingest_keys WHERE tenant = ?1 AND id = ?2 AND revoked_unix_nanos IS NULL
