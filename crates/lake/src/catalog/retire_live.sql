-- Retires a file whose rows are in another one now. $1 name, $2 now in nanoseconds since 1970.
update lake_files set state = 'retired', state_since_unix_nanos = $2 where name = $1 and state = 'live'
