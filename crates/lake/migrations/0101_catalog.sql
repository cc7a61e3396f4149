-- The catalog of the lake: which files hold events, and up to where the log is in them.

create table lake_files (
    -- path below the lake's directory; derives from tenant, signal, hour and log range
    name text primary key,
    tenant text not null,
    signal text not null,
    -- whole hour since 1970 of event time; null for events with an odd time
    hour bigint,
    rows bigint not null,
    bytes bigint not null,
    checksum_crc32c bigint not null,
    format_version bigint not null,
    min_time_unix_nanos bigint not null,
    max_time_unix_nanos bigint not null,
    min_lsn bigint not null,
    max_lsn bigint not null,
    -- JSON array of service names; null when there are too many to list
    services text,
    error_count bigint not null,
    max_duration_nanos bigint not null,
    created_unix_nanos bigint not null,
    -- live: found by queries; quarantined: missing or of the wrong length; retired: waits for being unlinked
    state text not null check (state in ('live', 'quarantined', 'retired')),
    state_since_unix_nanos bigint not null
);

create table lake_mark (
    only_row integer primary key check (only_row = 1),
    -- every event up to this position is in a committed file
    lsn bigint not null
);
