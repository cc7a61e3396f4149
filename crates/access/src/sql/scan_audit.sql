-- The whole chain in order, a part at a time. 1: seq after which to look. 2: most rows.
SELECT seq, time_unix_nanos, tenant, actor, action, subject, detail, prev_hash, hash
FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2
