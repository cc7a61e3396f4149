-- Forgets a retired file that is no longer on disk. $1 name.
delete from lake_files where name = $1 and state = 'retired'
