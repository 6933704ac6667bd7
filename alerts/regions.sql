-- name: save
INSERT INTO region (id, zh, en, boundary, population, sample)
VALUES (%(id)s, %(zh)s, %(en)s, %(boundary)s, %(population)s, %(sample)s)
ON CONFLICT (id) DO UPDATE SET
    zh = excluded.zh, en = excluded.en, boundary = excluded.boundary,
    population = excluded.population, sample = excluded.sample;

-- name: load
SELECT id, zh, en, boundary, population, sample FROM region ORDER BY id;

-- name: people
UPDATE region SET population = given.people
FROM unnest(%(names)s::text[], %(people)s::integer[]) AS given (name, people)
WHERE given.name IN (region.id, region.zh, region.en)
RETURNING given.name;

-- name: clear
DELETE FROM region_station WHERE region = ANY(%(regions)s::text[]);

-- name: assign
INSERT INTO region_station (region, station)
SELECT * FROM unnest(%(regions)s::text[], %(stations)s::integer[]);

-- name: membership
SELECT region.id, coalesce(array_agg(station ORDER BY station) FILTER (WHERE station IS NOT NULL), '{}')
FROM region LEFT JOIN region_station ON region = region.id
GROUP BY region.id
ORDER BY region.id;

-- name: release_samples
DELETE FROM region_station USING region WHERE region = region.id AND sample;

-- name: drop_samples
-- What was warned of once stays, as part of its warning.
DELETE FROM region WHERE sample AND NOT EXISTS (SELECT 1 FROM warning WHERE warning.region = region.id);
