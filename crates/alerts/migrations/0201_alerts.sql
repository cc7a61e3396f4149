-- Incidents with their evidence and history, the detections that made them, and the outbox of deliveries.
-- Times are nanoseconds since 1970: *_seen are event time, all others are the clock of the server.

CREATE TABLE incidents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    rule_id TEXT NOT NULL,
    rule_version TEXT NOT NULL,
    rule_title TEXT NOT NULL,
    rule_description TEXT NOT NULL,
    rule_author TEXT NOT NULL,
    rule_level INTEGER NOT NULL CHECK (rule_level BETWEEN 0 AND 4),
    rule_tags TEXT NOT NULL, -- JSON array of texts, as the next two
    rule_references TEXT NOT NULL,
    rule_false_positives TEXT NOT NULL,
    rule_runbook TEXT NOT NULL,
    group_values TEXT NOT NULL, -- JSON array of [field, value]
    severity INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 4),
    status TEXT NOT NULL CHECK (status IN ('open', 'acknowledged', 'closed')),
    reason TEXT NOT NULL,
    detections INTEGER NOT NULL,
    first_seen_unix_nanos INTEGER NOT NULL,
    last_seen_unix_nanos INTEGER NOT NULL,
    created_unix_nanos INTEGER NOT NULL,
    updated_unix_nanos INTEGER NOT NULL,
    trace_ids TEXT NOT NULL, -- JSON array of the first few
    evidence_kept INTEGER NOT NULL,
    evidence_omitted INTEGER NOT NULL,
    messages INTEGER NOT NULL -- how many event ids were given out
) STRICT;
CREATE INDEX incidents_by_tenant ON incidents (tenant, seq);
CREATE INDEX incidents_by_fingerprint ON incidents (fingerprint, last_seen_unix_nanos) WHERE status <> 'closed';
CREATE INDEX incidents_by_update ON incidents (updated_unix_nanos);

CREATE TABLE detections (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX detections_by_incident ON detections (incident_id);

CREATE TABLE incident_evidence (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    event TEXT NOT NULL, -- names the event; the same event is evidence once
    kind TEXT NOT NULL CHECK (kind IN ('span', 'log', 'external')),
    trace_id TEXT,
    span_id TEXT,
    log_id TEXT,
    external TEXT,
    detected_unix_nanos INTEGER NOT NULL, -- event time of the detection that brought it
    UNIQUE (incident_id, event)
) STRICT;

CREATE TABLE activity (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    time_unix_nanos INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    from_value TEXT,
    to_value TEXT,
    comment TEXT NOT NULL
) STRICT;
CREATE INDEX activity_by_incident ON activity (incident_id, seq);

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    target TEXT NOT NULL,
    incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    event_type TEXT NOT NULL,
    body TEXT NOT NULL, -- exactly what is sent, at every attempt
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    created_unix_nanos INTEGER NOT NULL,
    next_attempt_unix_nanos INTEGER NOT NULL,
    ended_unix_nanos INTEGER,
    last_error TEXT,
    UNIQUE (event_id, target)
) STRICT;
CREATE INDEX outbox_by_incident ON outbox (incident_id, seq);
CREATE INDEX outbox_pending ON outbox (target, incident_id, seq) WHERE state = 'pending';
CREATE INDEX outbox_dead ON outbox (state) WHERE state = 'dead';

CREATE TABLE alert_targets (
    name TEXT PRIMARY KEY,
    address_hash BLOB NOT NULL CHECK (length(address_hash) = 32),
    disabled_unix_nanos INTEGER
) STRICT, WITHOUT ROWID;
