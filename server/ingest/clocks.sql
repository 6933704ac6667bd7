-- name: write
-- Two processes may hear one station; of stations that were removed meanwhile nothing is kept.
INSERT INTO clock (station, "offset", suspect, seen, written)
SELECT c.station, c."offset", c.suspect, c.seen, %s
FROM unnest(%s::integer[], %s::real[], %s::boolean[], %s::timestamptz[])
    AS c (station, "offset", suspect, seen)
JOIN station AS s ON s.id = c.station
ORDER BY c.station
ON CONFLICT (station) DO UPDATE
SET "offset" = excluded."offset", suspect = excluded.suspect,
    seen = excluded.seen, written = excluded.written
WHERE excluded.seen >= clock.seen;

-- name: read
SELECT station, "offset", suspect, seen FROM clock ORDER BY station;
