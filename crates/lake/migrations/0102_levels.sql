-- How often the rows of a file were merged with others: 0 written by a flush, 1 merged while its hour was going on,
-- 2 merged afterwards.
alter table lake_files add column level integer not null default 0;
-- Length of the index beside the file; 0 for files of before there was one.
alter table lake_files add column index_bytes bigint not null default 0;
