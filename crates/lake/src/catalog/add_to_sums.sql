-- Counts a row that is added. $1: its checksum.
update lake_sums set files = files + 1, checksums = checksums + $1
