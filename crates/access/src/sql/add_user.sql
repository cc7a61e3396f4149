-- Makes a user unless the name is taken. 1: name. 2: tenant. 3: now in nanoseconds.
INSERT INTO users (name, tenant, created_unix_nanos) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING
