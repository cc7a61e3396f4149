-- Adds a row to the chain. 1: seq. 2: now in nanoseconds. 3: tenant. 4: actor. 5: action. 6: subject. 7: detail. 8: hash of the row before. 9: hash.
INSERT INTO audit (seq, time_unix_nanos, tenant, actor, action, subject, detail, prev_hash, hash)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
