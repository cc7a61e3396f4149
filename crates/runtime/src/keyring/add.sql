-- Names the next key of a tenant, which is sealed with its number. $1 tenant, $2 now in nanoseconds since 1970.
insert into data_keys (tenant, sealed_with, created_unix_nanos) values ($1, '', $2) returning id
