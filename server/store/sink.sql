-- name: staging
-- Where a batch lies before it becomes rows; seen by this connection only, emptied by each COMMIT.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming
    (LIKE observation) ON COMMIT DELETE ROWS;

-- name: staging_rare
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_rare
    (LIKE observation_rare) ON COMMIT DELETE ROWS;

-- name: copy
COPY pg_temp.incoming ({columns}) FROM STDIN (FORMAT binary);

-- name: copy_rare
COPY pg_temp.incoming_rare (station, time, element, value, quality) FROM STDIN (FORMAT binary);

-- name: insert
-- The common case, in one go: everything is new. Rows that exist already are left for `contested`.
WITH fresh AS (
    INSERT INTO observation ({columns})
    -- In one order, so that two writers of the same readings cannot wait for each other.
    SELECT {columns} FROM pg_temp.incoming ORDER BY station, time
    ON CONFLICT (station, time) DO NOTHING
    RETURNING station, time
), newest AS (
    INSERT INTO latest (station, time)
    SELECT station, max(time) FROM fresh GROUP BY station ORDER BY station
    ON CONFLICT (station) DO UPDATE SET time = excluded.time WHERE excluded.time > latest.time
), log AS (
    INSERT INTO arrival (stored, stations, times)
    SELECT %s, array_agg(station), array_agg(time) FROM fresh HAVING count(*) > 0
    RETURNING id
)
SELECT (SELECT count(*) FROM fresh), (SELECT id FROM log), pg_notify('fenghuo_arrival', '');

-- name: insert_rare
INSERT INTO observation_rare (station, time, element, value, quality)
SELECT r.station, r.time, r.element, r.value, r.quality
FROM pg_temp.incoming_rare r
JOIN (SELECT unnest(stations) AS station, unnest(times) AS time FROM arrival WHERE id = %s) f
    USING (station, time)
ON CONFLICT (station, time, element) DO NOTHING;

-- name: correct
-- A higher revision replaces the whole row: what it does not carry becomes null.
UPDATE observation o SET {assignments}
FROM pg_temp.incoming i
WHERE o.station = i.station AND o.time = i.time AND i.revision > o.revision
  AND o.time BETWEEN %s AND %s
RETURNING o.station, o.time;

-- name: correct_rare_out
DELETE FROM observation_rare r
USING unnest(%s::integer[], %s::timestamptz[]) AS c (station, time)
WHERE r.station = c.station AND r.time = c.time AND r.time BETWEEN %s AND %s;

-- name: correct_rare_in
INSERT INTO observation_rare (station, time, element, value, quality)
SELECT r.station, r.time, r.element, r.value, r.quality
FROM pg_temp.incoming_rare r
JOIN unnest(%s::integer[], %s::timestamptz[]) AS c (station, time) USING (station, time);

-- name: log
INSERT INTO arrival (stored, stations, times)
VALUES (%s, %s::integer[], %s::timestamptz[]);

-- name: contested
-- The same reading at the same revision, but with other values than the stored ones.
SELECT i.station, i.time
FROM pg_temp.incoming i
JOIN observation o ON o.station = i.station AND o.time = i.time AND o.revision = i.revision
WHERE o.time BETWEEN %s AND %s
  AND (({ours}) IS DISTINCT FROM ({theirs})
    OR ARRAY(SELECT ROW(r.element, r.value) FROM pg_temp.incoming_rare r
             WHERE r.station = i.station AND r.time = i.time ORDER BY r.element)
       IS DISTINCT FROM
       ARRAY(SELECT ROW(r.element, r.value) FROM observation_rare r
             WHERE r.station = o.station AND r.time = o.time ORDER BY r.element));

-- name: refuse
-- The same message again is counted in the row that it has. Not so where its own time may be what
-- is missing (another topic than ours, or no report at all): then it may be another reading.
INSERT INTO quarantine AS q (received, station, topic, payload, reason, detail, times, newest, digest)
SELECT min(received), (array_agg(station ORDER BY number DESC))[1], min(topic),
    (array_agg(payload))[1], (array_agg(reason ORDER BY number DESC))[1],
    (array_agg(detail ORDER BY number DESC))[1], count(*),
    CASE WHEN count(*) > 1 THEN max(received) END, digest
FROM (
    SELECT *, CASE WHEN topic LIKE 'fenghuo/v1/%%' AND reason <> 'form'
        THEN sha256(convert_to(topic, 'UTF8') || '\x00' || payload) END AS digest
    FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[])
        WITH ORDINALITY AS r (received, station, topic, payload, reason, detail, number)
) r
GROUP BY digest, CASE WHEN digest IS NULL THEN number END
ORDER BY min(number)
ON CONFLICT (digest) DO UPDATE
SET times = q.times + excluded.times, reason = excluded.reason, detail = excluded.detail,
    newest = greatest(q.newest, excluded.received, excluded.newest);
