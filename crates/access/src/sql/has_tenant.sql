-- Whether there is a tenant.
-- ?1 tenant
SELECT EXISTS (SELECT 1 FROM tenants WHERE id = ?1)
