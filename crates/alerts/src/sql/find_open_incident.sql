-- The incident a detection joins: same fingerprint, not closed, and seen no further away than the grouping window.
-- 1: fingerprint. 2: event time minus window. 3: event time plus window, in nanoseconds.
SELECT * FROM incidents
WHERE fingerprint = ?1 AND status <> 'closed' AND last_seen_unix_nanos >= ?2 AND first_seen_unix_nanos <= ?3
ORDER BY last_seen_unix_nanos DESC, seq DESC LIMIT 1
