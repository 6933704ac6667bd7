-- name: horizon
-- Where the log of commits stands: everything below is in what this transaction sees.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text;

-- name: arrivals
-- Commits after a position, in an order that no later commit can overtake.
SELECT xid::text, id, stations, times FROM arrival
WHERE (xid, id) > (%(xid)s::xid8, %(id)s) AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY arrival.xid, arrival.id LIMIT %(limit)s;

-- name: last_arrival
SELECT stored FROM arrival ORDER BY xid DESC, id DESC LIMIT 1;

-- name: applied
SELECT number FROM migration;

-- name: refused
SELECT reason, sum(times)::bigint, max(coalesce(newest, received)) FROM quarantine
WHERE received >= %(since)s GROUP BY reason ORDER BY count(*) DESC, reason;

-- name: refused_newest
SELECT id, received, station, topic, reason, detail, times, newest,
    octet_length(payload) AS bytes, substring(payload FROM 1 FOR 240) AS head, replayed
FROM quarantine WHERE received >= %(since)s AND (%(reason)s::text IS NULL OR reason = %(reason)s::text)
ORDER BY received DESC, id DESC LIMIT %(limit)s;

-- name: readings_at_most
-- How many readings there are in a time; counting stops at the limit.
SELECT count(*) FROM (
    SELECT 1 FROM observation WHERE time > %(start)s AND time <= %(end)s LIMIT %(limit)s
) AS counted;
