-- Keys that stored events are encrypted with, each sealed with a key of the key file.

create table data_keys (
    -- in the header of whatever is encrypted with it
    id integer primary key autoincrement,
    tenant text not null,
    -- which key of the key file it is sealed with
    sealed_with text not null,
    -- nonce and sealed key; null once it was destroyed
    sealed blob,
    created_unix_nanos bigint not null,
    -- null while it is in use
    erased_unix_nanos bigint
);

create index data_keys_by_tenant on data_keys (tenant, id);
