-- How many messages are pending and dead. Columns: pending, dead.
SELECT
    (SELECT COUNT(*) FROM outbox WHERE state = 'pending') AS pending,
    (SELECT COUNT(*) FROM outbox WHERE state = 'dead') AS dead
