-- Makes an incident that is open and has neither detections nor evidence yet.
-- 1: id. 2: tenant. 3: fingerprint. 4 to 13: rule id, version, title, description, author, level (0 to 4), tags,
-- references, false positives (JSON arrays), runbook. 14: group (JSON). 15: severity (0 to 4). 16: reason.
-- 17: event time. 18: now, both in nanoseconds.
INSERT INTO incidents (
    id, tenant, fingerprint, rule_id, rule_version, rule_title, rule_description, rule_author, rule_level, rule_tags,
    rule_references, rule_false_positives, rule_runbook, group_values, severity, reason, first_seen_unix_nanos,
    last_seen_unix_nanos, created_unix_nanos, updated_unix_nanos,
    status, detections, trace_ids, evidence_kept, evidence_omitted, messages
) VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?17, ?18, ?18,
    'open', 0, '[]', 0, 0, 0
)
RETURNING *
