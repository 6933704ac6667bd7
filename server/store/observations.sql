-- name: window
FROM {table} AS o
WHERE o.time > %(start)s AND o.time <= %(end)s
  AND (%(stations)s::integer[] IS NULL OR o.station = ANY (%(stations)s::integer[]))

-- name: readings
FROM unnest(%(stations)s::integer[], %(times)s::bigint[]) AS p (station, seconds)
JOIN {table} AS o ON o.station = p.station AND o.time = to_timestamp(p.seconds)
WHERE o.time BETWEEN to_timestamp(%(first)s) AND to_timestamp(%(last)s)

-- name: newest
FROM latest AS l
JOIN {table} AS o ON o.station = l.station AND o.time = l.time
WHERE true
