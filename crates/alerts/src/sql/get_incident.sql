-- An incident. 1: tenant. 2: id.
SELECT * FROM incidents WHERE tenant = ?1 AND id = ?2
