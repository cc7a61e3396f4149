-- Makes a tenant unless it exists. 1: id. 2: now in nanoseconds.
INSERT INTO tenants (id, created_unix_nanos) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING
