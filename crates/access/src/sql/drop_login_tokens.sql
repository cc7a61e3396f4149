-- Forgets every login token: a start makes the links of earlier starts useless.
DELETE FROM login_tokens
