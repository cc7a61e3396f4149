-- Keys of a tenant, newest first, revoked ones included. 1: tenant. 2: most rows.
SELECT id, name, created_by, created_unix_nanos, revoked_unix_nanos, last_used_unix_nanos, limits
FROM ingest_keys WHERE tenant = ?1 ORDER BY created_unix_nanos DESC, id LIMIT ?2
