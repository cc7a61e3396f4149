-- What a key may bring and how much of it, as JSON (see src/limits.rs); NULL leaves everything to the settings.
ALTER TABLE ingest_keys ADD COLUMN limits TEXT;
