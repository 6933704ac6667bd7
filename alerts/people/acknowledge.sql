-- name: find
SELECT delivery.id AS delivery, delivery.message, message.warning, delivery.exercise,
    delivery.language, delivery.tier, delivery.channel, contact.hint, message.sent,
    message.expires, delivery.acknowledged AS at, delivery.acknowledged_by AS by,
    delivery.acknowledgement AS note
FROM delivery
JOIN message ON message.id = delivery.message
JOIN contact ON contact.id = delivery.contact
WHERE delivery.id = %(delivery)s;

-- name: said
SELECT delivery.way, delivery.language, script.body, message.cap
FROM delivery
JOIN message ON message.id = delivery.message
JOIN script ON script.message = delivery.message AND script.channel = delivery.way
    AND script.language = delivery.language
WHERE delivery.id = %(delivery)s;

-- name: between
-- Those whose id begins so: one, as good as always.
SELECT id FROM delivery WHERE id BETWEEN %(first)s AND %(last)s LIMIT 16;

-- name: of_messages
SELECT id FROM delivery
WHERE contact = %(contact)s AND message = ANY(%(messages)s::uuid[]) AND acknowledged IS NULL;

-- name: sent
-- What a reply can speak of: it has left us, and nobody has answered it.
SELECT delivery.id
FROM delivery
JOIN message ON message.id = delivery.message
WHERE delivery.contact = %(contact)s
    AND delivery.acknowledged IS NULL
    AND delivery.state IN ('sending', 'accepted', 'delivered', 'uncertain')
    AND message.sent > %(since)s AND message.sent <= %(at)s;

-- name: mark
-- Whoever has answered has received it, whatever the provider says or does not say.
UPDATE delivery SET
    acknowledged = %(at)s, acknowledged_by = coalesce(%(name)s, contact.hint),
    acknowledgement = %(note)s,
    state = CASE delivery.state WHEN 'merged' THEN 'merged' ELSE 'delivered' END,
    ask = NULL, changed = %(at)s
FROM contact, message
WHERE delivery.id = ANY(%(deliveries)s::uuid[])
    AND contact.id = delivery.contact AND message.id = delivery.message
    AND delivery.acknowledged IS NULL
    AND delivery.state IN ('sending', 'accepted', 'delivered', 'uncertain', 'failed', 'merged')
    AND message.expires > %(at)s
RETURNING delivery.id;

-- name: relieve
-- One of a group has answered: those of later turns need not be told of this, nor of what came
-- before it. Someone of several groups is left alone only when each of them has answered.
WITH answer AS (
    SELECT DISTINCT message.warning, message.number, unnest(officer.groups) AS name
    FROM delivery
    JOIN message ON message.id = delivery.message
    JOIN subscriber AS officer ON officer.id = delivery.subscriber
    WHERE delivery.id = ANY(%(deliveries)s::uuid[]) AND officer.tier = 'officer'
), event AS (
    SELECT DISTINCT warning FROM answer
), answered AS (
    -- Of each group the newest message that somebody has answered, now or before.
    SELECT message.warning, team.name, max(message.number) AS number
    FROM event
    JOIN message ON message.warning = event.warning
    JOIN delivery ON delivery.message = message.id AND delivery.acknowledged IS NOT NULL
    JOIN subscriber AS officer ON officer.id = delivery.subscriber AND officer.tier = 'officer'
    CROSS JOIN unnest(officer.groups) AS team (name)
    GROUP BY message.warning, team.name
)
UPDATE delivery SET state = 'superseded', reason = 'answered', changed = %(at)s
FROM message, subscriber AS officer
WHERE message.id = delivery.message AND officer.id = delivery.subscriber
    AND message.warning IN (SELECT warning FROM event)
    AND message.act NOT IN ('withdraw', 'cancel', 'expire')
    AND delivery.due > message.sent
    AND CASE
        -- An exercise goes to its phone at once: there, what would still wait counts as waiting.
        WHEN delivery.exercise
        THEN delivery.due > %(at)s AND delivery.state IN ('queued', 'sending', 'delivered')
        ELSE delivery.state = 'queued'
    END
    AND officer.tier = 'officer' AND officer.groups <> '{}'
    AND officer.groups && ARRAY(SELECT name FROM answer)
    AND NOT EXISTS (
        SELECT FROM unnest(officer.groups) AS own (name)
        WHERE NOT EXISTS (
            SELECT FROM answered
            WHERE answered.warning = message.warning AND answered.name = own.name
                AND answered.number >= message.number
        )
    );
