-- Whether an event is evidence already. 1: incident id. 2: event. Column: found (0 or 1).
SELECT EXISTS (SELECT 1 FROM incident_evidence WHERE incident_id = ?1 AND event = ?2) AS found
