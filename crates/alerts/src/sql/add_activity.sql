-- Adds a line to the history. 1: incident id. 2: now in nanoseconds. 3: actor. 4: kind. 5: from. 6: to. 7: comment.
INSERT INTO activity (incident_id, time_unix_nanos, actor, kind, from_value, to_value, comment)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
