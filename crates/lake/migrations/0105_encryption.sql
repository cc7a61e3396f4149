-- Which key a file is encrypted with, by its number in data_keys; null for a file in plain text.
alter table lake_files add column key_number bigint;
