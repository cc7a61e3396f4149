-- The epoch that may commit.
select epoch from lake_writer
