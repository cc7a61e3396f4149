-- A key that has a column from now on. Parameters in the order of the columns.
insert into lake_promoted (tenant, signal, key, tag, share) values ($1, $2, $3, $4, $5)
