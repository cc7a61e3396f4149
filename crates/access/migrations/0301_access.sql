-- Tenants, users with their roles, ingest keys, login tokens, sessions, and the audit trail.
-- Times are nanoseconds since 1970. Secrets are kept as SHA-256 of 256 random bits, never as themselves.

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    created_unix_nanos INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    created_unix_nanos INTEGER NOT NULL
) STRICT;

CREATE TABLE user_roles (
    user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    role TEXT NOT NULL,
    PRIMARY KEY (user, role)
) STRICT;

CREATE TABLE ingest_keys (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32),
    scope TEXT NOT NULL CHECK (scope = 'ingest'),
    created_by TEXT NOT NULL,
    created_unix_nanos INTEGER NOT NULL,
    revoked_unix_nanos INTEGER,
    last_used_unix_nanos INTEGER
) STRICT;
CREATE INDEX ingest_keys_by_tenant ON ingest_keys (tenant, created_unix_nanos);

CREATE TABLE login_tokens (
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    expires_unix_nanos INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    cookie_hash BLOB PRIMARY KEY CHECK (length(cookie_hash) = 32),
    user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created_unix_nanos INTEGER NOT NULL,
    last_seen_unix_nanos INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user, created_unix_nanos);

-- hash = SHA-256 over every other column of the row and the hash of the row before: see src/audit.rs
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    time_unix_nanos INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    prev_hash BLOB NOT NULL CHECK (length(prev_hash) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_by_tenant ON audit (tenant, seq);
CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;
