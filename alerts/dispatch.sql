-- name: live
-- Held as long as this session lives; whoever finds it free knows that the worker is gone.
SELECT pg_advisory_lock(%(kind)s::integer, %(worker)s::integer);

-- name: leave
-- The session goes back to where it was borrowed.
DO 'BEGIN UNLISTEN *; PERFORM pg_advisory_unlock_all(); END';

-- name: revive
-- What a dead worker was sending: again where that is harmless, otherwise nobody knows.
UPDATE delivery SET
    state = CASE WHEN channel = ANY(%(repeatable)s::text[]) THEN 'queued' ELSE 'uncertain' END,
    problem = 'the worker ended while it was sending', changed = %(now)s
WHERE state = 'sending'
    AND NOT EXISTS (
        SELECT 1 FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 2
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid = %(kind)s::integer::oid AND objid = delivery.worker::oid
    );

-- name: lapse
-- A replay outruns its own dispatcher; what an exercise shows must not depend on its speed.
UPDATE delivery SET state = 'expired', changed = %(now)s
WHERE state = 'queued' AND NOT exercise AND expires <= %(now)s;

-- name: in_order
-- A hundred thousand rows can come in one commit, before the planner has seen one of them: it would
-- sort them all for every handful that is taken, instead of reading the index from its beginning.
SET LOCAL enable_sort = off;

-- name: claim
WITH due AS (
    SELECT id FROM delivery
    WHERE state = 'queued' AND channel = ANY(%(channels)s::text[])
        AND (exercise OR (due <= %(now)s AND expires > %(now)s))
    ORDER BY priority, due, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE delivery SET
        state = 'sending', worker = %(worker)s, attempts = attempts + 1, changed = %(now)s
    FROM due WHERE delivery.id = due.id
    RETURNING delivery.*
)
SELECT id, channel, exercise, address, body, expires, attempts FROM taken
ORDER BY priority, due, id;

-- name: report
-- A receipt may have been faster than we: then it stands.
UPDATE delivery SET
    state = result.state, provider = coalesce(result.provider, delivery.provider),
    problem = result.problem, due = coalesce(result.due, delivery.due), changed = %(now)s
FROM unnest(
    %(workers)s::integer[], %(ids)s::uuid[], %(states)s::text[], %(providers)s::text[],
    %(problems)s::text[], %(dues)s::timestamptz[]
) AS result (worker, id, state, provider, problem, due)
WHERE delivery.id = result.id AND delivery.worker = result.worker
    AND delivery.state IN ('sending', 'uncertain');
