-- The position up to which every event is in a committed file; no row before the first flush.
select lsn from lake_mark
