-- The latest lines of the history, oldest of them first. 1: incident id. 2: most rows.
SELECT time_unix_nanos, actor, kind, from_value, to_value, comment FROM (
    SELECT * FROM activity WHERE incident_id = ?1 ORDER BY seq DESC LIMIT ?2
) ORDER BY seq
