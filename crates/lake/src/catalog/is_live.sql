-- Whether there is a live file of this name. $1: the name.
select count(*) from lake_files where name = $1 and state = 'live'
