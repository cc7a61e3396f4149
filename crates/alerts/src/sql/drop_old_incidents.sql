-- Forgets incidents that nothing has touched for long, with all that belongs to them, a part at a time.
-- 1: earliest update that still counts, in nanoseconds. 2: most rows.
DELETE FROM incidents WHERE seq IN (SELECT seq FROM incidents WHERE updated_unix_nanos < ?1 LIMIT ?2)
