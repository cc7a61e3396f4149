-- Notes that a detection was applied. 1: detection id. 2: incident id.
INSERT INTO detections (id, incident_id) VALUES (?1, ?2)
