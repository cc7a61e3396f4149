-- Ends a session and says whose it was. 1: SHA-256 of the cookie.
DELETE FROM sessions WHERE cookie_hash = ?1 RETURNING user
