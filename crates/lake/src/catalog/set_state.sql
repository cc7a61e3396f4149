-- Moves a file to another state. $1 name, $2 state, $3 now in nanoseconds since 1970.
update lake_files set state = $2, state_since_unix_nanos = $3 where name = $1
