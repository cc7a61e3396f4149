-- The end of the chain: its last row.
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1
