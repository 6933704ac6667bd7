-- name: everybody
SELECT name, id FROM station;

-- name: some
SELECT name, id FROM station WHERE name = ANY (%s::text[]);

-- name: keys
SELECT name, key_hash FROM station WHERE name = ANY (%s::text[]);

-- name: mark
-- Changes when stations are added or removed.
SELECT count(*), coalesce(max(id), 0) FROM station;

-- name: register
INSERT INTO station (name, added)
SELECT name, %s FROM unnest(%s::text[]) AS name ORDER BY name
ON CONFLICT (name) DO NOTHING;
