-- Every key there ever was.
select id, tenant, sealed_with, sealed from data_keys order by id
