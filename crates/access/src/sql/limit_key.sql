-- Changes what a key that is not revoked may bring. 1: tenant. 2: id. 3: limits as JSON.
UPDATE ingest_keys SET limits = ?3 WHERE tenant = ?1 AND id = ?2 AND revoked_unix_nanos IS NULL
