-- Incidents of a tenant, newest first. 1: tenant. 2: seq below which to look. 3: statuses and 4: severities as JSON
-- arrays, null for all. 5: rule id, null for all. 6: most rows.
SELECT * FROM incidents
WHERE tenant = ?1 AND seq < ?2
    AND (?3 IS NULL OR status IN (SELECT value FROM json_each(?3)))
    AND (?4 IS NULL OR severity IN (SELECT value FROM json_each(?4)))
    AND (?5 IS NULL OR rule_id = ?5)
ORDER BY seq DESC LIMIT ?6
