-- Makes an ingest key. 1: id. 2: tenant. 3: name. 4: SHA-256 of the secret. 5: who made it. 6: now in nanoseconds.
-- 7: limits as JSON, or NULL.
INSERT INTO ingest_keys (id, tenant, name, secret_hash, scope, created_by, created_unix_nanos, limits)
VALUES (?1, ?2, ?3, ?4, 'ingest', ?5, ?6, ?7)
