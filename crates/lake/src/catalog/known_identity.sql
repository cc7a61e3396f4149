-- Which lake this is; no row before anybody asked.
select id from lake_identity
