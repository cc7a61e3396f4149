-- Rows of a tenant, newest first. 1: tenant. 2: seq below which to look. 3: most rows.
SELECT seq, time_unix_nanos, tenant, actor, action, subject, detail, prev_hash, hash
FROM audit WHERE tenant = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3
