-- name: revive
-- What a dead worker was sending: again where that is harmless, otherwise nobody knows yet.
UPDATE delivery SET
    state = CASE WHEN %(repeatable)s THEN 'queued' ELSE 'uncertain' END,
    ask = CASE WHEN %(repeatable)s THEN NULL ELSE %(ask)s::timestamptz END,
    problem = 'the worker ended while it was sending', changed = %(now)s
WHERE state = 'sending' AND channel = %(channel)s
    AND NOT EXISTS (
        SELECT 1 FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 2
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid = %(kind)s::integer::oid AND objid = delivery.worker::oid
    );

-- name: lapse
-- On every channel, also on one that is not in use any more. A replay outruns its own dispatcher;
-- what an exercise shows must not depend on its speed.
UPDATE delivery SET state = 'expired', changed = %(now)s
WHERE state = 'queued' AND NOT exercise AND expires <= %(now)s;

-- name: in_order
-- A hundred thousand rows can come in one commit, before the planner has seen one of them: it would
-- sort them all for every handful that is taken, instead of reading the index from its beginning.
SET LOCAL enable_sort = off;

-- name: groups
-- What waits, by message and tier, the most urgent and oldest first: one look into the index for
-- each. The public waits while an official of the same message is not through on this route.
WITH RECURSIVE head AS (
    (
        SELECT priority, message, due, tier, exercise FROM delivery
        WHERE state = 'queued' AND channel = %(channel)s
        ORDER BY channel, priority, message, due, id LIMIT 1
    )
    UNION ALL
    SELECT next.* FROM head CROSS JOIN LATERAL (
        SELECT priority, message, due, tier, exercise FROM delivery
        WHERE state = 'queued' AND channel = %(channel)s
            AND (priority, message) > (head.priority, head.message)
        ORDER BY channel, priority, message, due, id LIMIT 1
    ) AS next
)
SELECT priority, message, due,
    tier = 'public' AND EXISTS (
        SELECT 1 FROM delivery AS before
        WHERE before.message = head.message AND before.channel = %(channel)s
            AND before.state IN ('queued', 'sending') AND before.tier IN ('official', 'officer')
            AND (before.due <= %(now)s OR before.attempts > 0)
    ) AS held
FROM head
WHERE exercise OR due <= %(now)s;

-- name: refill
-- What a route may send just now; the row is held until the end of the transaction.
INSERT INTO route (channel, tokens, filled) VALUES (%(channel)s, %(burst)s, clock_timestamp())
ON CONFLICT (channel) DO UPDATE SET
    tokens = least(%(burst)s, route.tokens
        + %(rate)s * extract(epoch FROM clock_timestamp() - route.filled)::double precision),
    filled = clock_timestamp()
RETURNING tokens;

-- name: spend
UPDATE route SET tokens = tokens - %(taken)s WHERE channel = %(channel)s;

-- name: claim
-- Group by group as far as the limit reaches. What was kept back for a reason waits for its time
-- even in an exercise; what is only behind somebody else's head start does not.
WITH due AS MATERIALIZED (
    SELECT chosen.id
    FROM unnest(%(priorities)s::integer[], %(messages)s::uuid[], %(untils)s::timestamptz[])
        AS part (priority, message, until)
    CROSS JOIN LATERAL (
        SELECT id FROM delivery
        WHERE state = 'queued' AND channel = %(channel)s
            AND priority = part.priority AND message = part.message
            AND ((exercise AND reason IS NULL) OR due <= part.until)
            AND (exercise OR expires > %(now)s)
        ORDER BY channel, priority, message, due, id
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ) AS chosen
    LIMIT %(limit)s
), taken AS (
    UPDATE delivery SET
        state = 'sending', worker = %(worker)s, attempts = attempts + 1, handed = %(now)s,
        ask = NULL, changed = %(now)s
    FROM due WHERE delivery.id = due.id
    RETURNING delivery.*
)
SELECT taken.id, taken.way, taken.exercise, contact.address, script.subject, script.body,
    split_part(taken.language, '-x-', 1), taken.tier, taken.expires, taken.attempts,
    taken.message, taken.handed
FROM taken
JOIN contact ON contact.id = taken.contact
LEFT JOIN script ON script.message = taken.message AND script.channel = taken.way
    AND script.language = taken.language
ORDER BY taken.priority, taken.due, taken.id;

-- name: report
-- A receipt may have been faster than we: then it stands. What was put back while we were cut off,
-- and nobody has taken since, need not be sent when we know that it was. An address that is no more
-- (`port.GONE`) is not used again.
WITH reported AS (
    UPDATE delivery SET
        state = result.state, provider = coalesce(result.provider, delivery.provider),
        problem = result.problem, due = coalesce(result.due, delivery.due), ask = result.ask,
        attempts = delivery.attempts - result.unsent, changed = %(now)s
    FROM unnest(
        %(workers)s::integer[], %(ids)s::uuid[], %(states)s::text[], %(providers)s::text[],
        %(problems)s::text[], %(dues)s::timestamptz[], %(asks)s::timestamptz[], %(unsent)s::integer[]
    ) AS result (worker, id, state, provider, problem, due, ask, unsent)
    WHERE delivery.id = result.id AND delivery.worker = result.worker
        AND (
            delivery.state IN ('sending', 'uncertain')
            OR (delivery.state = 'queued' AND result.state IN ('accepted', 'delivered'))
        )
    RETURNING delivery.contact, delivery.state, delivery.problem
)
UPDATE contact SET confirmed = NULL FROM reported
WHERE contact.id = reported.contact AND reported.state = 'failed' AND reported.problem LIKE 'gone: %%';
