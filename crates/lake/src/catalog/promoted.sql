-- What has columns in merged files: of one tenant's signal, or of all when $1 is null.
select tenant, signal, key, tag, share from lake_promoted
where $1 is null or (tenant = $1 and signal = $2)
order by tenant, signal, share desc, key, tag
