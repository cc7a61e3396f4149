-- Moves the mark forward, never back. $1 the new position.
insert into lake_mark (only_row, lsn) values (1, $1)
on conflict (only_row) do update set lsn = excluded.lsn where excluded.lsn > lake_mark.lsn
