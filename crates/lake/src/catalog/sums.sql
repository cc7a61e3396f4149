-- What all rows should come to: number and sum of checksums.
select files, checksums from lake_sums
