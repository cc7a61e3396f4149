-- Keys of attributes that have columns of their own in merged files, so that the next merge chooses the same.
create table lake_promoted (
    tenant text not null,
    signal text not null,
    -- key and type of the attribute; the type is the tag that entries have
    key text not null,
    tag text not null,
    -- share of the rows that have it, the last merge counting half
    share real not null,
    primary key (tenant, signal, key, tag)
);
