-- Puts a key in its place. $1 number, $2 which key of the key file it is sealed with, $3 the sealed key.
update data_keys set sealed_with = $2, sealed = $3 where id = $1 and erased_unix_nanos is null
