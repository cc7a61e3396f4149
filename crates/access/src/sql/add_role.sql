-- Gives a user a role. 1: user. 2: role.
INSERT INTO user_roles (user, role) VALUES (?1, ?2) ON CONFLICT (user, role) DO NOTHING
