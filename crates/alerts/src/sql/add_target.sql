-- Notes a configured target; one whose address changed is enabled again. 1: name. 2: SHA-256 of its address.
INSERT INTO alert_targets (name, address_hash) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET
    disabled_unix_nanos = CASE WHEN address_hash = excluded.address_hash THEN disabled_unix_nanos END,
    address_hash = excluded.address_hash
RETURNING disabled_unix_nanos
