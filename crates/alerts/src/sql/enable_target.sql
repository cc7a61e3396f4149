-- Enables a target. 1: name.
UPDATE alert_targets SET disabled_unix_nanos = NULL WHERE name = ?1
