-- name: read
SELECT name, value FROM meta WHERE name LIKE 'event\_%';

-- name: write
INSERT INTO meta (name, value) VALUES (%(name)s, %(value)s);

-- name: any_reading
SELECT 1 FROM latest LIMIT 1;

-- name: move
WITH moved AS (
    UPDATE meta SET value = %(time)s
    WHERE name = 'event_time' AND value::timestamptz < %(time)s::timestamptz
    RETURNING value
)
SELECT pg_notify('fenghuo_clock', value) FROM moved;

-- name: settled
-- Everything up to the event's time is decided and every message has left the ledger's queue.
SELECT
    (SELECT value::timestamptz FROM meta WHERE name = 'event_time')
        <= (SELECT time FROM consumer WHERE name = 'watch')
    AND NOT EXISTS (
        SELECT 1 FROM delivery
        WHERE state = 'sending'
            OR (state = 'queued' AND due <= (SELECT value::timestamptz FROM meta WHERE name = 'event_time'))
    ) AS settled;

-- name: stored
SELECT (SELECT count(*) FROM observation) AS stored, (SELECT count(*) FROM quarantine) AS quarantined;
