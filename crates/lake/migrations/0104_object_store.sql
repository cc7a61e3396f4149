-- Since when a file lies in the object store as well; null while it is on the local disk alone.
alter table lake_files add column remote_since_unix_nanos bigint;

-- Which lake this is, for the object that marks a prefix of a store as taken.
create table lake_identity (
    only_row integer primary key check (only_row = 1),
    -- 32 hexadecimal digits, made when it is first needed
    id text not null
);
