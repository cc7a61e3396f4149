-- Every file the catalog knows, whatever its state.
select
    name, tenant, signal, hour, rows, bytes, checksum_crc32c, format_version, min_time_unix_nanos, max_time_unix_nanos,
    min_lsn, max_lsn, services, error_count, max_duration_nanos, created_unix_nanos, level, index_bytes,
    key_number, row_crc32c, state, state_since_unix_nanos, remote_since_unix_nanos
from lake_files
order by name
