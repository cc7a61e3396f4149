-- Every key that is not revoked, for the table in memory.
SELECT id, tenant, secret_hash, last_used_unix_nanos, limits FROM ingest_keys WHERE revoked_unix_nanos IS NULL
