-- Ends the oldest sessions of a user beyond a number. 1: user. 2: how many to keep.
DELETE FROM sessions WHERE cookie_hash IN (
    SELECT cookie_hash FROM sessions WHERE user = ?1 ORDER BY created_unix_nanos DESC LIMIT -1 OFFSET ?2
)
