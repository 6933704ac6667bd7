-- name: write
-- The rows whose codes differ get the new ones; a commit is logged where other checks failed
-- than before, so that hours and days are computed anew. What is right already is not touched.
WITH given AS (
    SELECT station, to_timestamp(seconds) AS time, {names}
    FROM unnest(%(station)s::integer[], %(time)s::bigint[], {arrays})
        AS g (station, seconds, {names})
), different AS (
    -- In one order, so that two writers of the same rows cannot wait for each other.
    SELECT given.*, {failed} AS failed
    FROM given JOIN observation AS o USING (station, time)
    WHERE o.time BETWEEN to_timestamp(%(first)s) AND to_timestamp(%(last)s)
        AND ({stored}) IS DISTINCT FROM ({wanted})
    ORDER BY o.station, o.time
    FOR UPDATE OF o
), written AS (
    UPDATE observation AS o SET {assignments}
    FROM different AS d
    WHERE o.station = d.station AND o.time = d.time
        AND o.time BETWEEN to_timestamp(%(first)s) AND to_timestamp(%(last)s)
    RETURNING d.station, d.time, d.failed
), logged AS (
    INSERT INTO arrival (stored, stations, times)
    SELECT %(stored)s, array_agg(station), array_agg(time) FROM written WHERE failed HAVING count(*) > 0
    RETURNING id
)
SELECT (SELECT count(*) FROM written), (SELECT count(*) FROM written WHERE failed),
    (SELECT pg_notify('fenghuo_arrival', '') FROM logged)
