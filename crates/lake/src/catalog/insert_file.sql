-- Adds a file that a flush or a merge wrote. Parameters in the order of the columns; times in nanoseconds since 1970.
insert into lake_files (
    name, tenant, signal, hour, rows, bytes, checksum_crc32c, format_version, min_time_unix_nanos, max_time_unix_nanos,
    min_lsn, max_lsn, services, error_count, max_duration_nanos, created_unix_nanos, level, index_bytes,
    key_number, row_crc32c, state, state_since_unix_nanos
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, 'live', $16)
