-- Keeps a login token. 1: SHA-256 of it. 2: user. 3: when it expires, in nanoseconds.
INSERT INTO login_tokens (token_hash, user, expires_unix_nanos) VALUES (?1, ?2, ?3)
