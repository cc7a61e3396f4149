-- Whether a detection was applied before. 1: detection id. Column: found (0 or 1).
SELECT EXISTS (SELECT 1 FROM detections WHERE id = ?1) AS found
