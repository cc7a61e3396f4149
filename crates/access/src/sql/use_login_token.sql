-- Uses a token up; no row when it is unknown, used or expired. 1: SHA-256 of it. 2: now in nanoseconds.
DELETE FROM login_tokens WHERE token_hash = ?1 AND expires_unix_nanos > ?2 RETURNING user
