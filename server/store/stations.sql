-- name: every
SELECT id, name, zh, en, longitude, latitude, elevation FROM station ORDER BY id

-- name: by_name
SELECT id, name, zh, en, longitude, latitude, elevation FROM station WHERE name = %s

-- name: add
INSERT INTO station (name, zh, en, longitude, latitude, elevation, key_hash, added)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (name) DO NOTHING
RETURNING id

-- name: set_key
UPDATE station SET key_hash = %s WHERE name = %s

-- name: put
-- The key and the id of a station that exists stay; a row that changes nothing is not written.
INSERT INTO station (added, name, zh, en, longitude, latitude, elevation)
SELECT %s::timestamptz, *
FROM unnest(%s::text[], %s::text[], %s::text[], %s::float8[], %s::float8[], %s::float8[])
ON CONFLICT (name) DO UPDATE
SET zh = excluded.zh, en = excluded.en, longitude = excluded.longitude,
    latitude = excluded.latitude, elevation = excluded.elevation
WHERE (station.zh, station.en, station.longitude, station.latitude, station.elevation)
    IS DISTINCT FROM
    (excluded.zh, excluded.en, excluded.longitude, excluded.latitude, excluded.elevation)
RETURNING (xmax = 0)::integer
