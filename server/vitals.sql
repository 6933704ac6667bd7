-- name: write
INSERT INTO meta (name, value) VALUES (%s, %s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: read
SELECT value FROM meta WHERE name LIKE 'metrics:%' ORDER BY name;
