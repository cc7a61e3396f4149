-- Disables a target. 1: name. 2: now in nanoseconds.
UPDATE alert_targets SET disabled_unix_nanos = ?2 WHERE name = ?1
