-- Destroys the keys of a tenant. $1 tenant, $2 now in nanoseconds since 1970.
update data_keys set sealed = null, erased_unix_nanos = $2 where tenant = $1 and erased_unix_nanos is null
