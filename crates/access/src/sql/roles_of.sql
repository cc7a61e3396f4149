-- Roles of a user. 1: user.
SELECT role FROM user_roles WHERE user = ?1 ORDER BY role
