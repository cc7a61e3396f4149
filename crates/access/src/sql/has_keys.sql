-- Whether any ingest key was ever made, revoked ones included. Column: found (0 or 1).
SELECT EXISTS (SELECT 1 FROM ingest_keys) AS found
