-- Forgets which keys of tenant $1 and signal $2 have columns, to be followed by what has them now.
delete from lake_promoted where tenant = $1 and signal = $2
