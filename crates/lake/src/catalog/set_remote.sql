-- A file lies in the object store from now on. What was quarantined meanwhile may be whole there and nowhere else.
-- $1 name, $2 now in nanoseconds since 1970.
update lake_files set remote_since_unix_nanos = $2 where name = $1 and state in ('live', 'quarantined')
