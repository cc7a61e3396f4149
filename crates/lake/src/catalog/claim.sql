-- Takes the next epoch; whoever had the one before cannot commit any more.
insert into lake_writer (only_row, epoch) values (1, 1)
on conflict (only_row) do update set epoch = lake_writer.epoch + 1
returning epoch
