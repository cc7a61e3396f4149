-- CRC-32C of what never changes of a row; null in rows that are older than this.
alter table lake_files add column row_crc32c bigint;

-- What all rows come to, so that one that is gone is missed: their number, and the sum of their checksums.
create table lake_sums (
    one integer not null primary key check (one = 1),
    files bigint not null,
    checksums bigint not null
);
insert into lake_sums select 1, count(*), 0 from lake_files;
