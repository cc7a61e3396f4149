-- Which lake this is; the first one to ask names it. $1 the name it gets then.
insert into lake_identity (only_row, id) values (1, $1)
on conflict (only_row) do update set id = lake_identity.id
returning id
