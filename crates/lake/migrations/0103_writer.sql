-- Who may write: each opening of the lake takes the next epoch, and a commit under an older one is refused.
create table lake_writer (
    only_row integer primary key check (only_row = 1),
    epoch bigint not null
);
