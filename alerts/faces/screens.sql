-- name: subscribe
INSERT INTO subscriber (name, tier, language, lowest, hazards, regions, source, added)
VALUES (%(title)s, 'outlet', %(language)s, %(lowest)s, %(hazards)s, %(regions)s, 'outlet', %(at)s)
RETURNING id;

-- name: reach
INSERT INTO contact (subscriber, channel, address, digest, hint, confirmed, added)
VALUES (%(subscriber)s, %(channel)s, %(address)s, %(digest)s, %(hint)s, %(at)s, %(at)s)
RETURNING id;

-- name: add
INSERT INTO screen (name, kind, title, subscriber, contact, key, added)
VALUES (%(name)s, %(kind)s, %(title)s, %(subscriber)s, %(contact)s, %(key)s, %(at)s);

-- name: every
SELECT screen.name, screen.kind, screen.title, screen.contact, subscriber.language,
    subscriber.lowest, subscriber.hazards, subscriber.regions, screen.added, screen.seen,
    screen.state, screen.shown, screen.shown_at, screen.key
FROM screen JOIN subscriber ON subscriber.id = screen.subscriber
WHERE %(name)s::text IS NULL OR screen.name = %(name)s::text
ORDER BY screen.name LIMIT %(limit)s;

-- name: remove
-- What it was sent stays in the ledger; its name is free again.
WITH gone AS (
    DELETE FROM screen WHERE name = %(name)s RETURNING subscriber, contact
), silent AS (
    UPDATE contact SET address = NULL, digest = NULL FROM gone WHERE contact.id = gone.contact
)
UPDATE subscriber SET left_at = %(at)s, erased = %(at)s FROM gone
WHERE subscriber.id = gone.subscriber
RETURNING subscriber.id;

-- name: seen
-- Out of order changes nothing: what is newer stays.
UPDATE screen SET
    seen = %(at)s,
    state = coalesce(%(state)s, state),
    shown_at = CASE
        WHEN %(shown)s::uuid[] IS NULL OR %(shown)s::uuid[] = shown THEN shown_at ELSE %(at)s
    END,
    shown = coalesce(%(shown)s::uuid[], shown)
WHERE name = %(name)s AND (seen IS NULL OR seen <= %(at)s);

-- name: lost
UPDATE screen SET state = %(state)s WHERE name = %(name)s;

-- name: fetched
-- A station that has come for it has it; whether it goes on the air, the station says.
UPDATE delivery SET state = 'delivered', ask = NULL, changed = %(at)s
WHERE contact = %(contact)s AND message = ANY(%(messages)s::uuid[])
    AND state IN ('sending', 'accepted', 'uncertain', 'failed')
RETURNING id;
