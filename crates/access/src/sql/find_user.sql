-- A user. 1: name.
SELECT name, tenant FROM users WHERE name = ?1
