-- name: lock
SELECT pg_try_advisory_lock(hashtext('fenghuo'), hashtext(%s))

-- name: unlock
SELECT pg_advisory_unlock(hashtext('fenghuo'), hashtext(%s))

-- name: raw
-- The wide rows of each span; what covers more than the span itself is not part of it.
FROM unnest(%(starts)s::bigint[], %(ends)s::bigint[], %(stations)s::integer[])
    WITH ORDINALITY AS s (start, "end", station, number)
JOIN observation AS o ON o.station = s.station
    AND o.time > to_timestamp(s.start) AND o.time <= to_timestamp(s."end")
WHERE o.time > to_timestamp(%(first)s) AND o.time <= to_timestamp(%(last)s)
  AND o.interval <= %(longest)s

-- name: raw_rare
FROM unnest(%(starts)s::bigint[], %(ends)s::bigint[], %(stations)s::integer[])
    WITH ORDINALITY AS s (start, "end", station, number)
JOIN observation_rare AS r ON r.station = s.station
    AND r.time > to_timestamp(s.start) AND r.time <= to_timestamp(s."end")
JOIN observation AS o ON o.station = r.station AND o.time = r.time
WHERE r.time > to_timestamp(%(first)s) AND r.time <= to_timestamp(%(last)s)
  AND o.time > to_timestamp(%(first)s) AND o.time <= to_timestamp(%(last)s)
  AND o.interval <= %(longest)s AND coalesce(r.quality & 255, 0) = 0

-- name: clear
-- Sums for which nothing is left.
DELETE FROM rollup AS old
USING unnest(%(span_stations)s::integer[], %(span_ends)s::bigint[]) AS s (station, "end")
WHERE old.station = s.station AND old.hours = %(hours)s AND old.time = to_timestamp(s."end")
  AND (old.element, old.station, extract(epoch FROM old.time)::bigint) NOT IN (
    SELECT * FROM unnest(%(elements)s::smallint[], %(stations)s::integer[], %(ends)s::bigint[])
  )

-- name: write
INSERT INTO rollup (element, hours, time, station, readings, seconds, value, minimum, maximum)
SELECT g.element, %(hours)s, to_timestamp(g."end"), g.station,
       g.readings, g.seconds, g.value, g.minimum, g.maximum
FROM unnest(
    %(elements)s::smallint[], %(ends)s::bigint[], %(stations)s::integer[],
    %(readings)s::integer[], %(seconds)s::integer[],
    %(value)s::real[], %(minimum)s::real[], %(maximum)s::real[]
) AS g (element, "end", station, readings, seconds, value, minimum, maximum)
ON CONFLICT (element, hours, time, station) DO UPDATE
SET readings = excluded.readings, seconds = excluded.seconds, value = excluded.value,
    minimum = excluded.minimum, maximum = excluded.maximum
WHERE (rollup.readings, rollup.seconds, rollup.value, rollup.minimum, rollup.maximum)
    IS DISTINCT FROM
    (excluded.readings, excluded.seconds, excluded.value, excluded.minimum, excluded.maximum)

-- name: window
FROM rollup
WHERE element = %(element)s AND hours = %(hours)s
  AND time > %(start)s AND time <= %(end)s
  AND (%(stations)s::integer[] IS NULL OR station = ANY (%(stations)s::integer[]))
