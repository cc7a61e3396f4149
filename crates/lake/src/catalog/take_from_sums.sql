-- Takes a row that is about to be removed, by `remove_file.sql`, out of the sums. $1: its name.
update lake_sums set
    files = files - (select count(*) from lake_files where name = $1 and state = 'retired'),
    checksums = checksums - coalesce((select row_crc32c from lake_files where name = $1 and state = 'retired'), 0)
