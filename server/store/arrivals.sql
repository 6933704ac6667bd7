-- name: position
SELECT xid::text, arrival FROM consumer WHERE name = %s

-- name: lock
SELECT xid::text, arrival FROM consumer WHERE name = %s FOR UPDATE

-- name: register
INSERT INTO consumer (name) VALUES (%s) ON CONFLICT DO NOTHING

-- name: decided
SELECT time FROM consumer WHERE name = %s

-- name: last
SELECT xid::text, id, number
FROM (
    SELECT xid, id, row_number() OVER (ORDER BY xid, id) AS number
    FROM arrival
    WHERE (xid, id) > (%s::xid8, %s) AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid, id
    LIMIT %s
) AS next
ORDER BY number DESC
LIMIT 1

-- name: unread
SELECT EXISTS (SELECT FROM arrival WHERE (xid, id) > (%s::xid8, %s))

-- name: readings
FROM arrival AS a, unnest(a.stations, a.times) AS u (station, time)
WHERE (a.xid, a.id) > (%s::xid8, %s) AND (a.xid, a.id) <= (%s::xid8, %s)

-- name: advance
INSERT INTO consumer (name, xid, arrival, time) VALUES (%s, %s::xid8, %s, %s)
ON CONFLICT (name) DO UPDATE
SET xid = excluded.xid, arrival = excluded.arrival, time = coalesce(excluded.time, consumer.time)

-- name: prune_read
-- The newest row stays: it tells when something last arrived.
DELETE FROM arrival
WHERE (xid, id) <= ALL (SELECT xid, arrival FROM consumer) AND EXISTS (SELECT FROM consumer)
    AND stored < %s AND id < (SELECT max(id) FROM arrival)

-- name: prune_old
DELETE FROM arrival WHERE stored < %s

-- name: foreign
SELECT greatest((SELECT max(xid) FROM arrival), (SELECT max(xid) FROM consumer))
    >= pg_snapshot_xmax(pg_current_snapshot())

-- name: rebase
UPDATE arrival SET xid = '0'

-- name: rewind
UPDATE consumer SET xid = '0', arrival = 0
